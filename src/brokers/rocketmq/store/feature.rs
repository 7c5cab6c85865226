//! Storage modes that differ from the usual files (RocketMQ formats: other storage modes).
//!
//! They are recognised by their folders, DLedger also by the first bytes of a log file. Nothing of them is read.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::files::{NumberedFile, folders, if_there};

const TIERED_METADATA: &str = "tieredStoreMetadata.json";
const ROCKSDB_MARK: &str = "CURRENT";
const RECORD_MAGICS: [u32; 2] = [0xDAA3_20A7, 0xDAA3_20AB];
const BLANK_MAGIC: u32 = 0xCBD4_3194;
/// Bytes from the start of a file that hold DLedger's entry header and the magic of the record behind it.
const HEAD_BYTES: usize = 56;

/// A storage mode that this program does not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feature {
    /// Consume queues are in RocksDB. They can be rebuilt from the commit log, which is as usual.
    RocksDbQueues(PathBuf),
    /// Topics, groups and offsets are in RocksDB, so the files with them are missing or old.
    RocksDbConfig(PathBuf),
    /// The log, or its later part, belongs to DLedger: a header stands before each record.
    DLedger(PathBuf),
    /// Older messages were moved to tiered storage, perhaps outside of the store.
    Tiered(PathBuf),
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, text) = match self {
            Self::RocksDbQueues(path) => (path, "consume queues are in RocksDB and are not read"),
            Self::RocksDbConfig(path) => (path, "topics, groups and offsets are in RocksDB and are not read"),
            Self::DLedger(path) => (path, "is a log of DLedger, which is not read"),
            Self::Tiered(path) => (path, "the store uses tiered storage, which is not read"),
        };
        write!(f, "{}: {text}", path.display())
    }
}

/// Finds unusual storage modes below `root`, whose classic log consists of `log_files`.
pub(super) fn detect(root: &Path, log_files: &[NumberedFile]) -> io::Result<Vec<Feature>> {
    let mut features = Vec::new();
    let queues = root.join("consumequeue");
    if queues.join(ROCKSDB_MARK).is_file() {
        features.push(Feature::RocksDbQueues(queues));
    }
    let config = root.join("config");
    let databases = folders(&config)?.into_iter().map(|(_, path)| path);
    features.extend(databases.filter(|path| path.join(ROCKSDB_MARK).is_file()).map(Feature::RocksDbConfig));
    let tiered = config.join(TIERED_METADATA);
    if tiered.is_file() {
        features.push(Feature::Tiered(tiered));
    }
    features.extend(dledger_folders(root)?.into_iter().map(Feature::DLedger));
    if let Some(file) = dledger_file(log_files)? {
        features.push(Feature::DLedger(file.path.clone()));
    }
    Ok(features)
}

/// Folders `dledger-<id>/data` of `root`.
pub(super) fn dledger_folders(root: &Path) -> io::Result<Vec<PathBuf>> {
    let named = folders(root)?.into_iter().filter(|(name, _)| name.starts_with("dledger-"));
    Ok(named.map(|(_, path)| path.join("data")).filter(|path| path.is_dir()).collect())
}

/// The newest file with anything at its start, if that is DLedger's. The log of a broker that changed to DLedger can
/// begin with classic files.
fn dledger_file(log_files: &[NumberedFile]) -> io::Result<Option<&NumberedFile>> {
    for file in log_files.iter().rev() {
        let head = head(&file.path)?;
        if head.iter().any(|byte| *byte != 0) {
            return Ok(is_dledger(&head).then_some(file));
        }
    }
    Ok(None)
}

fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    if let Some(file) = if_there(File::open(path))? {
        file.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    }
    Ok(head)
}

fn is_dledger(head: &[u8]) -> bool {
    let magic_at = |at| head.get(at..).and_then(<[u8]>::first_chunk).copied().map(u32::from_be_bytes);
    let is_record = |magic: Option<u32>| magic.is_some_and(|magic| RECORD_MAGICS.contains(&magic));
    !is_record(magic_at(4)) && magic_at(4) != Some(BLANK_MAGIC) && is_record(magic_at(52))
}
