//! Replay of messages: one log record becomes its rows.

use super::message_rows::{DeadRows, MessageRow, MessageRows};
use super::queues::Queues;
use super::record_rows::RecordRows;
use super::{ACTION_DEAD, DEAD_MARKER_DELAY_MS};
use crate::brokers::qmq::format::Kind;
use crate::brokers::qmq::format::index_log::IndexRecord;
use crate::brokers::qmq::format::payload::{Payload, attributes};
use crate::brokers::qmq::store::MessageItem;
use crate::config::ContentPolicy;
use crate::error::{Error, Result};
use crate::lake::schema::SYSTEM_QMQ;
use crate::rows::{BatchContext, ContentRow, ContentRows, NO_NUMBER, NO_OFFSET, NO_TIME, Names, Rows};
use crate::stream::{Batch, Pending, TablePosition};

/// Position of each table in the message stream: a table has the rows of all records before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Floors {
    /// `message`.
    pub message: u64,
    /// `dead_message`.
    pub dead_message: u64,
    /// `content`.
    pub content: u64,
    /// `record`, for the markers of dead letters.
    pub record: u64,
}

impl Floors {
    /// Takes the positions of the tables in the order of commits.
    ///
    /// # Errors
    /// [`Error::Invariant`] if they are not those of the message log's tables.
    pub(in super::super) fn of(tables: &[TablePosition]) -> Result<Floors> {
        let [content, record, dead_message, message] = tables else {
            return Err(Error::Invariant("the log of messages feeds four tables".to_owned()));
        };
        let floor = |table: &TablePosition| table.position.unwrap_or(0);
        Ok(Floors {
            message: floor(message),
            dead_message: floor(dead_message),
            content: floor(content),
            record: floor(record),
        })
    }

    /// Where replay has to begin.
    #[must_use]
    pub fn lowest(&self) -> u64 {
        self.message.min(self.dead_message).min(self.content).min(self.record)
    }
}

/// How many messages of each kind were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct MessageCounts {
    /// Normal messages.
    pub normal: u64,
    /// Retries.
    pub retry: u64,
    /// Dead letters.
    pub dead: u64,
}

/// Rows made from a stretch of the message stream.
#[derive(Debug)]
pub struct MessageBatch {
    /// Names the rows refer to.
    pub names: Names,
    queues: Queues,
    /// `message`.
    pub messages: MessageRows,
    /// `dead_message`.
    pub dead: DeadRows,
    /// `content`.
    pub contents: ContentRows,
    /// Markers of dead letters for `record`.
    pub markers: RecordRows,
}

impl Default for MessageBatch {
    fn default() -> MessageBatch {
        MessageBatch {
            names: Names::default(),
            queues: Queues::default(),
            messages: MessageRows::default(),
            dead: DeadRows::default(),
            contents: ContentRows::with_attributes(|body| attributes(body).ok()),
            markers: RecordRows::default(),
        }
    }
}

impl MessageBatch {
    fn pending(&self) -> Pending {
        Pending {
            rows: self.messages.len() + self.dead.len(),
            bytes: self.messages.heap_bytes() + self.contents.heap_bytes(),
        }
    }
}

impl Batch for MessageBatch {
    fn tables(&self) -> Vec<Box<dyn Rows + '_>> {
        vec![
            Box::new(&self.contents),
            Box::new(&self.markers),
            Box::new(&self.dead),
            Box::new(&self.messages),
        ]
    }

    fn context<'a>(&'a self, broker_group: &'a str) -> BatchContext<'a> {
        BatchContext::new(SYSTEM_QMQ, broker_group, &self.names)
    }
}

/// Turns message records into rows.
#[derive(Debug)]
pub struct MessageReplay {
    floors: Floors,
    content: ContentPolicy,
    max_body: usize,
    batch: MessageBatch,
    tags: Vec<u32>,
    /// Messages read so far.
    pub counts: MessageCounts,
}

impl MessageReplay {
    /// A replay that stores contents as `content` says and drops rows that the tables already have.
    #[must_use]
    pub fn new(floors: Floors, content: ContentPolicy, max_body: usize) -> MessageReplay {
        MessageReplay {
            floors,
            content,
            max_body,
            batch: MessageBatch::default(),
            tags: Vec::new(),
            counts: MessageCounts::default(),
        }
    }

    /// Adds a record of the message log. The subject in the record's header counts, not the payload's: a broker
    /// re-queues messages with the payload unchanged.
    pub fn message(&mut self, offset: u64, item: &MessageItem<'_>) {
        let MessageBatch { names, queues, .. } = &mut self.batch;
        let queue = queues.of(item.record.subject, names);
        self.tags.clear();
        self.tags.extend(item.payload.tags().map(|tag| names.id(tag)));
        let row = MessageRow {
            queue,
            sequence: item.record.sequence,
            message_id: item.payload.message_id,
            create_time_ms: item.payload.create_time_ms,
            store_time_ms: item.record.store_time_ms,
            tags: Some(&self.tags),
        };
        let keep_content = match self.content {
            ContentPolicy::All => true,
            ContentPolicy::Dead => queue.kind == Kind::Dead,
            ContentPolicy::None => false,
        };
        if keep_content && offset >= self.floors.content {
            let payload_subject = names.id(item.payload.subject);
            self.batch.contents.push(&content_of(&row, &item.payload, payload_subject), self.max_body);
        }
        push(&mut self.batch, &mut self.counts, self.floors, offset, &row);
    }

    /// Adds a record of an index log.
    pub fn index(&mut self, offset: u64, record: &IndexRecord<'_>) {
        let row = MessageRow {
            queue: self.batch.queues.of(record.subject, &mut self.batch.names),
            sequence: record.sequence,
            message_id: record.message_id,
            create_time_ms: record.create_time_ms,
            store_time_ms: NO_TIME,
            tags: None,
        };
        push(&mut self.batch, &mut self.counts, self.floors, offset, &row);
    }

    /// What was replayed since the last call of [`MessageReplay::take`].
    pub(in super::super) fn pending(&self) -> Pending {
        self.batch.pending()
    }

    /// Returns the rows and begins a new batch.
    pub fn take(&mut self) -> MessageBatch {
        std::mem::take(&mut self.batch)
    }
}

fn content_of<'a>(row: &MessageRow<'a>, payload: &Payload<'a>, payload_subject: u32) -> ContentRow<'a> {
    let third = payload.expire_or_schedule_time_ms;
    let is_delayed = payload.is_delay();
    ContentRow {
        subject: row.queue.subject,
        kind: row.queue.kind.as_i8(),
        consumer_group: row.queue.consumer_group,
        sequence: row.sequence,
        message_id: row.message_id,
        create_time_ms: row.create_time_ms,
        store_time_ms: row.store_time_ms,
        payload_subject,
        flags: payload.flags.cast_signed(),
        expire_time_ms: if is_delayed { NO_TIME } else { third },
        schedule_time_ms: if is_delayed { third } else { NO_TIME },
        tags: row.tags,
        body: payload.body,
        queue_id: NO_NUMBER,
        physical_offset: NO_OFFSET,
    }
}

fn push(
    batch: &mut MessageBatch,
    counts: &mut MessageCounts,
    floors: Floors,
    offset: u64,
    row: &MessageRow<'_>,
) {
    match row.queue.kind {
        Kind::Normal => counts.normal += 1,
        Kind::Retry => counts.retry += 1,
        Kind::Dead => counts.dead += 1,
    }
    if row.queue.kind != Kind::Dead {
        if offset >= floors.message {
            batch.messages.push(row);
        }
        return;
    }
    if offset >= floors.dead_message {
        batch.dead.push(row);
    }
    if offset >= floors.record {
        let nobody = batch.names.id(b"");
        let time = row.create_time_ms.saturating_add(DEAD_MARKER_DELAY_MS);
        let sequences = (row.sequence, row.sequence);
        batch.markers.push(row.queue, sequences, row.queue.consumer_group, ACTION_DEAD, time, nobody);
    }
}
