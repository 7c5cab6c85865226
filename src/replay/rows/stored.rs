//! Rows of `message` from RocketMQ: one stored record, or one message of an inner batch.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int8Array};
use arrow::record_batch::RecordBatch;
use hashbrown::HashMap;

use super::super::names::{NO_NAME, constant_column, text_column};
use super::{
    BatchContext, DayRows, NameLists, Rows, Texts, batch_of, by_day, day_and_name, day_of, descending,
    gather, integers, last_word, list_builder, map_builder, small_integers, split_keys, times,
};
use crate::error::Result;
use crate::lake::schema::{MESSAGE, TableDef};
use crate::rocketmq::properties::{Properties, names};

/// One stored message. Names are numbers of the batch's [`super::super::Names`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredRow<'a> {
    /// Stored topic.
    pub subject: u32,
    /// Code of its kind.
    pub kind: i8,
    /// Group of a retry or dead letter, or `NO_NAME`.
    pub consumer_group: u32,
    /// Topic that it is a copy of.
    pub origin_subject: Option<u32>,
    /// Queue.
    pub queue_id: i32,
    /// Queue offset.
    pub sequence: i64,
    /// The id that clients show: the unique key, or else the offset id.
    pub message_id: &'a str,
    /// The single message's own id, if it was sent in a batch.
    pub own_id: &'a str,
    /// Broker's clock.
    pub store_time_ms: i64,
    /// Producer's clock.
    pub born_time_ms: i64,
    /// Number of the client's address.
    pub born_host: u32,
    /// Number of the broker's address.
    pub store_host: u32,
    /// Number of the tag, or `NO_NAME`.
    pub tag: u32,
    /// Bytes of the body after decompression, or `NO_NUMBER` if it cannot be decompressed.
    pub body_size: i32,
    /// Bytes of the record.
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

/// Rows of `message`.
#[derive(Debug, Default)]
pub(crate) struct StoredRows {
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
    /// Adds a message.
    pub(crate) fn push(&mut self, row: &StoredRow<'_>) {
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
    }

    /// Bytes of ids and properties.
    #[must_use]
    pub(crate) fn heap_bytes(&self) -> usize {
        self.message_id.bytes.len() + self.own_id.bytes.len() + self.properties.len()
    }

    fn properties_of(&self, row: usize) -> &[u8] {
        let start =
            row.checked_sub(1).and_then(|before| self.property_ends.get(before)).copied().unwrap_or(0);
        let end = self.property_ends.get(row).copied().unwrap_or(start);
        self.properties.get(start..end).unwrap_or_default()
    }

    /// The keys, and all properties; of a repeated name the last value counts.
    fn property_columns(&self, order: &[u32]) -> Result<(ArrayRef, ArrayRef)> {
        let (mut keys, mut maps) = (list_builder(), map_builder());
        let mut seen: HashMap<&[u8], usize> = HashMap::new();
        let mut pairs: Vec<(&[u8], &[u8])> = Vec::new();
        for row in order {
            let text = self.properties_of(*row as usize);
            pairs.clear();
            seen.clear();
            for (name, value) in Properties::new(text).pairs() {
                match seen.get(name).and_then(|place| pairs.get_mut(*place)) {
                    Some(known) => known.1 = value,
                    None => {
                        seen.insert(name, pairs.len());
                        pairs.push((name, value));
                    }
                }
            }
            let mut all_keys = Cow::Borrowed("");
            for (name, value) in &pairs {
                let value = String::from_utf8_lossy(value);
                maps.keys().append_value(String::from_utf8_lossy(name));
                maps.values().append_value(&value);
                if *name == names::KEYS.as_bytes() {
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
}

impl Rows for StoredRows {
    fn def(&self) -> &'static TableDef {
        &MESSAGE
    }

    fn len(&self) -> usize {
        self.kind.len()
    }

    fn heap_bytes_of(&self, row: u32) -> usize {
        self.properties_of(row as usize).len()
    }

    fn sorted(&self, context: &BatchContext<'_>) -> Vec<DayRows> {
        let rows = self.subject.iter().zip(&self.store_time).enumerate();
        by_day(
            rows.map(|(row, (subject, time))| {
                let name = day_and_name(day_of(*time), context.rank(*subject), 0);
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
