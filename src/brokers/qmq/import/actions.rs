//! The action stream: as the message stream, with the ack state stored before each commit.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::mpsc;

use super::messages::stopped;
use super::{Summary, seen_of, start_of};
use crate::brokers::qmq::replay::{AckLimits, AckState, ActionBatch, ActionCounts, ActionReplay};
use crate::brokers::qmq::store::{ActionFormat, LogFormat, LogReader, ReadOptions, Seen, Segments, Skipped};
use crate::config::Config;
use crate::error::Result;
use crate::lake::schema::{RECORD, UNRESOLVED_ACK};
use crate::lake::{Lake, StreamId};
use crate::rows::DayRule;
use crate::stream::{Encoded, TablePosition, blocking, encode, encode_ahead};

/// Where replay begins, and where each table stands.
pub(super) struct ActionStart {
    pub(super) from: u64,
    /// Which days rows may lie in.
    days: DayRule,
    /// Position of the ack state to begin with.
    state_at: Option<u64>,
    tables: [TablePosition; 2],
}

struct Flush {
    batch: ActionBatch,
    state: Bytes,
    to: u64,
}

struct EncodedFlush {
    files: [Encoded; 2],
    state: Bytes,
    to: u64,
}

struct ReadResult {
    seen: Seen,
    end: u64,
    counts: ActionCounts,
    skipped: Vec<Skipped>,
    unusable: u64,
    forgotten: u64,
}

impl Lake {
    pub(super) async fn action_start(
        &self,
        stream: &StreamId,
        segments: &Segments,
        days: &DayRule,
        summary: &mut Summary,
    ) -> Result<ActionStart> {
        let tables = self.positions(stream, [&UNRESOLVED_ACK, &RECORD]).await?;
        let state_at = match tables.map(|table| table.position) {
            [Some(unresolved), Some(record)] => Some(unresolved.min(record)),
            _ => None,
        };
        let from = start_of(stream, segments, ActionFormat::SEGMENT_BYTES, state_at, summary)?;
        Ok(ActionStart { from, days: days.clone(), state_at, tables })
    }

    pub(super) async fn import_actions(
        &self,
        segments: &Segments,
        stream: &StreamId,
        start: ActionStart,
        config: &Config,
        options: &ReadOptions,
        summary: &mut Summary,
    ) -> Result<()> {
        let limits = AckLimits::from(&config.acks);
        let acks = match start.state_at {
            Some(position) => {
                let stored = self.state(stream, position).await?;
                AckState::from_bytes(stored, limits)?
            }
            None => AckState::new(limits),
        };
        let [unresolved_floor, record_floor] = start.tables.map(|table| table.position.unwrap_or(0));
        let replay = ActionReplay::new(acks, record_floor, unresolved_floor);
        let (sender, flushes) = mpsc::channel::<Flush>(1);
        let flush_rows = config.import.flush_rows;
        let (from, log) = (start.from, segments.clone());
        let read_options = ReadOptions { seen: seen_of(self, stream, from).await?, ..options.clone() };
        let reading =
            tokio::task::spawn_blocking(move || read(&log, read_options, from, replay, flush_rows, &sender));
        let mut tables = start.tables;
        let mut committing = Ok(());
        let days = start.days;
        let mut encoding = Box::pin(encode_ahead(flushes, |flush| self.encode_actions(flush, stream, &days)));
        while let Some(encoded) = encoding.next().await {
            committing = match encoded {
                Ok(encoded) => self.commit_actions(encoded, stream, &mut tables, summary).await,
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
        self.put_seen(stream, read.end, super::seen_bytes(&read.seen)?).await?;
        summary.actions = read.counts;
        summary.unusable += read.unusable;
        summary.skipped.extend(read.skipped);
        summary.forgotten_pull_ranges = read.forgotten;
        Ok(())
    }

    async fn encode_actions(&self, flush: Flush, stream: &StreamId, days: &DayRule) -> Result<EncodedFlush> {
        let group = &stream.broker_group;
        let batch = Arc::new(flush.batch);
        let job = |pick: fn(&ActionBatch) -> &dyn crate::rows::Rows| {
            let (group, settings, days) = (group.clone(), self.settings.clone(), days.clone());
            blocking(&batch, move |batch: &ActionBatch| {
                encode(pick(batch), &batch.context(&group), &settings, &days)
            })
        };
        let (unresolved, records) =
            tokio::try_join!(job(|batch| &batch.unresolved), job(|batch| &batch.records))?;
        Ok(EncodedFlush { files: [unresolved, records], state: flush.state, to: flush.to })
    }

    async fn commit_actions(
        &self,
        encoded: EncodedFlush,
        stream: &StreamId,
        tables: &mut [TablePosition; 2],
        summary: &mut Summary,
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
        if let Some(lowest) = tables.iter().map(|table| table.position.unwrap_or(0)).min() {
            self.drop_states_below(stream, lowest).await?;
        }
        Ok(())
    }
}

fn read(
    segments: &Segments,
    options: ReadOptions,
    from: u64,
    mut replay: ActionReplay,
    flush_rows: usize,
    sender: &mpsc::Sender<Flush>,
) -> Result<ReadResult> {
    let mut reader = LogReader::<ActionFormat>::new(segments, options);
    let send = |replay: &mut ActionReplay, to: u64| {
        let state = replay.acks.to_bytes()?;
        sender.blocking_send(Flush { batch: replay.take(), state, to }).map_err(|_| stopped())
    };
    let end = reader.read(from, |offset, next, action| {
        replay.action(offset, &action);
        if replay.pending().rows() >= flush_rows {
            send(&mut replay, next)?;
        }
        Ok(())
    })?;
    send(&mut replay, end)?;
    Ok(ReadResult {
        seen: reader.seen,
        end,
        counts: replay.counts,
        skipped: reader.skipped,
        unusable: reader.unusable,
        forgotten: replay.acks.forgotten,
    })
}
