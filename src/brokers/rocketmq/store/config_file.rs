//! Reads a configuration file, or its backup in its place (RocketMQ formats: JSON files), and finds those that a crash
//! has spoiled.
//!
//! A broker that loses power can leave them full of NULs, empty or cut. None of them is needed to read messages, so a
//! spoiled file never stops an import.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::error::StoreError;
use super::files::if_there;
use crate::brokers::rocketmq::format::broker_config::{CONSUMER_OFFSETS, ConfigError, SUBSCRIPTION_GROUPS};
use crate::brokers::rocketmq::format::json;
use crate::brokers::rocketmq::format::json::{MAX_BYTES, Value};

/// Ending of a backup's name.
const BACKUP: &str = ".bak";
/// A JSON file without the ending of one.
const TIMER_METRICS: &str = "timermetrics";

/// Applies `decode` to the file `name` in `folder`, or to `name` with `.bak` if the file is missing, empty or cannot be
/// decoded. `None` if neither has any content.
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
    // If the backup is no better, the file itself is reported.
    match (load_one(&backup, decode), refused) {
        (Ok(Some(value)), _) => Ok(Some(value)),
        (Ok(None) | Err(StoreError::Config { .. }), Some(refused)) => Err(refused),
        (other, _) => other,
    }
}

/// What is wrong with the JSON files in `folder`, a sentence each.
pub(super) fn problems(folder: &Path) -> Result<Vec<String>, StoreError> {
    let read = |source| StoreError::Read { path: folder.to_owned(), source };
    let mut names = BTreeSet::new();
    let Some(entries) = if_there(std::fs::read_dir(folder)).map_err(read)? else { return Ok(Vec::new()) };
    for entry in entries {
        let name = entry.map_err(read)?.file_name().to_string_lossy().into_owned();
        let name = name.strip_suffix(BACKUP).unwrap_or(&name);
        if name.ends_with(".json") || name == TIMER_METRICS {
            names.insert(name.to_owned());
        }
    }
    let mut problems = Vec::new();
    for name in names {
        let Some(problem) = problem(&folder.join(&name))? else { continue };
        let backup = format!("{name}{BACKUP}");
        let outcome = match self::problem(&folder.join(&backup))? {
            None => format!("its backup {backup} is used"),
            Some(_) => match &*name {
                SUBSCRIPTION_GROUPS => "there is no usable backup, so it is not known which consumer groups the broker \
                                        had. All messages are imported; topics in names of retry topics of pop \
                                        consumption may not be recognised"
                    .to_owned(),
                CONSUMER_OFFSETS => "there is no usable backup, so how far groups had consumed is not imported. All \
                                     messages are"
                    .to_owned(),
                _ => "there is no usable backup, but an import does not need it".to_owned(),
            },
        };
        problems.push(format!("config/{name} {problem}; {outcome}"));
    }
    Ok(problems)
}

/// What is wrong with one JSON file.
fn problem(path: &Path) -> Result<Option<String>, StoreError> {
    let bytes = read(path).map_err(|source| StoreError::Read { path: path.to_owned(), source })?;
    Ok(match bytes.as_slice() {
        [] if path.exists() => Some("is empty".to_owned()),
        [] => Some("is missing".to_owned()),
        bytes if bytes.iter().all(|byte| *byte == 0) => Some("holds nothing but NUL bytes".to_owned()),
        bytes => match json::parse(bytes) {
            Ok(Value::Map(_)) => None,
            Ok(_) => Some("is damaged: it holds no JSON object".to_owned()),
            Err(error) => Some(format!("is damaged: {error}")),
        },
    })
}

fn load_one<T>(path: &Path, decode: fn(&[u8]) -> Result<T, ConfigError>) -> Result<Option<T>, StoreError> {
    let bytes = read(path).map_err(|source| StoreError::Read { path: path.to_owned(), source })?;
    if bytes.is_empty() {
        return Ok(None);
    }
    decode(&bytes).map(Some).map_err(|source| StoreError::Config { path: path.to_owned(), source })
}

/// The bytes of a file, none if it does not exist. Of a file that is too long, as many as make the decoder refuse it.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(file) = if_there(File::open(path))? {
        file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}
