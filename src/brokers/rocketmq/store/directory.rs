//! The store directory of a broker: what it holds and where (RocketMQ formats: store directory).
//!
//! Everything is read from disk when it is requested, because a broker may be working in the directory. A
//! [`StoreDirectory`] never writes, never creates or locks anything, and never reads a record of the commit log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::confirmed_end::confirmed_end;
use super::error::{StoreError, read_error};
use super::feature::Feature;
use super::files::{NumberedFile, folders, if_there, numbered_files};
use super::queue::QueueDirectory;
use super::{config_file, feature};
use crate::brokers::rocketmq::format::broker_config;
use crate::brokers::rocketmq::format::broker_config::{
    ConfigError, ConsumerOffsets, SubscriptionGroup, Topic,
};
use crate::brokers::rocketmq::format::checkpoint::{CHECKPOINT_BYTES, Checkpoint};

const COMMIT_LOG: &str = "commitlog";
const CONSUME_QUEUES: &str = "consumequeue";
const BATCH_CONSUME_QUEUES: &str = "batchconsumequeue";
const INDEX: &str = "index";
const CONFIG: &str = "config";
const CHECKPOINT: &str = "checkpoint";
/// Digits in the name of a file of the commit log.
const LOG_NAME_DIGITS: usize = 20;
/// Digits in the name of an index file, which is a time.
const INDEX_NAME_DIGITS: usize = 17;

/// The store directory of a broker.
#[derive(Debug, Clone)]
pub struct StoreDirectory {
    root: PathBuf,
    commit_logs: Vec<PathBuf>,
    features: Vec<Feature>,
}

impl StoreDirectory {
    /// Opens the store at `root`, with its commit log in the usual place.
    ///
    /// # Errors
    /// [`StoreError`] if it is not a store or cannot be read.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        Self::open_with(root, &[])
    }

    /// Opens the store at `root`, whose commit log lies in these directories, besides or in place of the usual one.
    ///
    /// # Errors
    /// [`StoreError`] if it is not a store or cannot be read.
    pub fn open_with(root: &Path, more_commit_logs: &[PathBuf]) -> Result<Self, StoreError> {
        for directory in std::iter::once(root).chain(more_commit_logs.iter().map(PathBuf::as_path)) {
            if !directory.is_dir() {
                return Err(StoreError::NotADirectory(directory.to_owned()));
            }
        }
        let usual = root.join(COMMIT_LOG);
        let mut commit_logs: Vec<PathBuf> = usual.is_dir().then_some(usual).into_iter().collect();
        for directory in more_commit_logs {
            if !commit_logs.contains(directory) {
                commit_logs.push(directory.clone());
            }
        }
        if commit_logs.is_empty() {
            return Err(no_store(root)?);
        }
        let mut store = Self { root: root.to_owned(), commit_logs, features: Vec::new() };
        let log_files = store.commit_log_files()?;
        store.features = feature::detect(root, &log_files).map_err(|source| read_error(root, source))?;
        Ok(store)
    }

    /// The store root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Directories with files of the commit log; at least one.
    #[must_use]
    pub fn commit_log_directories(&self) -> &[PathBuf] {
        &self.commit_logs
    }

    /// Parts of the store that are not read. Warn about them; with [`Feature::DLedger`] the log is not complete.
    #[must_use]
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// Files of the commit log over all directories, in the order of the log. Of a file that is in two directories the
    /// longer one is returned; their contents are not compared.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub fn commit_log_files(&self) -> Result<Vec<NumberedFile>, StoreError> {
        let mut files: BTreeMap<i64, NumberedFile> = BTreeMap::new();
        for directory in &self.commit_logs {
            let found = numbered_files(directory, LOG_NAME_DIGITS);
            for file in found.map_err(|source| read_error(directory, source))? {
                let is_longer = files.get(&file.base).is_none_or(|first| first.bytes < file.bytes);
                if is_longer {
                    files.insert(file.base, file);
                }
            }
        }
        Ok(files.into_values().collect())
    }

    /// Consume queues, batch queues included, in order of topic and number; none if they are in RocksDB.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub fn consume_queues(&self) -> Result<Vec<QueueDirectory>, StoreError> {
        let mut queues = Vec::new();
        for (folder, is_batch) in [(CONSUME_QUEUES, false), (BATCH_CONSUME_QUEUES, true)] {
            let folder = self.root.join(folder);
            for (topic, topic_folder) in folders(&folder).map_err(|source| read_error(&folder, source))? {
                let numbered = folders(&topic_folder).map_err(|source| read_error(&topic_folder, source))?;
                queues.extend(numbered.into_iter().filter_map(|(number, path)| {
                    let queue_id = number.parse().ok()?;
                    Some(QueueDirectory { topic: topic.clone(), queue_id, is_batch, path })
                }));
            }
        }
        queues.sort_unstable();
        Ok(queues)
    }

    /// Index files, the oldest first. Their names are times in the broker's zone.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub fn index_files(&self) -> Result<Vec<NumberedFile>, StoreError> {
        let folder = self.root.join(INDEX);
        numbered_files(&folder, INDEX_NAME_DIGITS).map_err(|source| read_error(&folder, source))
    }

    /// The checkpoint; `None` if it does not exist or is not complete.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        let path = self.root.join(CHECKPOINT);
        let mut bytes = Vec::with_capacity(CHECKPOINT_BYTES);
        let read = if_there(File::open(&path)).and_then(|file| {
            file.map(|file| file.take(CHECKPOINT_BYTES as u64).read_to_end(&mut bytes)).transpose()
        });
        read.map_err(|source| read_error(&path, source))?;
        Ok(Checkpoint::decode(&bytes).ok())
    }

    /// `consumerOffset.json` or its backup; `None` if neither is there.
    ///
    /// # Errors
    /// [`StoreError::Read`], or [`StoreError::Config`] if neither can be decoded.
    pub fn consumer_offsets(&self) -> Result<Option<ConsumerOffsets>, StoreError> {
        self.config(broker_config::CONSUMER_OFFSETS, broker_config::consumer_offsets)
    }

    /// `topics.json` or its backup; `None` if neither is there.
    ///
    /// # Errors
    /// As [`StoreDirectory::consumer_offsets`].
    pub fn topics(&self) -> Result<Option<Vec<Topic>>, StoreError> {
        self.config(broker_config::TOPICS, broker_config::topics)
    }

    /// `subscriptionGroup.json` or its backup; `None` if neither is there.
    ///
    /// # Errors
    /// As [`StoreDirectory::consumer_offsets`].
    pub fn subscription_groups(&self) -> Result<Option<Vec<SubscriptionGroup>>, StoreError> {
        self.config(broker_config::SUBSCRIPTION_GROUPS, broker_config::subscription_groups)
    }

    /// `delayOffset.json` or its backup; `None` if neither is there.
    ///
    /// # Errors
    /// As [`StoreDirectory::consumer_offsets`].
    pub fn delay_offsets(&self) -> Result<Option<BTreeMap<i32, i64>>, StoreError> {
        self.config(broker_config::DELAY_OFFSETS, broker_config::delay_offsets)
    }

    /// The physical offset up to which consume queues point at records that are still in the log; `None` without such
    /// queues.
    ///
    /// It is a hint to check where a walk through the log ended. Records without a queue item can follow, and after a
    /// crash old items can stand behind the end of a queue.
    ///
    /// # Errors
    /// [`StoreError`] as of [`StoreDirectory::consume_queues`] and [`StoreDirectory::commit_log_files`].
    pub fn confirmed_end(&self) -> Result<Option<i64>, StoreError> {
        let files = self.commit_log_files()?;
        let (Some(first), Some(last)) = (files.first(), files.last()) else { return Ok(None) };
        let log: Range<i64> = first.base..last.base.saturating_add_unsigned(last.bytes);
        confirmed_end(&self.consume_queues()?, &log).map_err(|source| read_error(&self.root, source))
    }

    /// What is wrong with the JSON files of the broker, a sentence each.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub fn config_problems(&self) -> Result<Vec<String>, StoreError> {
        config_file::problems(&self.root.join(CONFIG))
    }

    fn config<T>(
        &self,
        name: &str,
        decode: fn(&[u8]) -> Result<T, ConfigError>,
    ) -> Result<Option<T>, StoreError> {
        config_file::load(&self.root.join(CONFIG), name, decode)
    }
}

/// Why a directory without a commit log is not a store.
fn no_store(root: &Path) -> Result<StoreError, StoreError> {
    let dledger = feature::dledger_folders(root).map_err(|source| read_error(root, source))?;
    if let Some(log) = dledger.into_iter().next() {
        return Ok(StoreError::OnlyDLedger(log));
    }
    let has_store_above = root.parent().is_some_and(|parent| parent.join(COMMIT_LOG).is_dir());
    Ok(if has_store_above {
        StoreError::InsideStore(root.to_owned())
    } else {
        StoreError::NoCommitLog(root.to_owned())
    })
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
