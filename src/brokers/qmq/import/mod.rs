//! Ingestion: drives logs through replay into the lake.
//!
//! **PROJECTION**: the rows of a table are the projection of each stream's log up to the position that the
//! table's newest commit names for that stream. A run reads those positions, replays from the lowest, drops
//! what a table already has, and commits rows together with the new position. It keeps no other state of
//! its own, so it can be killed anywhere and started again.

mod actions;
mod messages;

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::stream::Progress;

use super::replay::{ActionCounts, MessageCounts};
use super::store::{BrokerStore, MessageSource, ReadOptions, Seen, Segments, Skipped};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::schema::SYSTEM_QMQ;
use crate::lake::{Gap, Lake, Log, Owner, Settled, StreamId, StreamInfo};

/// What to import.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    /// Store directory of a QMQ broker, slave or Java backup.
    pub store: PathBuf,
    /// Broker group it belongs to.
    pub broker_group: String,
    /// Go on behind damage.
    pub skip_corrupt: bool,
}

/// What an import did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// Messages by kind.
    pub messages: MessageCounts,
    /// Actions and records.
    pub actions: ActionCounts,
    /// Records of the logs without usable content.
    pub unusable: u64,
    /// Damage that was passed over.
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

impl Lake {
    /// Imports the logs of a store directory.
    ///
    /// # Errors
    /// [`Error::Input`] or [`Error::Corrupt`] about the directory, [`Error::Store`] about the lake; what was
    /// committed before stays and the next run goes on from there.
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
        let messages_from = match (&found.messages, &info) {
            (Some(source), Some(info)) => {
                let start =
                    self.message_start(&info.messages(), source.segments(), &days, &mut summary).await?;
                progress.add_total(source.segments().bytes_from(start.from));
                Some((source, info.messages(), start))
            }
            _ => None,
        };
        let action_stream = StreamId::qmq(&request.broker_group, Log::Action);
        let actions_from = match &found.actions {
            Some(segments) => {
                let start = self.action_start(&action_stream, segments, &days, &mut summary).await?;
                progress.add_total(segments.bytes_from(start.from));
                Some((segments, start))
            }
            None => None,
        };
        if let Some((source, stream, start)) = messages_from {
            progress.enter("messages");
            self.import_messages(source, &stream, start, config, &options, &mut summary).await?;
        }
        if let Some((segments, start)) = actions_from {
            progress.enter("actions");
            self.import_actions(segments, &action_stream, start, config, &options, &mut summary).await?;
        }
        progress.enter_work("settling", self.bytes_to_settle(now).await?);
        summary.settled = self.settle_with(now, &owner, &|bytes| progress.worked(bytes)).await?;
        self.vacuum().await?;
        summary.bytes_read = progress.bytes();
        progress.finish();
        Ok(summary)
    }

    /// Makes sure that a group's messages always come from the same kind of log.
    ///
    /// # Errors
    /// [`Error::Usage`] if the group's messages were read from another kind of log before, [`Error::Store`].
    pub(crate) async fn claim(&self, broker_group: &str, log: Option<Log>) -> Result<Option<StreamInfo>> {
        let known = self.stream_info(SYSTEM_QMQ, broker_group).await?;
        let Some(log) = log else {
            if known.is_none() {
                // actions only: nothing is known of the messages yet
                let info = StreamInfo {
                    system: SYSTEM_QMQ.to_owned(),
                    broker_group: broker_group.to_owned(),
                    messages_from: Log::Message,
                    gaps: Vec::new(),
                    replaced: Vec::new(),
                    seeking: false,
                };
                self.put_stream_info(&info).await?;
            }
            return Ok(known);
        };
        match known {
            Some(info) if info.messages_from == log => Ok(Some(info)),
            Some(info) => {
                if self.has_messages(&info).await? {
                    return Err(Error::Usage(format!(
                        "the messages of broker group `{broker_group}` were imported from its {} log; importing \
                         them from its {} log too would store each twice. Use another --broker-group or --data",
                        info.messages_from.name(),
                        log.name()
                    )));
                }
                self.put_claim(broker_group, log).await
            }
            None => self.put_claim(broker_group, log).await,
        }
    }

    async fn put_claim(&self, broker_group: &str, messages_from: Log) -> Result<Option<StreamInfo>> {
        let info = StreamInfo {
            system: SYSTEM_QMQ.to_owned(),
            broker_group: broker_group.to_owned(),
            messages_from,
            gaps: Vec::new(),
            replaced: Vec::new(),
            seeking: false,
        };
        self.put_stream_info(&info).await?;
        Ok(Some(info))
    }

    async fn has_messages(&self, info: &StreamInfo) -> Result<bool> {
        let table = self.table(&crate::lake::schema::MESSAGE)?;
        Ok(table.position(&info.messages()).await?.is_some())
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
            MessageSource::MessageLog(_) => Log::Message,
            MessageSource::IndexLog(_) => Log::Index,
        }
    }
}

/// What an import read of a log up to a position, if an import left the stream there.
async fn seen_of(lake: &Lake, stream: &StreamId, position: u64) -> Result<Option<Seen>> {
    // what cannot be read tells nothing
    Ok(lake.seen(stream, position).await?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

fn seen_bytes(seen: &Seen) -> Result<bytes::Bytes> {
    serde_json::to_vec(seen)
        .map(bytes::Bytes::from)
        .map_err(|error| Error::Invariant(format!("what was read of a log: {error}")))
}

/// Where to begin reading a log of which the tables have everything before `position`.
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
                if stream.log == Log::Action { "action" } else { "message" }
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

pub(crate) fn check_group(name: &str) -> Result<()> {
    let usable = !name.is_empty() && name.len() <= 200 && !name.chars().any(|c| c == '/' || c.is_control());
    if usable {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "--broker-group `{name}` is not usable: 1 to 200 bytes without `/` and control characters"
    )))
}
