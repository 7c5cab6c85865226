//! Why a store directory cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::brokers::rocketmq::format::broker_config::ConfigError;

/// Why a store cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// There is no such directory.
    #[error("{0}: is not a directory")]
    NotADirectory(PathBuf),
    /// A directory without a commit log.
    #[error(
        "{0}: holds no `commitlog` folder; pass a broker's store root (storePathRootDir, default ~/store)"
    )]
    NoCommitLog(PathBuf),
    /// One of the folders of a store in place of the store itself.
    #[error("{0}: is a folder inside a store; pass the store root above it")]
    InsideStore(PathBuf),
    /// A store whose only log is in the form of DLedger.
    #[error("{0}: is a log of DLedger, which is not read, and there is no `commitlog` folder")]
    OnlyDLedger(PathBuf),
    /// A file or folder cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Neither a configuration file nor its backup can be decoded.
    #[error("{path}: {source}")]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ConfigError,
    },
}

pub(super) fn read_error(path: &Path, source: io::Error) -> StoreError {
    StoreError::Read { path: path.to_owned(), source }
}
