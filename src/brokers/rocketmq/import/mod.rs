//! Import of a RocketMQ broker's store directory: its commit log, its index files, its consumer offsets.
//!
//! One stream, the commit log by physical offset, feeds five tables. The queue offsets at each commit are stored beside
//! it, so that following the broker goes on where the import ended, and the other way round: what one brought the
//! other drops. An import can be killed anywhere and started again.
//!
//! A log is compared with what was read of it before reading goes on. Where it has become another one (the broker lost
//! its end, or all of it), the stream turns to it: an empty commit moves all tables to a position that stands for the
//! first new record. So positions only grow, and the rows are the projection of all that was read.

mod lost_keys;
mod posted;
mod queues;
mod read;
mod resume;
mod samples;

pub use posted::PostedTraces;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use serde::Serialize;
use tokio::sync::mpsc;

use super::replay::{
    QueueOffsets, ROCKETMQ_TABLES, RocketMqBatch, RocketMqCounts, RocketMqReplay, RocketMqSettings,
    TableFloor,
};
use super::store::log::CommitLog;
use super::store::{StoreDirectory, StoreError, log};
use crate::brokers::qmq::import::check_group;
use crate::brokers::qmq::store::Skipped;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::schema::SYSTEM_ROCKETMQ;
use crate::lake::{Gap, Lake, Log, Move, Outcome, Owner, Replaced, Settled, StreamId};
use crate::rows::DayRule;
use crate::stream::{Encoded, Progress, TablePosition, blocking, encode, encode_ahead};
use read::{Flush, ReadResult, Reading};
use resume::{Known, Resume, Start, Turn};

/// Most queues that a warning names.
const MOST_NAMED_QUEUES: usize = 20;

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
    /// Ends of the log that were read earlier, and that the broker lost since.
    pub replaced: Vec<Replaced>,
    /// What an operator should know.
    pub warnings: Vec<String>,
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
        let mut summary = RocketMqSummary::default();
        for feature in store.features() {
            summary.warn(format!("{feature}; the commit log is"));
        }
        for problem in store.config_problems().map_err(store_error)? {
            summary.warn(problem);
        }
        let owner = Owner::of(SYSTEM_ROCKETMQ, &request.broker);
        let _lock = self.become_writer(&owner).await?;
        // from now on the broker is known
        self.rocketmq_gaps(&request.broker).await?;
        let stream = StreamId::rocketmq(&request.broker, Log::CommitLog);
        let mut tables = self.positions(&stream, ROCKETMQ_TABLES).await?;
        let store = Arc::new(store);
        progress.enter("keys");
        self.import_lost_keys(&store, &request.broker, config, &mut summary).await?;
        progress.enter("messages");
        let offsets = self.known_offsets(&stream, &tables, &store).await?;
        let resumed =
            self.resume_rocketmq(&store, &stream, offsets, &mut tables, config, &mut summary).await?;
        let read = match resumed {
            Resumed::Reading { offsets, from, known } => {
                let replay = self.rocketmq_replay(request, config, &tables, offsets).await?;
                let reading = Reading {
                    store: store.clone(),
                    from,
                    known,
                    stream: stream.clone(),
                    skip_corrupt: request.skip_corrupt,
                    flush_rows: config.import.flush_rows,
                    flush_bytes: usize::try_from(config.import.flush_bytes.as_u64()).unwrap_or(usize::MAX),
                    progress: progress.clone(),
                };
                self.read_rocketmq(reading, replay, &self.days(now), &stream, &mut tables, &mut summary)
                    .await?
            }
            Resumed::Nothing { offsets, end } => ReadResult { offsets, end, ..ReadResult::default() },
        };
        read.warnings.into_iter().for_each(|warning| summary.warn(warning));
        summary.messages = read.counts;
        summary.skipped = read.skipped;
        summary.gaps = read.gaps;
        summary.end = read.end;
        self.import_sample(&store, &request.broker, read.offsets, now, &mut summary).await?;
        progress.enter_work("settling", self.bytes_to_settle(now).await?);
        summary.settled = self.settle_with(now, &owner, &|bytes| progress.worked(bytes)).await?;
        // of days that are still open as well: a look-up asks every file
        self.compact(now, 2, &owner).await?;
        self.vacuum().await?;
        summary.bytes_read = progress.bytes();
        progress.finish();
        Ok(summary)
    }

    /// What was read of a broker at the lowest position of the tables, with the groups that its store names.
    async fn known_offsets(
        &self,
        stream: &StreamId,
        tables: &[TablePosition; 5],
        store: &StoreDirectory,
    ) -> Result<QueueOffsets> {
        let mut offsets = match lowest(tables) {
            Some(position) => QueueOffsets::from_bytes(&self.state(stream, position).await?)?,
            None => QueueOffsets::default(),
        };
        // what is wrong with the file was told before; messages need no groups
        let groups = unless_damaged(store.subscription_groups())?.unwrap_or_default();
        offsets.groups.extend(groups.into_iter().map(|group| group.name));
        Ok(offsets)
    }

    /// Compares the log with what was read of it, and turns the stream to it if it has become another one.
    async fn resume_rocketmq(
        &self,
        store: &Arc<StoreDirectory>,
        stream: &StreamId,
        mut offsets: QueueOffsets,
        tables: &mut [TablePosition; 5],
        config: &Config,
        summary: &mut RocketMqSummary,
    ) -> Result<Resumed> {
        let broker = &stream.broker_group;
        let known =
            Known { records: self.known_records(broker).await?, runtime: tokio::runtime::Handle::current() };
        let from = lowest(tables).map(|position| offsets.trail.offset(position));
        let check_bytes = config.import.check_bytes.as_u64();
        let job = {
            let (store, offsets, stream) = (store.clone(), offsets.clone(), stream.clone());
            move || {
                let mut known = known;
                let fail = |error| log_error(error, &stream);
                let log = CommitLog::open(store.commit_log_directories()).map_err(fail)?;
                if log.start_of_log().is_none() {
                    return Err(read::no_files(&store));
                }
                let resume = Resume { log: &log, offsets: &offsets, from, check_bytes };
                Ok((resume.start(&mut known, fail)?, known))
            }
        };
        let (start, known) = tokio::task::spawn_blocking(job).await??;
        match start {
            Start::At(from) => {
                // what the running broker sent is known record by record, too
                let is_followed = self.is_begun(&StreamId::rocketmq(broker, Log::Pulled)).await?;
                Ok(Resumed::Reading { offsets, from, known: is_followed.then_some(known) })
            }
            Start::Turn(turn) => {
                let at = turn.at;
                self.turn_rocketmq(stream, &mut offsets, tables, turn, from.unwrap_or(0), summary).await?;
                Ok(Resumed::Reading { offsets, from: Some(at), known: Some(known) })
            }
            Start::Nothing { end } => {
                summary.warn(format!(
                    "the log ends at offset {end}, before {} up to which it was imported earlier: this copy is older, or \
                     the broker lost the end of its log and has written nothing since. There is nothing new in it",
                    from.unwrap_or(0)
                ));
                Ok(Resumed::Nothing { offsets, end: format!("offset {end}: nothing is new") })
            }
        }
    }

    /// From an offset on the log is another one: all tables move to a position that stands for that offset.
    async fn turn_rocketmq(
        &self,
        stream: &StreamId,
        offsets: &mut QueueOffsets,
        tables: &mut [TablePosition; 5],
        turn: Turn,
        was_read_to: u64,
        summary: &mut RocketMqSummary,
    ) -> Result<()> {
        let highest = tables.iter().filter_map(|table| table.position).max().unwrap_or(0);
        let position = highest.saturating_add(1);
        let at = i64::try_from(turn.at).unwrap_or(i64::MAX);
        offsets.turn(at, &turn.places);
        offsets.trail.turn(turn.at, position);
        offsets.last_stored = turn.last_stored;
        let replaced =
            Replaced { stream: stream.to_string(), from: turn.at, to: was_read_to, queues: turn.queues };
        summary.warn(describe(&replaced, turn.is_whole));
        self.note_replaced(&stream.broker_group, replaced.clone()).await?;
        summary.replaced.push(replaced);
        self.put_state(stream, position, offsets.to_bytes()?).await?;
        for table in tables.iter_mut() {
            let moves = [Move { stream: stream.clone(), from: table.position, to: position }];
            let (beside, attempts) = (table.rests_on(stream), self.settings.commit_attempts);
            match self.table(table.def)?.append_beside(&[], &moves, beside.as_ref(), attempts).await? {
                Outcome::Committed => table.position = Some(position),
                Outcome::Moved | Outcome::BesideMoved | Outcome::Stale => {
                    return Err(Error::Usage(format!(
                        "another process is importing {stream}; one writer per broker, please"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Reads the log and commits what it brings.
    async fn read_rocketmq(
        &self,
        reading: Reading,
        replay: RocketMqReplay,
        days: &DayRule,
        stream: &StreamId,
        tables: &mut [TablePosition; 5],
        summary: &mut RocketMqSummary,
    ) -> Result<ReadResult> {
        let (sender, flushes) = mpsc::channel::<Flush>(1);
        let reading = tokio::task::spawn_blocking(move || reading.run(replay, &sender));
        let mut committing = Ok(());
        let mut encoding = Box::pin(encode_ahead(flushes, |flush| self.encode_rocketmq(flush, stream, days)));
        while let Some(encoded) = encoding.next().await {
            committing = match encoded {
                Ok(encoded) => self.commit_rocketmq(encoded, stream, tables, summary).await,
                Err(error) => Err(error),
            };
            if committing.is_err() {
                break;
            }
        }
        drop(encoding);
        let read = reading.await?;
        committing?;
        read
    }

    /// A replay that goes on where the tables stand.
    async fn rocketmq_replay(
        &self,
        request: &RocketMqImport,
        config: &Config,
        tables: &[TablePosition; 5],
        offsets: QueueOffsets,
    ) -> Result<RocketMqReplay> {
        let pulled = StreamId::rocketmq(&request.broker, Log::Pulled);
        let other = self.positions(&pulled, ROCKETMQ_TABLES).await?;
        let states = self.states_at(&pulled, &other).await?;
        let state =
            |table: &TablePosition| table.position.and_then(|position| states.get(&position).cloned());
        let [.., message, _] = &other;
        let mut floors: [TableFloor; 5] = Default::default();
        for ((floor, table), other) in floors.iter_mut().zip(tables).zip(&other) {
            floor.position = table.position.unwrap_or(0);
            if other.position != message.position {
                floor.read.extend(state(other));
                floor.beside = Some(state(message).unwrap_or_default());
            }
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

    async fn encode_rocketmq(&self, flush: Flush, stream: &StreamId, days: &DayRule) -> Result<EncodedFlush> {
        let batch = Arc::new(flush.batch);
        let job = |table: usize| {
            let (broker, settings, days) = (stream.broker_group.clone(), self.settings.clone(), days.clone());
            blocking(&batch, move |batch: &RocketMqBatch| {
                let tables = batch.tables();
                let rows =
                    tables.get(table).ok_or_else(|| Error::Invariant("there are five tables".to_owned()))?;
                encode(*rows, &batch.context(&broker), &settings, &days)
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

/// How an import goes on.
enum Resumed {
    /// It reads from an offset on.
    Reading { offsets: QueueOffsets, from: Option<u64>, known: Option<Known> },
    /// There is nothing to read.
    Nothing { offsets: QueueOffsets, end: String },
}

impl RocketMqSummary {
    /// Tells an operator something, at once and in the end.
    fn warn(&mut self, what: String) {
        tracing::warn!("{what}");
        self.warnings.push(what);
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
        | StoreError::Read { path, .. }
        | StoreError::Config { path, .. } => path.clone(),
    };
    let text = error.to_string();
    let reason = text.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&text).to_owned();
    Error::input(&path, reason)
}

fn log_error(error: log::Error, stream: &StreamId) -> Error {
    Error::Input { path: stream.to_string(), reason: error.to_string() }
}

/// What a configuration file of the broker says; nothing if it is damaged, which is told elsewhere.
fn unless_damaged<T>(file: std::result::Result<Option<T>, StoreError>) -> Result<Option<T>> {
    match file {
        Err(StoreError::Config { .. }) => Ok(None),
        other => other.map_err(store_error),
    }
}

/// What was lost, for operators.
fn describe(replaced: &Replaced, is_whole: bool) -> String {
    let Replaced { stream, from, to, queues } = replaced;
    if is_whole {
        return format!(
            "the commit log is another one than the one that was imported as {stream}: the broker was made anew, or the \
             store is that of another broker. What was imported up to offset {to} stays; the new log is imported beside \
             it, from offset {from} on. If this is another broker, import it into another --data with a --broker of its own"
        );
    }
    let mut lost: Vec<String> = queues
        .iter()
        .take(MOST_NAMED_QUEUES)
        .map(|queue| format!("{}/{} {} to {}", queue.topic, queue.queue_id, queue.from, queue.to - 1))
        .collect();
    if queues.len() > MOST_NAMED_QUEUES {
        lost.push(format!("{} more queues", queues.len() - MOST_NAMED_QUEUES));
    }
    format!(
        "the broker lost the end of its log and wrote other records there: offsets {from} to {to} of {stream} were imported \
         earlier and are not in it any more. Queue offsets that were used again: {}. The messages that were lost stay in \
         the tables; those that the broker has now are imported from offset {from} on",
        if lost.is_empty() { "none".to_owned() } else { lost.join(", ") }
    )
}
