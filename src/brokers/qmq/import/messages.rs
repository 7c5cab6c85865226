//! The message stream: one thread reads and replays, this task encodes and commits behind it.

use std::sync::Arc;

use futures::StreamExt;
use tokio::sync::mpsc;

use super::{Summary, seen_of, start_of};
use crate::brokers::qmq::replay::{Floors, MessageBatch, MessageCounts, MessageReplay};
use crate::brokers::qmq::store::{
    IndexFormat, LogFormat, LogReader, MessageFormat, MessageSource, ReadOptions, Seen, Segments, Skipped,
};
use crate::config::{Config, Import};
use crate::error::{Error, Result};
use crate::lake::schema::{CONTENT, DEAD_MESSAGE, MESSAGE, RECORD};
use crate::lake::{Lake, StreamId};
use crate::rows::DayRule;
use crate::stream::{Encoded, TablePosition, blocking, encode, encode_ahead};

/// Where replay begins, and where each table stands.
pub(super) struct MessageStart {
    pub(super) from: u64,
    /// Which days rows may lie in.
    days: DayRule,
    floors: Floors,
    tables: [TablePosition; 4],
}

struct Flush {
    batch: MessageBatch,
    to: u64,
}

struct ReadResult {
    counts: MessageCounts,
    skipped: Vec<Skipped>,
    unusable: u64,
    seen: Seen,
    end: u64,
}

impl Lake {
    pub(super) async fn message_start(
        &self,
        stream: &StreamId,
        segments: &Segments,
        days: &DayRule,
        summary: &mut Summary,
    ) -> Result<MessageStart> {
        // `message` last: what lists a message is committed after what describes it
        let tables = self.positions(stream, [&CONTENT, &RECORD, &DEAD_MESSAGE, &MESSAGE]).await?;
        let [content, record, dead_message, message] = tables.map(|table| table.position.unwrap_or(0));
        let floors = Floors { message, dead_message, content, record };
        let known = tables.iter().all(|table| table.position.is_some()).then(|| floors.lowest());
        let from = start_of(stream, segments, MessageFormat::SEGMENT_BYTES, known, summary)?;
        Ok(MessageStart { from, days: days.clone(), floors, tables })
    }

    pub(super) async fn import_messages(
        &self,
        source: &MessageSource,
        stream: &StreamId,
        start: MessageStart,
        config: &Config,
        options: &ReadOptions,
        summary: &mut Summary,
    ) -> Result<()> {
        let (sender, flushes) = mpsc::channel::<Flush>(1);
        let max_body = usize::try_from(config.import.max_body.as_u64()).unwrap_or(usize::MAX);
        let replay = MessageReplay::new(start.floors, config.import.content, max_body);
        let settings = config.import.clone();
        let from = start.from;
        let read_options = ReadOptions { seen: seen_of(self, stream, from).await?, ..options.clone() };
        let segments = source.segments().clone();
        let is_index = matches!(source, MessageSource::IndexLog(_));
        let reading = tokio::task::spawn_blocking(move || {
            if is_index {
                read::<IndexFormat>(
                    &segments,
                    read_options,
                    from,
                    replay,
                    &settings,
                    &sender,
                    |replay, at, r| {
                        replay.index(at, &r);
                    },
                )
            } else {
                read::<MessageFormat>(
                    &segments,
                    read_options,
                    from,
                    replay,
                    &settings,
                    &sender,
                    |replay, at, r| {
                        replay.message(at, &r);
                    },
                )
            }
        });
        let mut tables = start.tables;
        let days = start.days;
        let mut encoding =
            Box::pin(encode_ahead(flushes, |flush| self.encode_messages(flush, stream, &days)));
        let mut committing = Ok(());
        while let Some(encoded) = encoding.next().await {
            committing = match encoded {
                Ok((files, to)) => self.commit_messages(files, to, stream, &mut tables, summary).await,
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
        summary.messages = read.counts;
        summary.unusable += read.unusable;
        summary.skipped.extend(read.skipped);
        Ok(())
    }

    async fn encode_messages(
        &self,
        flush: Flush,
        stream: &StreamId,
        days: &DayRule,
    ) -> Result<([Encoded; 4], u64)> {
        let batch = Arc::new(flush.batch);
        let job = |pick: fn(&MessageBatch) -> &dyn crate::rows::Rows| {
            let (group, settings, days) = (stream.broker_group.clone(), self.settings.clone(), days.clone());
            blocking(&batch, move |batch: &MessageBatch| {
                encode(pick(batch), &batch.context(&group), &settings, &days)
            })
        };
        let (contents, markers, dead, messages) = tokio::try_join!(
            job(|batch| &batch.contents),
            job(|batch| &batch.markers),
            job(|batch| &batch.dead),
            job(|batch| &batch.messages),
        )?;
        Ok(([contents, markers, dead, messages], flush.to))
    }

    async fn commit_messages(
        &self,
        files: [Encoded; 4],
        to: u64,
        stream: &StreamId,
        tables: &mut [TablePosition; 4],
        summary: &mut Summary,
    ) -> Result<()> {
        for (encoded, position) in files.into_iter().zip(tables) {
            if self.commit_encoded(encoded, stream, position, to).await? {
                summary.commits += 1;
            }
        }
        Ok(())
    }
}

fn read<F: LogFormat>(
    segments: &Segments,
    options: ReadOptions,
    from: u64,
    mut replay: MessageReplay,
    settings: &Import,
    sender: &mpsc::Sender<Flush>,
    add: impl Fn(&mut MessageReplay, u64, F::Record<'_>),
) -> Result<ReadResult> {
    let flush_bytes = usize::try_from(settings.flush_bytes.as_u64()).unwrap_or(usize::MAX);
    let mut reader = LogReader::<F>::new(segments, options);
    let send = |replay: &mut MessageReplay, to: u64| {
        sender.blocking_send(Flush { batch: replay.take(), to }).map_err(|_| stopped())
    };
    let end = reader.read(from, |offset, next, record| {
        add(&mut replay, offset, record);
        let pending = replay.pending();
        if pending.rows() >= settings.flush_rows || pending.heap_bytes() >= flush_bytes {
            send(&mut replay, next)?;
        }
        Ok(())
    })?;
    send(&mut replay, end)?;
    Ok(ReadResult {
        counts: replay.counts,
        skipped: reader.skipped,
        unusable: reader.unusable,
        seen: reader.seen,
        end,
    })
}

/// The reader ends because the committer did; its error is the one to show.
pub(super) fn stopped() -> Error {
    Error::Invariant("reading stopped because committing failed".to_owned())
}
