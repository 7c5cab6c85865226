//! Import of a RocketMQ broker's store directory: its commit log, its index files, its consumer offsets.
//!
//! One stream, the commit log by physical offset, feeds five tables. The queue offsets at each commit are stored beside
//! it, so that following the broker resumes where the import ended, and the other way round: rows that one brought are
//! dropped by the other. An import can be killed anywhere and started again. It keeps no other state between runs and
//! never talks to a broker.
//!
//! **LOG-TURN**: before reading resumes, a log is compared with what was read of it. Where it has been replaced (the
//! broker lost its end, or all of it), an empty commit moves all tables to a position that stands for the first new
//! record. So positions only grow, and the rows are the projection of everything that was read.

mod errors;
mod lost_keys;
mod posted;
mod queues;
mod read;
mod resume;
mod samples;
mod summary;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::replay::{QueueOffsets, RocketMqReplay, RocketMqSettings, TableFloor};
use super::store::StoreDirectory;
use super::store::log::CommitLog;
use crate::brokers::rocketmq::logs;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::schema::{MESSAGE, SYSTEM_ROCKETMQ};
use crate::lake::{Lake, Move, Outcome, Owner, Replaced, StreamId, StreamInfo};
use crate::stream::{Progress, TablePosition, check_group, lowest};
use errors::{log_error, store_error, unless_damaged};
use read::{ReadResult, Reading};
use resume::{Known, Replacement, Resume, Start};

pub use posted::PostedTraces;
pub use summary::{RocketMqImport, RocketMqSummary};

/// Most queues that a warning names.
const MOST_NAMED_QUEUES: usize = 20;

/// Checks whether a directory is a store that can be imported.
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
    /// before stays and the next run resumes there.
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
        // from now on the broker is known to the lake
        self.stream_info_or(StreamInfo::new(SYSTEM_ROCKETMQ, &request.broker, logs::PULLED)).await?;
        let stream = logs::stream(&request.broker, logs::COMMIT_LOG);
        let mut tables = self.positions(&stream).await?;
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
                    replay,
                    store: store.clone(),
                    from,
                    known,
                    stream: stream.clone(),
                    skip_corrupt: request.skip_corrupt,
                    flush_rows: config.import.flush_rows,
                    flush_bytes: usize::try_from(config.import.flush_bytes.as_u64()).unwrap_or(usize::MAX),
                    progress: progress.clone(),
                };
                let imported = self.import_log(reading, &stream, &mut tables, &self.days(now)).await?;
                summary.commits += imported.commits;
                imported.outcome
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
        // days that are still open are compacted, too: a look-up asks every file
        self.compact(now, 2, &owner).await?;
        self.vacuum().await?;
        summary.bytes_read = progress.bytes();
        progress.finish();
        Ok(summary)
    }

    /// The queue offsets at the lowest position of the tables, with the groups that the store names.
    async fn known_offsets(
        &self,
        stream: &StreamId,
        tables: &[TablePosition],
        store: &StoreDirectory,
    ) -> Result<QueueOffsets> {
        let mut offsets = match lowest(tables) {
            Some(position) => QueueOffsets::from_bytes(&self.state(stream, position).await?)?,
            None => QueueOffsets::default(),
        };
        // the file's problem was reported before; messages need no groups
        let groups = unless_damaged(store.subscription_groups())?.unwrap_or_default();
        offsets.groups.extend(groups.into_iter().map(|group| group.name));
        Ok(offsets)
    }

    /// Compares the log with what was read of it, and moves the tables if it has been replaced.
    async fn resume_rocketmq(
        &self,
        store: &Arc<StoreDirectory>,
        stream: &StreamId,
        mut offsets: QueueOffsets,
        tables: &mut [TablePosition],
        config: &Config,
        summary: &mut RocketMqSummary,
    ) -> Result<Resumed> {
        let broker = &stream.broker_group;
        let known = Known {
            records: self.known_records(&stream.system, broker).await?,
            runtime: tokio::runtime::Handle::current(),
        };
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
                let is_followed = self.is_begun(&logs::stream(broker, logs::PULLED)).await?;
                Ok(Resumed::Reading { offsets, from, known: is_followed.then_some(known) })
            }
            Start::Replaced(replacement) => {
                let at = replacement.at;
                self.replace_log(stream, &mut offsets, tables, replacement, from.unwrap_or(0), summary)
                    .await?;
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

    /// Moves all tables to a position that stands for the first offset of the new log.
    async fn replace_log(
        &self,
        stream: &StreamId,
        offsets: &mut QueueOffsets,
        tables: &mut [TablePosition],
        replacement: Replacement,
        was_read_to: u64,
        summary: &mut RocketMqSummary,
    ) -> Result<()> {
        let highest = tables.iter().filter_map(|table| table.position).max().unwrap_or(0);
        let position = highest.saturating_add(1);
        let at = i64::try_from(replacement.at).unwrap_or(i64::MAX);
        offsets.replace_from(at, &replacement.queues);
        offsets.trail.replace_from(replacement.at, position);
        offsets.last_stored = replacement.last_stored;
        let replaced = Replaced {
            stream: stream.to_string(),
            from: replacement.at,
            to: was_read_to,
            queues: replacement.lost,
        };
        summary.warn(describe(&replaced, replacement.is_whole));
        self.note_replaced(&stream.system, &stream.broker_group, replaced.clone()).await?;
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

    /// A replay that resumes where the tables stand.
    async fn rocketmq_replay(
        &self,
        request: &RocketMqImport,
        config: &Config,
        tables: &[TablePosition],
        offsets: QueueOffsets,
    ) -> Result<RocketMqReplay> {
        let pulled = logs::stream(&request.broker, logs::PULLED);
        let other = self.positions(&pulled).await?;
        let states = self.states_at(&pulled, &other).await?;
        let state =
            |table: &TablePosition| table.position.and_then(|position| states.get(&position).cloned());
        let message = other.iter().find(|table| table.def.name == MESSAGE.name);
        let message = message.ok_or_else(|| Error::Invariant("the log feeds no messages".to_owned()))?;
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
    pub(super) async fn states_at(
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
}

/// How an import resumes.
enum Resumed {
    /// It reads from an offset on.
    Reading { offsets: QueueOffsets, from: Option<u64>, known: Option<Known> },
    /// There is nothing to read.
    Nothing { offsets: QueueOffsets, end: String },
}

/// The loss, described for operators.
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
