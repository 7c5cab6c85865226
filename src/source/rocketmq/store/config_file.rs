//! Reading a configuration file or, in its place, its backup (RocketMQ formats: JSON files).

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::directory::StoreError;
use super::files::if_there;
use crate::rocketmq::broker_config::ConfigError;
use crate::rocketmq::json::MAX_BYTES;

/// What `decode` makes of the file `name` in `folder`, or of `name` with `.bak` if the file is missing, empty or
/// cannot be decoded. `None` if neither is there with anything in it.
pub(super) fn load<T>(
    folder: &Path,
    name: &str,
    decode: fn(&[u8]) -> Result<T, ConfigError>,
) -> Result<Option<T>, StoreError> {
    let path = folder.join(name);
    let backup = folder.join(format!("{name}.bak"));
    let refused = match load_one(&path, decode) {
        Ok(Some(value)) => return Ok(Some(value)),
        Ok(None) => None,
        Err(error @ StoreError::Config { .. }) => Some(error),
        Err(error) => return Err(error),
    };
    // If the backup is no better, the file itself is what to report.
    match (load_one(&backup, decode), refused) {
        (Ok(Some(value)), _) => {
            tracing::warn!(file = %path.display(), "missing, empty or damaged; its backup is used");
            Ok(Some(value))
        }
        (Ok(None) | Err(StoreError::Config { .. }), Some(refused)) => Err(refused),
        (other, _) => other,
    }
}

fn load_one<T>(path: &Path, decode: fn(&[u8]) -> Result<T, ConfigError>) -> Result<Option<T>, StoreError> {
    let bytes = read(path).map_err(|source| StoreError::Read { path: path.to_owned(), source })?;
    if bytes.is_empty() {
        return Ok(None);
    }
    decode(&bytes).map(Some).map_err(|source| StoreError::Config { path: path.to_owned(), source })
}

/// The bytes of a file, none if it is not there. Of one that is too long so many that the decoder refuses them.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(file) = if_there(File::open(path))? {
        file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}
