//! Rows of `content`.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, Int8Array, Int32Array};
use arrow::record_batch::RecordBatch;

use super::names::{constant_column, text_column};
use super::{
    BatchContext, DayRows, NameLists, Rows, Texts, ascending, batch_of, by_day, day_and_name, gather,
    integers, last_word, map_builder, offsets, small_integers, times,
};
use crate::error::Result;
use crate::lake::schema::{CONTENT, TableDef};

/// Decodes the attributes of a body: names and values, in order; `None` if the body is no attribute map.
pub(crate) type AttributesOf = for<'a> fn(&'a [u8]) -> Option<Vec<(Cow<'a, str>, Cow<'a, str>)>>;

/// Rows of `content`.
#[derive(Debug, Default)]
pub struct ContentRows {
    subject: Vec<u32>,
    kind: Vec<i8>,
    consumer_group: Vec<u32>,
    sequence: Vec<i64>,
    message_id: Texts,
    create_time: Vec<i64>,
    store_time: Vec<i64>,
    payload_subject: Vec<u32>,
    flags: Vec<i8>,
    expire_time: Vec<i64>,
    schedule_time: Vec<i64>,
    tags: NameLists,
    body_size: Vec<i32>,
    /// Bodies in one buffer, as received; empty if not kept.
    bodies: Vec<u8>,
    ends: Vec<usize>,
    /// Queue, or `NO_NUMBER`.
    queue_id: Vec<i32>,
    /// Offset of the record in the log, or `NO_OFFSET`.
    physical_offset: Vec<i64>,
    /// Decoder of attributes; without it bodies are kept as bytes.
    attributes: Option<AttributesOf>,
}

/// The content of one message. Names are ids in the batch's [`super::Names`].
pub(crate) struct ContentRow<'a> {
    pub(crate) subject: u32,
    pub(crate) kind: i8,
    pub(crate) consumer_group: u32,
    pub(crate) sequence: i64,
    pub(crate) message_id: &'a [u8],
    pub(crate) create_time_ms: i64,
    pub(crate) store_time_ms: i64,
    pub(crate) payload_subject: u32,
    pub(crate) flags: i8,
    pub(crate) expire_time_ms: i64,
    pub(crate) schedule_time_ms: i64,
    pub(crate) tags: Option<&'a [u32]>,
    pub(crate) body: &'a [u8],
    /// Queue, or `NO_NUMBER`.
    pub(crate) queue_id: i32,
    /// Offset of the record in the log, or `NO_OFFSET`.
    pub(crate) physical_offset: i64,
}

impl ContentRows {
    /// Rows whose bodies are decoded into attributes.
    pub(crate) fn with_attributes(attributes: AttributesOf) -> ContentRows {
        ContentRows { attributes: Some(attributes), ..ContentRows::default() }
    }

    /// Adds the content of a message. If its body has more than `max_body` bytes, only the size is kept.
    pub(crate) fn push(&mut self, row: &ContentRow<'_>, max_body: usize) {
        self.subject.push(row.subject);
        self.kind.push(row.kind);
        self.consumer_group.push(row.consumer_group);
        self.sequence.push(row.sequence);
        self.message_id.push(row.message_id);
        self.create_time.push(row.create_time_ms);
        self.store_time.push(row.store_time_ms);
        self.payload_subject.push(row.payload_subject);
        self.flags.push(row.flags);
        self.expire_time.push(row.expire_time_ms);
        self.schedule_time.push(row.schedule_time_ms);
        self.tags.push(row.tags);
        self.body_size.push(i32::try_from(row.body.len()).unwrap_or(i32::MAX));
        if row.body.len() <= max_body {
            self.bodies.extend_from_slice(row.body);
        }
        self.ends.push(self.bodies.len());
        self.queue_id.push(row.queue_id);
        self.physical_offset.push(row.physical_offset);
    }

    /// Bytes of bodies and ids.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.bodies.len() + self.message_id.bytes.len()
    }

    fn body(&self, row: usize) -> &[u8] {
        let start = row.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(row).copied().unwrap_or(start);
        self.bodies.get(start..end).unwrap_or_default()
    }

    /// The attribute maps, and the raw bytes of bodies that are not attribute maps.
    fn bodies(&self, order: &[u32]) -> Result<(ArrayRef, ArrayRef)> {
        let mut maps = map_builder();
        let mut raw = BinaryBuilder::new();
        for row in order {
            let body = self.body(*row as usize);
            let omitted = body.is_empty() && self.body_size.get(*row as usize).is_some_and(|size| *size > 0);
            let Some(attributes) = self.attributes else {
                maps.append(false)?;
                raw.append_option((!omitted).then_some(body));
                continue;
            };
            match attributes(body) {
                Some(pairs) if !omitted => {
                    for (key, value) in pairs {
                        maps.keys().append_value(key);
                        maps.values().append_value(value);
                    }
                    maps.append(true)?;
                    raw.append_null();
                }
                Some(_) => {
                    maps.append(false)?;
                    raw.append_null();
                }
                None => {
                    maps.append(false)?;
                    raw.append_value(body);
                }
            }
        }
        Ok((Arc::new(maps.finish()), Arc::new(raw.finish())))
    }
}

impl Rows for ContentRows {
    fn def(&self) -> &'static TableDef {
        &CONTENT
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn heap_bytes_of(&self, row: u32) -> usize {
        self.body(row as usize).len()
    }

    fn sorted(&self, context: &BatchContext<'_>) -> Vec<DayRows> {
        let rows = self.subject.iter().zip(&self.kind).zip(&self.sequence).zip(&self.create_time).enumerate();
        by_day(
            rows.map(|(row, (((subject, kind), sequence), time))| {
                let name = day_and_name(context.day_of(*time), context.rank(*subject), kind.cast_unsigned());
                [name, ascending(*sequence), last_word(0, 0, row)]
            })
            .collect(),
        )
    }

    fn batch(&self, order: &[u32], context: &BatchContext<'_>) -> Result<RecordBatch> {
        let (attributes, body) = self.bodies(order)?;
        batch_of(
            &CONTENT,
            vec![
                constant_column(context.system, order.len())?,
                text_column(gather(&self.subject, order), &context.dictionary)?,
                Arc::new(Int8Array::from_iter_values(gather(&self.kind, order))),
                text_column(gather(&self.consumer_group, order), &context.dictionary)?,
                constant_column(context.broker_group, order.len())?,
                integers(&self.sequence, order),
                self.message_id.column(order),
                times(&self.create_time, order, false),
                times(&self.store_time, order, true),
                text_column(gather(&self.payload_subject, order), &context.dictionary)?,
                Arc::new(Int8Array::from_iter_values(gather(&self.flags, order))),
                times(&self.expire_time, order, true),
                times(&self.schedule_time, order, true),
                self.tags.column(order, context.names),
                attributes,
                Arc::new(Int32Array::from_iter_values(gather(&self.body_size, order))),
                body,
                small_integers(&self.queue_id, order, true),
                offsets(&self.physical_offset, order),
            ],
        )
    }
}
