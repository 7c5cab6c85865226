//! A message with all its columns, as the routes of `/api/v1` show it.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, AsArray, new_null_array};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::condition::mismatch;
use super::rows::{list, numbers, pairs, texts};
use crate::codec::host::Host;
use crate::codec::offset_id::OffsetId;
use crate::error::{Error, Result};
use crate::lake::schema::MESSAGE;
use crate::lake::schema::codes::kind_name;

/// One stored message. Fields that its system does not have are `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoredMessage {
    /// Topic or subject in which it is stored.
    pub topic: String,
    /// Topic of which it is a copy.
    pub origin_topic: Option<String>,
    /// `normal`, `retry`, `dead`, `delay`, …
    pub kind: Cow<'static, str>,
    /// Consumer group of a retry or dead letter.
    pub consumer_group: Option<String>,
    /// Broker, or broker group.
    pub broker: String,
    /// Queue.
    pub queue_id: Option<i64>,
    /// Queue offset, or sequence where a subject has no queues.
    pub queue_offset: i64,
    /// The id that clients display.
    pub message_id: String,
    /// Its own id, if it was sent as part of a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_id: Option<String>,
    /// Id made of the broker's address and the physical offset.
    pub offset_message_id: Option<String>,
    /// Keys.
    pub keys: Vec<String>,
    /// Tag; several tags are joined by `||`.
    pub tags: Option<String>,
    /// Producer's clock, epoch milliseconds.
    pub born_time: Option<i64>,
    /// Broker's clock, epoch milliseconds.
    pub store_time: Option<i64>,
    /// Address of the client.
    pub born_host: Option<String>,
    /// Address of the broker.
    pub store_host: Option<String>,
    /// Bytes of the body after decompression.
    pub body_size: Option<i64>,
    /// Bytes of the record in the log.
    pub stored_size: Option<i64>,
    /// Redeliveries so far.
    pub reconsume_times: Option<i64>,
    /// Application-defined flag.
    pub flag: Option<i64>,
    /// System flags as stored.
    pub sys_flag: Option<i64>,
    /// CRC of the body as stored.
    pub body_crc: Option<i64>,
    /// Physical offset.
    pub physical_offset: Option<i64>,
    /// Physical offset of the half record of a committed message.
    pub prepared_transaction_offset: Option<i64>,
    /// All properties.
    pub properties: Map<String, Value>,
    /// The body, if it was requested, was kept, and is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The body in base64, if it was requested, was kept, and is not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// Time by which lists are ordered: the broker's clock, or the producer's, depending on the system.
    #[serde(skip)]
    pub order_time: i64,
}

impl StoredMessage {
    /// Columns that [`StoredMessage::of`] needs.
    pub const COLUMNS: [&'static str; 25] = [
        "subject",
        "kind",
        "consumer_group",
        "broker_group",
        "sequence",
        "message_id",
        "create_time",
        "store_time",
        "tags",
        "queue_id",
        "origin_subject",
        "own_id",
        "keys",
        "born_time",
        "born_host",
        "store_host",
        "body_size",
        "stored_size",
        "body_crc",
        "reconsume_times",
        "flag",
        "sys_flag",
        "physical_offset",
        "prepared_offset",
        "properties",
    ];

    /// The rows of a batch.
    ///
    /// # Errors
    /// [`crate::error::Error::Invariant`] if a column is missing or of another type.
    pub fn of(batch: &RecordBatch) -> Result<Vec<StoredMessage>> {
        let batch = &with_absent_columns(batch)?;
        let text = |name: &'static str| {
            let column = texts(batch, name)?;
            Ok::<_, Error>(move |row: usize| column.is_valid(row).then(|| column.value(row).to_owned()))
        };
        let lists = |name: &'static str| {
            let column = batch.column_by_name(name).and_then(|c| c.as_list_opt::<i32>());
            let column = column.ok_or_else(|| mismatch(name))?;
            Ok::<_, Error>(
                move |row: usize| {
                    if column.is_valid(row) { list(&column.value(row)) } else { Ok(Vec::new()) }
                },
            )
        };
        let map = batch.column_by_name("properties").and_then(|c| c.as_map_opt());
        let map = map.ok_or_else(|| mismatch("properties"))?;
        let (subject, group, broker) = (text("subject")?, text("consumer_group")?, text("broker_group")?);
        let (id, own_id, origin) = (text("message_id")?, text("own_id")?, text("origin_subject")?);
        let (born_host, store_host) = (text("born_host")?, text("store_host")?);
        let (tags, keys) = (lists("tags")?, lists("keys")?);
        let (kind, sequence) = (numbers(batch, "kind")?, numbers(batch, "sequence")?);
        let (created, stored) = (numbers(batch, "create_time")?, numbers(batch, "store_time")?);
        let (born, queue) = (numbers(batch, "born_time")?, numbers(batch, "queue_id")?);
        let (body_size, stored_size) = (numbers(batch, "body_size")?, numbers(batch, "stored_size")?);
        let (body_crc, reconsumed) = (numbers(batch, "body_crc")?, numbers(batch, "reconsume_times")?);
        let (flag, sys_flag) = (numbers(batch, "flag")?, numbers(batch, "sys_flag")?);
        let (physical, prepared) = (numbers(batch, "physical_offset")?, numbers(batch, "prepared_offset")?);
        (0..batch.num_rows())
            .map(|row| {
                let tags = tags(row)?;
                let store_host = store_host(row);
                let physical_offset = physical.get(row);
                let properties = match map.is_valid(row) {
                    true => pairs(&map.value(row))?,
                    false => Vec::new(),
                };
                Ok(StoredMessage {
                    topic: subject(row).unwrap_or_default(),
                    origin_topic: origin(row),
                    kind: Cow::Borrowed(kind.get(row).map_or("unknown", kind_name)),
                    consumer_group: group(row),
                    broker: broker(row).unwrap_or_default(),
                    queue_id: queue.get(row),
                    queue_offset: sequence.get(row).unwrap_or_default(),
                    message_id: id(row).unwrap_or_default(),
                    own_id: own_id(row),
                    offset_message_id: physical_offset.and_then(|offset| {
                        OffsetId { host: Host::parse(store_host.as_deref()?)?, offset }.to_string().into()
                    }),
                    keys: keys(row)?,
                    tags: (!tags.is_empty()).then(|| tags.join("||")),
                    born_time: born
                        .get(row)
                        .or_else(|| queue.get(row).is_none().then(|| created.get(row)).flatten()),
                    store_time: stored.get(row),
                    born_host: born_host(row),
                    store_host,
                    body_size: body_size.get(row),
                    stored_size: stored_size.get(row),
                    reconsume_times: reconsumed.get(row),
                    flag: flag.get(row),
                    sys_flag: sys_flag.get(row),
                    body_crc: body_crc.get(row),
                    physical_offset,
                    prepared_transaction_offset: prepared.get(row),
                    properties: properties.into_iter().map(|(k, v)| (k, Value::String(v))).collect(),
                    body: None,
                    body_base64: None,
                    order_time: created.get(row).unwrap_or_default(),
                })
            })
            .collect()
    }

    /// Parses a message that `message_key` stores inline with its key.
    ///
    /// # Errors
    /// [`crate::error::Error::Invariant`] if the text is not a message.
    pub fn from_json(text: &str) -> Result<StoredMessage> {
        let message: StoredMessage = serde_json::from_str(text)
            .map_err(|error| Error::Invariant(format!("a message beside its key is unreadable: {error}")))?;
        Ok(StoredMessage { order_time: message.store_time.unwrap_or_default(), ..message })
    }

    /// Sort key in lists.
    #[must_use]
    pub fn place(&self) -> MessagePlace {
        MessagePlace {
            time: self.order_time,
            topic: self.topic.clone(),
            broker: self.broker.clone(),
            queue_id: self.queue_id.unwrap_or(-1),
            queue_offset: self.queue_offset,
            kind: self.kind.clone().into_owned(),
            consumer_group: self.consumer_group.clone().unwrap_or_default(),
            physical_offset: self.physical_offset.unwrap_or(-1),
        }
    }
}

/// Adds the columns that files of older versions lack, as null.
fn with_absent_columns(batch: &RecordBatch) -> Result<RecordBatch> {
    let present = |name: &str| batch.column_by_name(name).is_some();
    if MESSAGE.columns.iter().filter(|c| StoredMessage::COLUMNS.contains(&c.name)).all(|c| present(c.name)) {
        return Ok(batch.clone());
    }
    let (mut fields, mut columns) = (batch.schema().fields().to_vec(), batch.columns().to_vec());
    for column in MESSAGE.columns.iter().filter(|column| column.nullable && !present(column.name)) {
        let kind = column.column_type.arrow();
        columns.push(new_null_array(&kind, batch.num_rows()));
        fields.push(Arc::new(Field::new(column.name, kind, true)));
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// Sort key of lists: by time, then by the rest that makes the order total.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize)]
pub struct MessagePlace {
    /// Time, epoch milliseconds.
    pub time: i64,
    /// Stored topic.
    pub topic: String,
    /// Broker.
    pub broker: String,
    /// Queue, or -1.
    pub queue_id: i64,
    /// Queue offset.
    pub queue_offset: i64,
    /// Kind.
    pub kind: String,
    /// Consumer group, or empty.
    pub consumer_group: String,
    /// Physical offset, or -1. A faulty broker can use one queue offset many times, even within a millisecond.
    #[serde(default = "any_physical_offset", skip_serializing_if = "is_any_physical_offset")]
    pub physical_offset: i64,
}

/// Stands for any physical offset.
const ANY_PHYSICAL_OFFSET: i64 = i64::MIN;

fn any_physical_offset() -> i64 {
    ANY_PHYSICAL_OFFSET
}

fn is_any_physical_offset(offset: &i64) -> bool {
    *offset == ANY_PHYSICAL_OFFSET
}

impl MessagePlace {
    /// The key for the token of the next page. It has a physical offset only if it otherwise equals the previous key.
    #[must_use]
    pub fn behind(self, previous: Option<&MessagePlace>) -> MessagePlace {
        let any = MessagePlace { physical_offset: ANY_PHYSICAL_OFFSET, ..self.clone() };
        let is_tie = previous.is_some_and(|previous| {
            MessagePlace { physical_offset: ANY_PHYSICAL_OFFSET, ..previous.clone() } == any
        });
        if is_tie { self } else { any }
    }

    /// The key at which a page begins, in a form that compares with keys of messages.
    #[must_use]
    pub fn begin(self, newest_first: bool) -> MessagePlace {
        match self.physical_offset {
            ANY_PHYSICAL_OFFSET if newest_first => MessagePlace { physical_offset: i64::MAX, ..self },
            _ => self,
        }
    }
}
