//! Rows of `message` for RocketMQ: one stored record, or one message of an inner batch.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int8Array, StringBuilder};
use arrow::record_batch::RecordBatch;
use hashbrown::HashMap;

use super::stored_json_rows::{Number, PropertyMap, StoredJson};
use crate::brokers::rocketmq::format::properties::{Properties, names as property_names};
use crate::codec::host::Host;
use crate::codec::offset_id::OffsetId;
use crate::error::{Error, Result};
use crate::lake::schema::codes::kind_name;
use crate::lake::schema::{MESSAGE, TableDef};
use crate::rows::{
    BatchContext, DayRows, NO_NAME, NO_NUMBER, NO_TIME, NameLists, Names, Rows, Texts, batch_of, by_day,
    constant_column, day_and_name, descending, gather, integers, last_word, list_builder, map_builder,
    small_integers, split_keys, text_column, times,
};

/// One stored message. Name ids refer to the batch's [`crate::rows::Names`].
#[derive(Debug, Clone, Copy)]
pub(super) struct StoredRow<'a> {
    /// Name id of the stored topic.
    pub subject: u32,
    /// Code of its kind.
    pub kind: i8,
    /// Name id of the group of a retry or dead letter, or `NO_NAME`.
    pub consumer_group: u32,
    /// Name id of the topic that the message is a copy of.
    pub origin_subject: Option<u32>,
    /// Queue id.
    pub queue_id: i32,
    /// Queue offset.
    pub sequence: i64,
    /// The id that clients show: the unique key, or the offset id if there is none.
    pub message_id: &'a str,
    /// The message's own id, if it was sent in a batch.
    pub own_id: &'a str,
    /// Broker's clock.
    pub store_time_ms: i64,
    /// Producer's clock.
    pub born_time_ms: i64,
    /// Name id of the client address.
    pub born_host: u32,
    /// Name id of the broker address.
    pub store_host: u32,
    /// Name id of the tag, or `NO_NAME`.
    pub tag: u32,
    /// Bytes of the body after decompression, or `NO_NUMBER` if it cannot be decompressed.
    pub body_size: i32,
    /// Size of the record in bytes.
    pub stored_size: i32,
    /// CRC of the body as stored.
    pub body_crc: i32,
    /// Redeliveries so far.
    pub reconsume_times: i32,
    /// Application-defined.
    pub flag: i32,
    /// System flags as stored.
    pub sys_flag: i32,
    /// Physical offset.
    pub physical_offset: i64,
    /// Physical offset of the half record of a committed message.
    pub prepared_offset: i64,
    /// Properties as stored.
    pub properties: &'a [u8],
}

/// Bytes of the columns with a fixed length.
const FIXED_BYTES: usize = 128;

/// Rows of `message`, and messages that are only stored inline with their keys.
#[derive(Debug, Default)]
pub(super) struct StoredRows {
    /// Whether the message becomes a row, because the table lacks it.
    is_row: Vec<bool>,
    rows: usize,
    subject: Vec<u32>,
    kind: Vec<i8>,
    consumer_group: Vec<u32>,
    origin_subject: Vec<u32>,
    queue_id: Vec<i32>,
    sequence: Vec<i64>,
    message_id: Texts,
    own_id: Texts,
    store_time: Vec<i64>,
    born_time: Vec<i64>,
    born_host: Vec<u32>,
    store_host: Vec<u32>,
    tags: NameLists,
    body_size: Vec<i32>,
    stored_size: Vec<i32>,
    body_crc: Vec<i32>,
    reconsume_times: Vec<i32>,
    flag: Vec<i32>,
    sys_flag: Vec<i32>,
    physical_offset: Vec<i64>,
    prepared_offset: Vec<i64>,
    /// Properties as stored, back to back.
    properties: Vec<u8>,
    property_ends: Vec<usize>,
}

impl StoredRows {
    /// Adds a message and returns its row number; `is_row` says that the table lacks it.
    pub(super) fn push(&mut self, row: &StoredRow<'_>, is_row: bool) -> u32 {
        let number = self.kind.len() as u32;
        self.is_row.push(is_row);
        self.rows += usize::from(is_row);
        self.subject.push(row.subject);
        self.kind.push(row.kind);
        self.consumer_group.push(row.consumer_group);
        self.origin_subject.push(row.origin_subject.unwrap_or(NO_NAME));
        self.queue_id.push(row.queue_id);
        self.sequence.push(row.sequence);
        self.message_id.push(row.message_id.as_bytes());
        self.own_id.push(row.own_id.as_bytes());
        self.store_time.push(row.store_time_ms);
        self.born_time.push(row.born_time_ms);
        self.born_host.push(row.born_host);
        self.store_host.push(row.store_host);
        let tags = [row.tag];
        self.tags.push(Some(if row.tag == NO_NAME { &[] } else { &tags }));
        self.body_size.push(row.body_size);
        self.stored_size.push(row.stored_size);
        self.body_crc.push(row.body_crc);
        self.reconsume_times.push(row.reconsume_times);
        self.flag.push(row.flag);
        self.sys_flag.push(row.sys_flag);
        self.physical_offset.push(row.physical_offset);
        self.prepared_offset.push(row.prepared_offset);
        self.properties.extend_from_slice(row.properties);
        self.property_ends.push(self.properties.len());
        number
    }

    /// Approximate size in memory.
    #[must_use]
    pub(super) fn heap_bytes(&self) -> usize {
        let texts = self.message_id.bytes.len() + self.own_id.bytes.len() + self.properties.len();
        texts + self.kind.len() * FIXED_BYTES
    }

    fn properties_of(&self, row: usize) -> &[u8] {
        let start =
            row.checked_sub(1).and_then(|before| self.property_ends.get(before)).copied().unwrap_or(0);
        let end = self.property_ends.get(row).copied().unwrap_or(start);
        self.properties.get(start..end).unwrap_or_default()
    }

    /// The columns of the keys and of all properties; the last value of a repeated name counts.
    fn property_columns(&self, order: &[u32]) -> Result<(ArrayRef, ArrayRef)> {
        let (mut keys, mut maps) = (list_builder(), map_builder());
        let mut distinct = Distinct::default();
        for row in order {
            let mut all_keys = Cow::Borrowed("");
            for (name, value) in distinct.pairs(self.properties_of(*row as usize)) {
                let value = String::from_utf8_lossy(value);
                maps.keys().append_value(String::from_utf8_lossy(name));
                maps.values().append_value(&value);
                if *name == property_names::KEYS.as_bytes() {
                    all_keys = value;
                }
            }
            maps.append(true)?;
            for key in split_keys(&all_keys) {
                keys.values().append_value(key);
            }
            keys.append(true);
        }
        Ok((Arc::new(keys.finish()), Arc::new(maps.finish())))
    }

    /// Messages as JSON by row number, null where there is none.
    pub(super) fn json_column(
        &self,
        numbers: impl Iterator<Item = Option<u32>>,
        broker: &str,
        names: &Names,
    ) -> Result<ArrayRef> {
        let mut column = StringBuilder::new();
        let mut distinct = Distinct::default();
        let mut text = Vec::new();
        for number in numbers {
            let Some(number) = number else {
                column.append_null();
                continue;
            };
            text.clear();
            self.write_json(number as usize, broker, names, &mut distinct, &mut text)?;
            column.append_value(String::from_utf8_lossy(&text));
        }
        Ok(Arc::new(column.finish()))
    }

    fn write_json<'a>(
        &'a self,
        row: usize,
        broker: &str,
        names: &Names,
        distinct: &mut Distinct<'a>,
        text: &mut Vec<u8>,
    ) -> Result<()> {
        fn of<T: Copy>(values: &[T], row: usize, absent: T) -> T {
            values.get(row).copied().unwrap_or(absent)
        }
        let name = |numbers: &[u32]| match of(numbers, row, NO_NAME) {
            NO_NAME => None,
            number => Some(names.text(number)),
        };
        let number = |numbers: &[i32]| Number(of(numbers, row, NO_NUMBER));
        let time = |times: &[i64]| of(times, row, NO_TIME);
        let pairs = distinct.pairs(self.properties_of(row));
        let value = |name: &str| pairs.iter().find(|pair| pair.0 == name.as_bytes()).map(|pair| pair.1);
        let all_keys = String::from_utf8_lossy(value(property_names::KEYS).unwrap_or_default());
        let store_host = name(&self.store_host).unwrap_or_default();
        let offset = of(&self.physical_offset, row, 0);
        let message = StoredJson {
            topic: name(&self.subject).unwrap_or_default(),
            origin_topic: name(&self.origin_subject),
            kind: kind_name(i64::from(of(&self.kind, row, 0))),
            consumer_group: name(&self.consumer_group),
            broker,
            queue_id: number(&self.queue_id),
            queue_offset: of(&self.sequence, row, 0),
            message_id: self.message_id.get(row),
            own_id: self.own_id.get(row),
            offset_message_id: Host::parse(store_host).map(|host| OffsetId { host, offset }),
            keys: split_keys(&all_keys).collect(),
            tags: self.tags.first(row, names),
            born_time: time(&self.born_time),
            store_time: time(&self.store_time),
            born_host: name(&self.born_host).unwrap_or_default(),
            store_host,
            body_size: number(&self.body_size),
            stored_size: number(&self.stored_size),
            reconsume_times: number(&self.reconsume_times),
            flag: number(&self.flag),
            sys_flag: number(&self.sys_flag),
            body_crc: number(&self.body_crc),
            physical_offset: offset,
            prepared_transaction_offset: of(&self.prepared_offset, row, 0),
            properties: PropertyMap(pairs),
        };
        serde_json::to_writer(text, &message).map_err(|error| Error::Invariant(error.to_string()))
    }
}

/// Parses properties: each name once, with its last value.
#[derive(Default)]
struct Distinct<'a> {
    seen: HashMap<&'a [u8], usize>,
    pairs: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Distinct<'a> {
    fn pairs(&mut self, text: &'a [u8]) -> &[(&'a [u8], &'a [u8])] {
        self.seen.clear();
        self.pairs.clear();
        for (name, value) in Properties::new(text).pairs() {
            match self.seen.get(name).and_then(|place| self.pairs.get_mut(*place)) {
                Some(known) => known.1 = value,
                None => {
                    self.seen.insert(name, self.pairs.len());
                    self.pairs.push((name, value));
                }
            }
        }
        &self.pairs
    }
}

impl Rows for StoredRows {
    fn def(&self) -> &'static TableDef {
        &MESSAGE
    }

    fn len(&self) -> usize {
        self.rows
    }

    fn heap_bytes_of(&self, row: u32) -> usize {
        self.properties_of(row as usize).len()
    }

    fn sorted(&self, context: &BatchContext<'_>) -> Vec<DayRows> {
        let rows = self.subject.iter().zip(&self.store_time).zip(&self.is_row).enumerate();
        let rows = rows.filter(|(_, (_, is_row))| **is_row);
        by_day(
            rows.map(|(row, ((subject, time), _))| {
                let name = day_and_name(context.day_of(*time), context.rank(*subject), 0);
                [name, descending(*time), last_word(0, 0, row)]
            })
            .collect(),
        )
    }

    fn batch(&self, order: &[u32], context: &BatchContext<'_>) -> Result<RecordBatch> {
        let text = |numbers: &[u32]| text_column(gather(numbers, order), &context.dictionary);
        let (keys, properties) = self.property_columns(order)?;
        batch_of(
            &MESSAGE,
            vec![
                constant_column(context.system, order.len())?,
                text(&self.subject)?,
                Arc::new(Int8Array::from_iter_values(gather(&self.kind, order))),
                text(&self.consumer_group)?,
                constant_column(context.broker_group, order.len())?,
                integers(&self.sequence, order),
                self.message_id.column(order),
                times(&self.store_time, order, false),
                times(&self.store_time, order, true),
                self.tags.column(order, context.names),
                small_integers(&self.queue_id, order, true),
                text(&self.origin_subject)?,
                self.own_id.nullable_column(order),
                keys,
                times(&self.born_time, order, true),
                text(&self.born_host)?,
                text(&self.store_host)?,
                small_integers(&self.body_size, order, true),
                small_integers(&self.stored_size, order, true),
                small_integers(&self.body_crc, order, true),
                small_integers(&self.reconsume_times, order, true),
                small_integers(&self.flag, order, true),
                small_integers(&self.sys_flag, order, true),
                integers(&self.physical_offset, order),
                integers(&self.prepared_offset, order),
                properties,
            ],
        )
    }
}
