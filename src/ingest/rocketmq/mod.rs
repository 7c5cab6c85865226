//! Import of a RocketMQ broker's store directory: its commit log, its index files, its consumer offsets.
//!
//! One stream, the commit log by physical offset, feeds five tables. The queue offsets at each commit are stored beside
//! it, so that following the broker goes on where the import ended, and the other way round: what one brought the
//! other drops. An import can be killed anywhere and started again.

mod lost_keys;
mod queues;
mod read;
mod samples;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use serde::Serialize;
use tokio::sync::mpsc;

use super::commit::{Encoded, TablePosition, blocking, encode, encode_ahead};
use super::{Progress, check_group};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::schema::SYSTEM_ROCKETMQ;
use crate::lake::{Gap, Lake, Log, Owner, Settled, StreamId};
use crate::replay::{
    QueueOffsets, ROCKETMQ_TABLES, RocketMqBatch, RocketMqCounts, RocketMqReplay, RocketMqSettings,
    TableFloor,
};
use crate::source::Skipped;
use crate::source::rocketmq::log;
use crate::source::rocketmq::store::{StoreDirectory, StoreError};
use read::{Flush, Reading};

/// What to import.
#[derive(Debug, Clone)]
pub struct RocketMqImport {
    /// Store directory of the broker.
    pub store: PathBuf,
    /// Name of the broker.
    pub broker: String,
    /// Topics with traces beside the usual ones; others are recognised by what they hold.
    pub trace_topics: Vec<String>,
    /// Further directories of the commit log, of a broker that spreads it.
    pub commit_logs: Vec<PathBuf>,
    /// Go on behind damage.
    pub skip_corrupt: bool,
}

/// What an import did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RocketMqSummary {
    /// Messages and events.
    pub messages: RocketMqCounts,
    /// Entries of index files whose records are gone.
    pub lost_keys: u64,
    /// Damage that was passed over.
    pub skipped: Vec<Skipped>,
    /// Stretches that the broker had removed before this import.
    pub gaps: Vec<Gap>,
    /// How the end of the log was told.
    pub end: String,
    /// Bytes of the log read.
    pub bytes_read: u64,
    /// Commits made.
    pub commits: u64,
    /// Files of closed days merged.
    #[serde(skip)]
    pub settled: Settled,
}

/// Looks whether a directory is a store that can be imported.
///
/// # Errors
/// [`Error::Input`] that says what is missing.
pub fn check_rocketmq_store(root: &std::path::Path, commit_logs: &[PathBuf]) -> Result<()> {
    StoreDirectory::open_with(root, commit_logs).map(drop).map_err(store_error)
}

impl Lake {
    /// Imports the store directory of a RocketMQ broker.
    ///
    /// # Errors
    /// [`Error::Input`] or [`Error::Corrupt`] about the directory, [`Error::Store`] about the lake; what was committed
    /// before stays and the next run goes on from there.
    pub async fn import_rocketmq(
        &self,
        request: &RocketMqImport,
        config: &Config,
        progress: Arc<Progress>,
        now: DateTime<Utc>,
    ) -> Result<RocketMqSummary> {
        check_group(&request.broker)?;
        let store = {
            let (root, more) = (request.store.clone(), request.commit_logs.clone());
            tokio::task::spawn_blocking(move || StoreDirectory::open_with(&root, &more).map_err(store_error))
                .await??
        };
        for feature in store.features() {
            tracing::warn!("the store also has {feature:?}, which is not read; its commit log is");
        }
        let owner = Owner::of(SYSTEM_ROCKETMQ, &request.broker);
        let _lock = self.become_writer(&owner).await?;
        // from now on the broker is known
        self.rocketmq_gaps(&request.broker).await?;
        let stream = StreamId::rocketmq(&request.broker, Log::CommitLog);
        let mut tables = self.positions(&stream, ROCKETMQ_TABLES).await?;
        let mut summary = RocketMqSummary::default();
        progress.enter("keys");
        let store = Arc::new(store);
        self.import_lost_keys(&store, &request.broker, config, &mut summary).await?;
        progress.enter("messages");
        let replay = self.rocketmq_replay(request, config, &stream, &tables, &store).await?;
        let from = lowest(&tables);
        let reading = Reading {
            store: store.clone(),
            from,
            stream: stream.clone(),
            skip_corrupt: request.skip_corrupt,
            flush_rows: config.import.flush_rows,
            flush_bytes: usize::try_from(config.import.flush_bytes.as_u64()).unwrap_or(usize::MAX),
            progress: progress.clone(),
        };
        let (sender, flushes) = mpsc::channel::<Flush>(1);
        let reading = tokio::task::spawn_blocking(move || reading.run(replay, &sender));
        let mut committing = Ok(());
        let mut encoding = Box::pin(encode_ahead(flushes, |flush| self.encode_rocketmq(flush, &stream)));
        while let Some(encoded) = encoding.next().await {
            committing = match encoded {
                Ok(encoded) => self.commit_rocketmq(encoded, &stream, &mut tables, &mut summary).await,
                Err(error) => Err(error),
            };
            if committing.is_err() {
                break;
            }
        }
        drop(encoding);
        let read = reading.await?;
        committing?;
        let read = read?;
        summary.messages = read.counts;
        summary.skipped = read.skipped;
        summary.gaps = read.gaps;
        summary.end = read.end;
        self.import_sample(&store, &request.broker, read.offsets, &mut summary).await?;
        progress.enter("settling");
        summary.settled = self.settle(now, &owner).await?;
        // of days that are still open as well: a look-up asks every file
        self.compact(now, 2, &owner).await?;
        self.vacuum().await?;
        summary.bytes_read = progress.bytes();
        progress.finish();
        Ok(summary)
    }

    /// A replay that goes on where the tables stand.
    async fn rocketmq_replay(
        &self,
        request: &RocketMqImport,
        config: &Config,
        stream: &StreamId,
        tables: &[TablePosition; 5],
        store: &StoreDirectory,
    ) -> Result<RocketMqReplay> {
        let pulled = StreamId::rocketmq(&request.broker, Log::Pulled);
        let mut offsets = match lowest(tables) {
            Some(position) => QueueOffsets::from_bytes(&self.state(stream, position).await?)?,
            None => QueueOffsets::default(),
        };
        for group in store.subscription_groups().map_err(store_error)?.unwrap_or_default() {
            offsets.groups.insert(group.name);
        }
        let other = self.positions(&pulled, ROCKETMQ_TABLES).await?;
        let known = self.states_at(&pulled, &other).await?;
        let mut floors: [TableFloor; 5] = Default::default();
        for ((floor, table), other) in floors.iter_mut().zip(tables).zip(&other) {
            floor.position = table.position.unwrap_or(0);
            floor.queues = other.position.and_then(|position| known.get(&position).cloned());
        }
        let settings = RocketMqSettings {
            content: config.import.content,
            max_body: usize::try_from(config.import.max_body.as_u64()).unwrap_or(usize::MAX),
            trace_topics: request.trace_topics.clone(),
        };
        Ok(RocketMqReplay::new(settings, floors, offsets))
    }

    /// The queue offsets at the positions of tables in a stream.
    pub(crate) async fn states_at(
        &self,
        stream: &StreamId,
        tables: &[TablePosition],
    ) -> Result<HashMap<u64, Arc<QueueOffsets>>> {
        let mut states = HashMap::new();
        for position in tables.iter().filter_map(|table| table.position) {
            if let std::collections::hash_map::Entry::Vacant(entry) = states.entry(position) {
                let offsets = QueueOffsets::from_bytes(&self.state(stream, position).await?)?;
                entry.insert(Arc::new(offsets));
            }
        }
        Ok(states)
    }

    async fn encode_rocketmq(&self, flush: Flush, stream: &StreamId) -> Result<EncodedFlush> {
        let batch = Arc::new(flush.batch);
        let job = |table: usize| {
            let (broker, settings) = (stream.broker_group.clone(), self.settings.clone());
            blocking(&batch, move |batch: &RocketMqBatch| {
                let tables = batch.tables();
                let rows =
                    tables.get(table).ok_or_else(|| Error::Invariant("there are five tables".to_owned()))?;
                encode(*rows, &batch.context(&broker), &settings)
            })
        };
        let (a, b, c, d, e) = tokio::try_join!(job(0), job(1), job(2), job(3), job(4))?;
        Ok(EncodedFlush { files: [a, b, c, d, e], state: flush.state, to: flush.to })
    }

    async fn commit_rocketmq(
        &self,
        encoded: EncodedFlush,
        stream: &StreamId,
        tables: &mut [TablePosition; 5],
        summary: &mut RocketMqSummary,
    ) -> Result<()> {
        let EncodedFlush { files, state, to } = encoded;
        if tables.iter().all(|table| table.position.is_some_and(|known| known >= to)) {
            return Ok(());
        }
        self.put_state(stream, to, state).await?;
        for (encoded, position) in files.into_iter().zip(tables.iter_mut()) {
            if self.commit_encoded(encoded, stream, position, to).await? {
                summary.commits += 1;
            }
        }
        if let Some(lowest) = lowest(tables) {
            self.drop_states_below(stream, lowest).await?;
        }
        Ok(())
    }
}

struct EncodedFlush {
    files: [Encoded; 5],
    state: bytes::Bytes,
    to: u64,
}

/// Where replay goes on: `None` before the first commit of any table.
fn lowest(tables: &[TablePosition; 5]) -> Option<u64> {
    tables.iter().map(|table| table.position).min().flatten()
}

fn store_error(error: StoreError) -> Error {
    let path = match &error {
        StoreError::NotADirectory(path)
        | StoreError::NoCommitLog(path)
        | StoreError::InsideStore(path)
        | StoreError::OnlyDLedger(path)
        | StoreError::Conflict(path)
        | StoreError::Read { path, .. }
        | StoreError::Config { path, .. } => path.clone(),
    };
    let text = error.to_string();
    let reason = text.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&text).to_owned();
    Error::input(&path, reason)
}

fn log_error(error: log::Error, broker: &str, stream: &StreamId) -> Error {
    let advice = match &error {
        log::Error::Rewritten { .. } | log::Error::BeyondEnd { .. } => format!(
            ". {stream} was imported up to there earlier: the log was recreated, or is that of another broker. Use \
             another --broker than `{broker}`, or another --data"
        ),
        _ => String::new(),
    };
    Error::Input { path: stream.to_string(), reason: format!("{error}{advice}") }
}
