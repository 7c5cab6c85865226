//! Rows of `content`.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, Int8Array, Int32Array};
use arrow::record_batch::RecordBatch;

use super::names::{constant_column, text_column};
use super::{
    BatchContext, DayRows, NO_NUMBER, NO_OFFSET, NO_TIME, NameLists, Rows, Texts, ascending, batch_of,
    by_day, day_and_name, gather, integers, last_word, map_builder, offsets, small_integers, times,
};
use crate::brokers::qmq::format::payload::{Payload, attributes};
use crate::brokers::qmq::replay::MessageRow;
use crate::brokers::rocketmq::replay::StoredRow;
use crate::error::Result;
use crate::lake::schema::{CONTENT, TableDef};

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
    /// Bodies back to back, as received; empty where not kept.
    bodies: Vec<u8>,
    ends: Vec<usize>,
    /// Queue of a RocketMQ message, whose body is kept as bytes; `NO_NUMBER` for QMQ, whose bodies are attributes.
    queue_id: Vec<i32>,
    /// Place of a RocketMQ record in the log; `NO_OFFSET` for QMQ.
    physical_offset: Vec<i64>,
}

impl ContentRows {
    /// Adds the content of a message; of a body over `max_body` bytes only the size is kept.
    pub fn push(
        &mut self,
        row: &MessageRow<'_>,
        payload: &Payload<'_>,
        payload_subject: u32,
        max_body: usize,
    ) {
        self.subject.push(row.place.subject);
        self.kind.push(row.place.kind.as_i8());
        self.consumer_group.push(row.place.consumer_group);
        self.sequence.push(row.sequence);
        self.message_id.push(row.message_id);
        self.create_time.push(row.create_time_ms);
        self.store_time.push(row.store_time_ms);
        self.payload_subject.push(payload_subject);
        self.flags.push(payload.flags.cast_signed());
        let third = payload.expire_or_schedule_time_ms;
        let delayed = payload.is_delay();
        self.expire_time.push(if delayed { NO_TIME } else { third });
        self.schedule_time.push(if delayed { third } else { NO_TIME });
        self.tags.push(row.tags);
        self.body_size.push(i32::try_from(payload.body.len()).unwrap_or(i32::MAX));
        if payload.body.len() <= max_body {
            self.bodies.extend_from_slice(payload.body);
        }
        self.ends.push(self.bodies.len());
        self.queue_id.push(NO_NUMBER);
        self.physical_offset.push(NO_OFFSET);
    }

    /// Adds the body of a RocketMQ message; of one over `max_body` bytes only the size is kept.
    pub(crate) fn push_body(&mut self, row: &StoredRow<'_>, body: &[u8], max_body: usize) {
        self.subject.push(row.subject);
        self.kind.push(row.kind);
        self.consumer_group.push(row.consumer_group);
        self.sequence.push(row.sequence);
        self.message_id.push(row.message_id.as_bytes());
        self.create_time.push(row.store_time_ms);
        self.store_time.push(row.store_time_ms);
        self.payload_subject.push(row.origin_subject.unwrap_or(row.subject));
        self.flags.push(0);
        self.expire_time.push(NO_TIME);
        self.schedule_time.push(NO_TIME);
        self.tags.push(None);
        self.body_size.push(i32::try_from(body.len()).unwrap_or(i32::MAX));
        if body.len() <= max_body {
            self.bodies.extend_from_slice(body);
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

    /// The attribute maps, and the raw bytes of bodies that are none.
    fn bodies(&self, order: &[u32]) -> Result<(ArrayRef, ArrayRef)> {
        let mut maps = map_builder();
        let mut raw = BinaryBuilder::new();
        for row in order {
            let body = self.body(*row as usize);
            let omitted = body.is_empty() && self.body_size.get(*row as usize).is_some_and(|size| *size > 0);
            let is_raw = self.queue_id.get(*row as usize).is_some_and(|queue| *queue != NO_NUMBER);
            if is_raw {
                maps.append(false)?;
                raw.append_option((!omitted).then_some(body));
                continue;
            }
            match attributes(body) {
                Ok(pairs) if !omitted => {
                    for (key, value) in pairs {
                        maps.keys().append_value(key);
                        maps.values().append_value(value);
                    }
                    maps.append(true)?;
                    raw.append_null();
                }
                Ok(_) => {
                    maps.append(false)?;
                    raw.append_null();
                }
                Err(_) => {
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
