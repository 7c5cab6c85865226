//! Rows as lookups return them.

use arrow::array::{Array, AsArray};
use arrow::record_batch::RecordBatch;
use md5::{Digest, Md5};

use super::condition::{Numbers, mismatch};
use crate::error::Result;

/// A message or dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// Consumer group of a retry or dead letter.
    pub consumer_group: Option<String>,
    /// Broker group.
    pub broker_group: String,
    /// Sequence.
    pub sequence: i64,
    /// Id of the message.
    pub message_id: String,
    /// Producer's clock, milliseconds.
    pub create_time_ms: i64,
}

/// Sort key of lists: newest second first, then the order of the original server, then the rest that makes the order
/// total. As JSON it is part of page tokens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct MessageKey {
    /// Create time in whole seconds, newest first.
    pub second: std::cmp::Reverse<i64>,
    /// MD5 of the id.
    pub md5: [u8; 16],
    /// Consumer group of a dead letter, else empty.
    pub consumer_group: String,
    /// Broker group.
    pub broker_group: String,
    /// Sequence.
    pub sequence: i64,
}

impl MessageRow {
    /// Columns that [`MessageRow::of`] needs.
    pub const COLUMNS: [&'static str; 5] =
        ["consumer_group", "broker_group", "sequence", "message_id", "create_time"];

    /// Create time in whole seconds.
    #[must_use]
    pub fn second(&self) -> i64 {
        self.create_time_ms.div_euclid(1000)
    }

    /// Sort key in lists.
    #[must_use]
    pub fn key(&self) -> MessageKey {
        MessageKey {
            second: std::cmp::Reverse(self.second()),
            md5: Md5::digest(self.message_id.as_bytes()).into(),
            consumer_group: self.consumer_group.clone().unwrap_or_default(),
            broker_group: self.broker_group.clone(),
            sequence: self.sequence,
        }
    }

    /// The rows of a batch.
    ///
    /// # Errors
    /// [`crate::error::Error::Invariant`] if a column is missing or of another type.
    pub fn of(batch: &RecordBatch) -> Result<Vec<MessageRow>> {
        let group = texts(batch, "consumer_group")?;
        let broker = texts(batch, "broker_group")?;
        let id = texts(batch, "message_id")?;
        let sequence = numbers(batch, "sequence")?;
        let created = numbers(batch, "create_time")?;
        Ok((0..batch.num_rows())
            .map(|row| MessageRow {
                consumer_group: group.is_valid(row).then(|| group.value(row).to_owned()),
                broker_group: broker.value(row).to_owned(),
                sequence: sequence.get(row).unwrap_or_default(),
                message_id: id.value(row).to_owned(),
                create_time_ms: created.get(row).unwrap_or_default(),
            })
            .collect())
    }
}

/// A pull, an ack or a dead-letter marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRow {
    /// Consumer group.
    pub consumer_group: String,
    /// Action code.
    pub action: i8,
    /// Broker's clock, milliseconds.
    pub action_time_ms: i64,
    /// Id of the consumer.
    pub consumer_id: String,
    /// Sequence of the message.
    pub sequence: i64,
}

impl RecordRow {
    /// Columns that [`RecordRow::of`] needs.
    pub const COLUMNS: [&'static str; 5] =
        ["consumer_group", "action", "action_time", "consumer_id", "sequence"];

    /// The rows of a batch.
    ///
    /// # Errors
    /// [`crate::error::Error::Invariant`] if a column is missing or of another type.
    pub fn of(batch: &RecordBatch) -> Result<Vec<RecordRow>> {
        let group = texts(batch, "consumer_group")?;
        let consumer = texts(batch, "consumer_id")?;
        let action = numbers(batch, "action")?;
        let time = numbers(batch, "action_time")?;
        let sequence = numbers(batch, "sequence")?;
        Ok((0..batch.num_rows())
            .map(|row| RecordRow {
                consumer_group: group.value(row).to_owned(),
                action: action.get(row).and_then(|code| i8::try_from(code).ok()).unwrap_or_default(),
                action_time_ms: time.get(row).unwrap_or_default(),
                consumer_id: consumer.value(row).to_owned(),
                sequence: sequence.get(row).unwrap_or_default(),
            })
            .collect())
    }
}

/// The content of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentRow {
    /// Id of the message.
    pub message_id: String,
    /// Subject that the payload names.
    pub payload_subject: String,
    /// Producer's clock, milliseconds.
    pub create_time_ms: i64,
    /// Broker's clock, milliseconds.
    pub store_time_ms: Option<i64>,
    /// Tags.
    pub tags: Vec<String>,
    /// Attributes; `None` if the body was not kept or is no attribute map.
    pub attributes: Option<Vec<(String, String)>>,
    /// Whether the body is no attribute map.
    pub undecodable: bool,
}

impl ContentRow {
    /// Columns that [`ContentRow::of`] needs.
    pub const COLUMNS: [&'static str; 7] =
        ["message_id", "payload_subject", "create_time", "store_time", "tags", "attributes", "body"];

    /// The rows of a batch.
    ///
    /// # Errors
    /// [`crate::error::Error::Invariant`] if a column is missing or of another type.
    pub fn of(batch: &RecordBatch) -> Result<Vec<ContentRow>> {
        let id = texts(batch, "message_id")?;
        let subject = texts(batch, "payload_subject")?;
        let created = numbers(batch, "create_time")?;
        let stored = numbers(batch, "store_time")?;
        let tags = batch.column_by_name("tags").and_then(|c| c.as_list_opt::<i32>());
        let tags = tags.ok_or_else(|| mismatch("tags"))?;
        let attributes = batch.column_by_name("attributes").and_then(|c| c.as_map_opt());
        let attributes = attributes.ok_or_else(|| mismatch("attributes"))?;
        let body = batch.column_by_name("body").ok_or_else(|| mismatch("body"))?;
        (0..batch.num_rows())
            .map(|row| {
                let attributes = match attributes.is_valid(row) {
                    true => Some(pairs(&attributes.value(row))?),
                    false => None,
                };
                Ok(ContentRow {
                    message_id: id.value(row).to_owned(),
                    payload_subject: subject.value(row).to_owned(),
                    create_time_ms: created.get(row).unwrap_or_default(),
                    store_time_ms: stored.get(row),
                    tags: if tags.is_valid(row) { list(&tags.value(row))? } else { Vec::new() },
                    attributes,
                    undecodable: body.is_valid(row),
                })
            })
            .collect()
    }
}

pub(super) fn list(values: &dyn Array) -> Result<Vec<String>> {
    let values = values.as_string_opt::<i32>().ok_or_else(|| mismatch("tags"))?;
    Ok(values.iter().flatten().map(str::to_owned).collect())
}

pub(super) fn pairs(entries: &arrow::array::StructArray) -> Result<Vec<(String, String)>> {
    let text = |i: usize| entries.columns().get(i).and_then(|c| c.as_string_opt::<i32>());
    let (Some(keys), Some(values)) = (text(0), text(1)) else { return Err(mismatch("attributes")) };
    let pairs = keys.iter().zip(values.iter());
    Ok(pairs.map(|(key, value)| (key.unwrap_or("").to_owned(), value.unwrap_or("").to_owned())).collect())
}

pub(super) fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a arrow::array::StringArray> {
    batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>()).ok_or_else(|| mismatch(name))
}

pub(crate) fn numbers<'a>(batch: &'a RecordBatch, name: &str) -> Result<Numbers<'a>> {
    batch.column_by_name(name).and_then(|c| Numbers::of(c)).ok_or_else(|| mismatch(name))
}
