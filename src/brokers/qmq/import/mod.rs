//! Import of a store directory: reads its logs, replays them and commits the rows to the lake.
//!
//! **PROJECTION**: the rows of a table are the projection of each stream's log up to the position that the table's
//! newest commit names for that stream. A run reads those positions, replays from the lowest, drops what a table
//! already has, and commits rows together with the new position. It keeps no other state between runs, so it can be
//! killed anywhere and started again. It never talks to a broker.

mod actions;
mod messages;

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::logs;
use super::replay::{ActionCounts, Floors, MessageCounts, MessageReplay};
use super::resume::action_replay;
use super::store::{
    ActionFormat, BrokerStore, LogFormat, MessageFormat, MessageSource, ReadOptions, Seen, Segments,
};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::schema::SYSTEM_QMQ;
use crate::lake::{Gap, Lake, Log, Owner, Settled, StreamId, StreamInfo};
use crate::rows::DayRule;
use crate::stream::{Imported, Progress, Skipped, TablePosition, check_group, lowest};
use actions::ActionReader;
use messages::MessageReader;

/// What to import.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    /// Store directory of a QMQ broker, slave or Java backup.
    pub store: PathBuf,
    /// Broker group it belongs to.
    pub broker_group: String,
    /// Skip damage instead of stopping there.
    pub skip_corrupt: bool,
}

/// What an import did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// Messages by kind.
    pub messages: MessageCounts,
    /// Pulls, acks and the rows made of them.
    pub actions: ActionCounts,
    /// Records of the logs without usable content.
    pub unusable: u64,
    /// Damage that was skipped.
    pub skipped: Vec<Skipped>,
    /// Stretches that the broker had removed before this import.
    pub gaps: Vec<Gap>,
    /// Pull ranges that no longer fitted in memory, so that their acks stay unresolved.
    pub forgotten_pull_ranges: u64,
    /// Bytes of logs read.
    pub bytes_read: u64,
    /// Commits made.
    pub commits: u64,
    /// Files of closed days merged.
    #[serde(skip)]
    pub settled: Settled,
}

/// Where reading of a log starts.
struct Start {
    stream: StreamId,
    tables: Vec<TablePosition>,
    from: u64,
}

impl Lake {
    /// Imports the logs of a store directory.
    ///
    /// # Errors
    /// [`Error::Input`] or [`Error::Corrupt`] about the directory, [`Error::Store`] about the lake; what was
    /// committed before stays and the next run resumes there.
    pub async fn import(
        &self,
        request: &ImportRequest,
        config: &Config,
        progress: Arc<Progress>,
        now: DateTime<Utc>,
    ) -> Result<Summary> {
        check_group(&request.broker_group)?;
        let found = {
            let request = request.clone();
            tokio::task::spawn_blocking(move || BrokerStore::find(&request.store, request.skip_corrupt))
                .await??
        };
        let owner = Owner::of(SYSTEM_QMQ, &request.broker_group);
        let _lock = self.become_writer(&owner).await?;
        let info = self.claim(&request.broker_group, found.messages.as_ref().map(MessageSource::log)).await?;
        let mut summary = Summary::default();
        let options = ReadOptions {
            skip_corrupt: request.skip_corrupt,
            bytes_read: progress.bytes_read.clone(),
            seen: None,
        };
        let days = self.days(now);
        let messages = match (&found.messages, &info) {
            (Some(source), Some(info)) => {
                let log = logs::messages_of(info);
                let start =
                    self.start(log, source.segments(), MessageFormat::SEGMENT_BYTES, &mut summary).await?;
                progress.add_total(source.segments().bytes_from(start.from));
                Some((source, start))
            }
            _ => None,
        };
        let actions = match &found.actions {
            Some(segments) => {
                let log = logs::stream(&request.broker_group, logs::ACTION);
                let start = self.start(log, segments, ActionFormat::SEGMENT_BYTES, &mut summary).await?;
                progress.add_total(segments.bytes_from(start.from));
                Some((segments, start))
            }
            None => None,
        };
        if let Some((source, start)) = messages {
            progress.enter("messages");
            self.import_messages(source, start, &days, config, &options, &mut summary).await?;
        }
        if let Some((segments, start)) = actions {
            progress.enter("actions");
            self.import_actions(segments, start, &days, config, &options, &mut summary).await?;
        }
        progress.enter_work("settling", self.bytes_to_settle(now).await?);
        summary.settled = self.settle_with(now, &owner, &|bytes| progress.worked(bytes)).await?;
        self.vacuum().await?;
        summary.bytes_read = progress.bytes();
        progress.finish();
        Ok(summary)
    }

    /// Where reading of a log starts.
    async fn start(
        &self,
        stream: StreamId,
        segments: &Segments,
        segment_bytes: u64,
        summary: &mut Summary,
    ) -> Result<Start> {
        let tables = self.positions(&stream).await?;
        let from = start_of(&stream, segments, segment_bytes, lowest(&tables), summary)?;
        Ok(Start { stream, tables, from })
    }

    async fn import_messages(
        &self,
        source: &MessageSource,
        start: Start,
        days: &DayRule,
        config: &Config,
        options: &ReadOptions,
        summary: &mut Summary,
    ) -> Result<()> {
        let Start { stream, mut tables, from } = start;
        let max_body = usize::try_from(config.import.max_body.as_u64()).unwrap_or(usize::MAX);
        let reader = MessageReader {
            segments: source.segments().clone(),
            is_index: matches!(source, MessageSource::IndexLog(_)),
            options: ReadOptions { seen: seen_of(self, &stream, from).await?, ..options.clone() },
            from,
            replay: MessageReplay::new(Floors::of(&tables)?, config.import.content, max_body),
            flush_rows: config.import.flush_rows,
            flush_bytes: usize::try_from(config.import.flush_bytes.as_u64()).unwrap_or(usize::MAX),
        };
        let Imported { outcome: read, commits } = self.import_log(reader, &stream, &mut tables, days).await?;
        self.put_seen(&stream, read.end, seen_bytes(&read.seen)?).await?;
        summary.commits += commits;
        summary.messages = read.counts;
        summary.unusable += read.unusable;
        summary.skipped.extend(read.skipped);
        Ok(())
    }

    async fn import_actions(
        &self,
        segments: &Segments,
        start: Start,
        days: &DayRule,
        config: &Config,
        options: &ReadOptions,
        summary: &mut Summary,
    ) -> Result<()> {
        let Start { stream, mut tables, from } = start;
        let reader = ActionReader {
            segments: segments.clone(),
            options: ReadOptions { seen: seen_of(self, &stream, from).await?, ..options.clone() },
            from,
            replay: action_replay(self, &stream, &tables, config).await?,
            flush_rows: config.import.flush_rows,
        };
        let Imported { outcome: read, commits } = self.import_log(reader, &stream, &mut tables, days).await?;
        self.put_seen(&stream, read.end, seen_bytes(&read.seen)?).await?;
        summary.commits += commits;
        summary.actions = read.counts;
        summary.unusable += read.unusable;
        summary.skipped.extend(read.skipped);
        summary.forgotten_pull_ranges = read.forgotten;
        Ok(())
    }

    /// Makes sure that a group's messages always come from the same kind of log.
    ///
    /// # Errors
    /// [`Error::Usage`] if the group's messages were read from another kind of log before, [`Error::Store`].
    pub(super) async fn claim(&self, broker_group: &str, log: Option<Log>) -> Result<Option<StreamInfo>> {
        let known = self.stream_info(SYSTEM_QMQ, broker_group).await?;
        let Some(log) = log else {
            if known.is_none() {
                // only actions are imported: nothing is known of the messages yet
                self.put_stream_info(&StreamInfo::new(SYSTEM_QMQ, broker_group, logs::MESSAGE)).await?;
            }
            return Ok(known);
        };
        match known {
            Some(info) if info.messages_from == log.name() => Ok(Some(info)),
            Some(info) => {
                if self.has_messages(&info).await? {
                    return Err(Error::Usage(format!(
                        "the messages of broker group `{broker_group}` were imported from its {} log; importing \
                         them from its {} log too would store each twice. Use another --broker-group or --data",
                        info.messages_from,
                        log.name()
                    )));
                }
                self.put_claim(broker_group, log).await
            }
            None => self.put_claim(broker_group, log).await,
        }
    }

    async fn put_claim(&self, broker_group: &str, messages_from: Log) -> Result<Option<StreamInfo>> {
        let info = StreamInfo::new(SYSTEM_QMQ, broker_group, messages_from);
        self.put_stream_info(&info).await?;
        Ok(Some(info))
    }

    async fn has_messages(&self, info: &StreamInfo) -> Result<bool> {
        let table = self.table(&crate::lake::schema::MESSAGE)?;
        Ok(table.position(&logs::messages_of(info)).await?.is_some())
    }
}

impl MessageSource {
    fn segments(&self) -> &Segments {
        match self {
            MessageSource::MessageLog(segments) | MessageSource::IndexLog(segments) => segments,
        }
    }

    fn log(&self) -> Log {
        match self {
            MessageSource::MessageLog(_) => logs::MESSAGE,
            MessageSource::IndexLog(_) => logs::INDEX,
        }
    }
}

/// What an import remembered of a log it read up to a position, if it was an import that moved the stream there.
async fn seen_of(lake: &Lake, stream: &StreamId, position: u64) -> Result<Option<Seen>> {
    // if it cannot be read, it is as if nothing were known
    Ok(lake.seen(stream, position).await?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

fn seen_bytes(seen: &Seen) -> Result<bytes::Bytes> {
    serde_json::to_vec(seen)
        .map(bytes::Bytes::from)
        .map_err(|error| Error::Invariant(format!("what was read of a log: {error}")))
}

/// Where to start reading a log of which the tables have everything before `position`.
///
/// # Errors
/// [`Error::Input`] if the log ends before that position: it is another log.
fn start_of(
    stream: &StreamId,
    segments: &Segments,
    segment_bytes: u64,
    position: Option<u64>,
    summary: &mut Summary,
) -> Result<u64> {
    let first = segments.first_offset();
    let Some(position) = position else { return Ok(first) };
    let last_end = segments.list.last().map_or(0, |segment| segment.base + segment_bytes);
    if position > last_end {
        return Err(Error::input(
            &segments.folder,
            format!(
                "the log ends before offset {position}, up to which {stream} was imported earlier: it is older, lost its \
                 end in a crash, was recreated, or belongs to another broker group. Import again once it is longer; to \
                 import all of it beside what is stored, move the position with `mqlake seek --broker-group {} --stream \
                 {} --to start`, or use another --broker-group or --data",
                stream.broker_group,
                if stream.log == logs::ACTION { logs::ACTION.name() } else { logs::MESSAGE.name() }
            ),
        ));
    }
    if position < first {
        tracing::warn!(%stream, from = position, to = first, "the broker removed this stretch before it was imported");
        summary.gaps.push(Gap { stream: stream.to_string(), from: position, to: first });
        return Ok(first);
    }
    Ok(position)
}
