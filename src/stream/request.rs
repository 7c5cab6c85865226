//! Shared by imports and followers of all systems: valid names of broker groups, and skipped damage.

use crate::error::{Error, Result};

/// A damaged range that was skipped.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Skipped {
    /// The segment file.
    pub file: String,
    /// First skipped offset.
    pub from: u64,
    /// Offset at which reading continued.
    pub to: u64,
    /// What was wrong.
    pub reason: String,
}

/// Refuses a name of a broker group that cannot be a folder.
///
/// # Errors
/// [`Error::Usage`].
pub(crate) fn check_group(name: &str) -> Result<()> {
    let usable = !name.is_empty() && name.len() <= 200 && !name.chars().any(|c| c == '/' || c.is_control());
    if usable {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "--broker-group `{name}` is not usable: 1 to 200 bytes without `/` and control characters"
    )))
}
