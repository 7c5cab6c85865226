//! The rows of one batch of RocketMQ records, in the tables that they belong to.
//!
//! It decides what a trace body, a sample of progress and a lost key become; what a record becomes is decided by its
//! caller. It drops nothing that a table has already.

use super::super::trace::decode::{Limits, decode};
use super::super::trace::kind::Kind as EventKind;
use super::MAX_KEYS;
use super::key_rows::{KeyRow, KeyRows, KeysWithMessages};
use super::progress_rows::{ProgressRow, ProgressRows};
use super::stored_rows::StoredRows;
use super::trace_rows::{Carrier, TraceRow, TraceRows};
use crate::lake::schema::SYSTEM_ROCKETMQ;
use crate::lake::schema::codes::KeyKind;
use crate::rows::{BatchContext, ContentRows, NO_NAME, NO_OFFSET, Names, Rows, split_keys};
use crate::stream::{Batch, Pending};

/// Rows made from a stretch of a stream.
#[derive(Debug, Default)]
pub struct RocketMqBatch {
    pub(super) names: Names,
    pub(super) messages: StoredRows,
    pub(super) keys: KeyRows,
    pub(super) contents: ContentRows,
    traces: TraceRows,
    progress: ProgressRows,
}

impl Batch for RocketMqBatch {
    fn tables(&self) -> Vec<Box<dyn Rows + '_>> {
        vec![
            Box::new(&self.contents),
            Box::new(&self.traces),
            Box::new(&self.progress),
            Box::new(&self.messages),
            Box::new(self.key_rows()),
        ]
    }

    fn context<'a>(&'a self, broker: &'a str) -> BatchContext<'a> {
        BatchContext::new(SYSTEM_ROCKETMQ, broker, &self.names)
    }
}

impl RocketMqBatch {
    /// Rows of `consumer_progress` alone.
    pub(in super::super) fn progress_rows(&self) -> &dyn Rows {
        &self.progress
    }

    /// Rows of `trace` alone.
    pub(in super::super) fn trace_rows_alone(&self) -> &dyn Rows {
        &self.traces
    }

    /// Rows of `message_key` alone.
    pub(in super::super) fn key_rows(&self) -> impl Rows + '_ {
        KeysWithMessages { keys: &self.keys, messages: &self.messages }
    }

    pub(super) fn pending(&self) -> Pending {
        Pending {
            rows: self.messages.len() + self.keys.len() / 4 + self.traces.len() + self.progress.len(),
            bytes: self.messages.heap_bytes()
                + self.keys.heap_bytes()
                + self.contents.heap_bytes()
                + self.traces.heap_bytes(),
        }
    }

    /// Adds the events of a trace body; returns how many there were and how many could not be decoded.
    pub fn trace_body(&mut self, carrier: &TraceCarrier<'_>, body: &[u8]) -> (u64, u64) {
        self.trace_rows(carrier, body, true, true)
    }

    /// As [`RocketMqBatch::trace_body`], only for the tables that lack the rows: `trace`, and `message_key` for the
    /// keys.
    pub(super) fn trace_rows(
        &mut self,
        carrier: &TraceCarrier<'_>,
        body: &[u8],
        with_events: bool,
        with_keys: bool,
    ) -> (u64, u64) {
        let RocketMqBatch { names, traces, keys, .. } = self;
        let client_host = carrier.client_host.map_or(NO_NAME, |host| names.id(host.as_bytes()));
        let subject = carrier.subject.map_or(NO_NAME, |subject| names.id(subject.as_bytes()));
        let of = Carrier { id: carrier.id, subject, client_host, store_time_ms: carrier.store_time_ms };
        let (mut events, mut undecoded) = (0, 0);
        for item in decode(body, Limits::default()) {
            let event = match item {
                Ok(event) => event,
                Err(bad) => {
                    undecoded += 1;
                    if with_events {
                        traces.push(&of, TraceRow::Undecoded(bad.event, bad.raw), names);
                    }
                    continue;
                }
            };
            events += 1;
            for row in event.per_message() {
                if with_events {
                    traces.push(&of, TraceRow::Event(row), names);
                }
                if !with_keys {
                    continue;
                }
                let (EventKind::Pub | EventKind::EndTransaction, Some(id)) = (event.kind, row.msg_id) else {
                    continue;
                };
                let topic = names.id(event.topic.as_deref().unwrap_or_default().as_bytes());
                for key in split_keys(event.keys.as_deref().unwrap_or_default()).take(MAX_KEYS) {
                    keys.push(&KeyRow {
                        key,
                        kind: KeyKind::Trace,
                        subject: topic,
                        message_id: id,
                        queue_id: -1,
                        sequence: -1,
                        create_time_ms: carrier.store_time_ms,
                        message: None,
                        physical_offset: NO_OFFSET,
                    });
                }
            }
        }
        (events, undecoded)
    }

    /// Adds a key of which only the hash is known.
    pub fn lost_key(&mut self, key: &str, offset_id: &str, store_time_ms: i64) {
        self.keys.push(&KeyRow {
            key,
            kind: KeyKind::Hash,
            subject: self.names.id(b""),
            message_id: offset_id,
            queue_id: -1,
            sequence: -1,
            create_time_ms: store_time_ms,
            message: None,
            physical_offset: NO_OFFSET,
        });
    }

    /// Adds a sample of progress; without a group it is about the queue.
    pub fn progress(&mut self, sample: &ProgressSample<'_>) {
        let subject = self.names.id(sample.topic.as_bytes());
        let consumer_group = self.names.id(sample.group.unwrap_or("").as_bytes());
        self.progress.push(ProgressRow {
            subject,
            consumer_group,
            queue_id: sample.queue_id,
            sample_time_ms: sample.time_ms,
            consumer_offset: sample.consumer_offset,
            min_offset: sample.min_offset,
            max_offset: sample.max_offset,
        });
    }
}

/// The message that trace events came in.
#[derive(Debug, Clone, Copy)]
pub struct TraceCarrier<'a> {
    /// Offset id of the message; empty if the events were posted.
    pub id: &'a str,
    /// Its topic.
    pub subject: Option<&'a str>,
    /// Address of the client.
    pub client_host: Option<&'a str>,
    /// When it was stored.
    pub store_time_ms: i64,
}

/// A sample: how far a group was, or what a queue held.
#[derive(Debug, Clone, Copy)]
pub struct ProgressSample<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Group; without one the sample is about the queue itself.
    pub group: Option<&'a str>,
    /// Queue.
    pub queue_id: i32,
    /// When the sample was taken.
    pub time_ms: i64,
    /// Next offset to consume.
    pub consumer_offset: Option<i64>,
    /// First offset that the broker still had.
    pub min_offset: Option<i64>,
    /// Next offset to be written.
    pub max_offset: Option<i64>,
}
