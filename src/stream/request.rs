//! What imports and followers of any system have in common: names that can be used, and damage that was passed over.

use crate::error::{Error, Result};

/// A stretch that was passed over.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Skipped {
    /// The segment file.
    pub file: String,
    /// First offset passed over.
    pub from: u64,
    /// Offset at which reading went on.
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
