//! Rows of `trace`: one trace event about one message.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, Int64Array, TimestampMillisecondArray};
use arrow::record_batch::RecordBatch;

use super::key_rows::head;
use crate::brokers::rocketmq::trace::event::MessageEvent;
use crate::error::Result;
use crate::lake::schema::{TRACE, TableDef};
use crate::rows::{
    BatchContext, DayRows, NO_NAME, Names, Rows, Texts, batch_of, constant_column, list_builder, split_days,
    split_keys, text_column,
};

/// `trace_type` of a record that cannot be decoded; its text is kept.
const UNDECODED: &str = "Undecoded";

/// The message that carried events.
#[derive(Debug, Clone, Copy)]
pub(super) struct Carrier<'a> {
    /// Offset id of the message; empty if the events were posted.
    pub id: &'a str,
    /// Name id of its topic, or `NO_NAME`.
    pub subject: u32,
    /// Name id of the client address.
    pub client_host: u32,
    /// Broker's clock, or for posted events the server's.
    pub store_time_ms: i64,
}

/// Content of a row.
#[derive(Debug, Clone, Copy)]
pub(super) enum TraceRow<'a> {
    /// A decoded event about one message.
    Event(MessageEvent<'a, 'a>),
    /// A record that cannot be decoded: its index in the body, and its text.
    Undecoded(u32, &'a [u8]),
}

#[derive(Debug)]
struct Row {
    trace_type: u32,
    time_stamp: Option<i64>,
    region_id: u32,
    group_name: u32,
    topic: u32,
    tags: u32,
    store_host: u32,
    body_length: Option<i32>,
    cost_time: Option<i64>,
    msg_type: Option<i32>,
    success: Option<bool>,
    context_code: Option<i32>,
    client_host: u32,
    retry_times: Option<i32>,
    transaction_state: u32,
    from_transaction_check: Option<bool>,
    carrier_subject: u32,
    store_time: i64,
    event: i32,
    bean: i32,
}

/// Rows of `trace`.
#[derive(Debug, Default)]
pub(super) struct TraceRows {
    rows: Vec<Row>,
    msg_id: Texts,
    request_id: Texts,
    keys: Texts,
    offset_msg_id: Texts,
    transaction_id: Texts,
    carrier: Texts,
    raw: Texts,
}

impl TraceRows {
    /// Adds an event that came in a carrier message.
    pub(super) fn push(&mut self, carrier: &Carrier<'_>, row: TraceRow<'_>, names: &mut Names) {
        let mut name = |text: Option<&str>| text.map_or(NO_NAME, |text| names.id(text.as_bytes()));
        let place = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        match row {
            TraceRow::Event(MessageEvent { event, place: bean, msg_id, offset_msg_id }) => {
                self.rows.push(Row {
                    trace_type: name(Some(event.kind.word())),
                    time_stamp: event.time_stamp,
                    region_id: name(event.region_id.as_deref()),
                    group_name: name(event.group_name.as_deref()),
                    topic: name(event.topic.as_deref()),
                    tags: name(event.tags.as_deref()),
                    store_host: name(event.store_host.as_deref()),
                    body_length: event.body_length.map(|n| i32::try_from(n).unwrap_or(i32::MAX)),
                    cost_time: event.cost_time,
                    msg_type: event.msg_type,
                    success: event.success,
                    context_code: event.context_code,
                    client_host: match event.client_host.as_deref() {
                        Some(host) => name(Some(host)),
                        None => carrier.client_host,
                    },
                    retry_times: event.retry_times,
                    transaction_state: name(event.transaction_state.as_deref()),
                    from_transaction_check: event.from_transaction_check,
                    carrier_subject: carrier.subject,
                    store_time: carrier.store_time_ms,
                    event: place(event.event),
                    bean: place(bean),
                });
                self.msg_id.push(msg_id.unwrap_or("").as_bytes());
                self.request_id.push(text(event.request_id.as_deref()));
                self.keys.push(text(event.keys.as_deref()));
                self.offset_msg_id.push(text(offset_msg_id));
                self.transaction_id.push(text(event.transaction_id.as_deref()));
                self.raw.push(text(event.extra.as_deref()));
            }
            TraceRow::Undecoded(event, raw) => {
                self.rows.push(Row {
                    trace_type: name(Some(UNDECODED)),
                    time_stamp: None,
                    region_id: NO_NAME,
                    group_name: NO_NAME,
                    topic: NO_NAME,
                    tags: NO_NAME,
                    store_host: NO_NAME,
                    body_length: None,
                    cost_time: None,
                    msg_type: None,
                    success: None,
                    context_code: None,
                    client_host: carrier.client_host,
                    retry_times: None,
                    transaction_state: NO_NAME,
                    from_transaction_check: None,
                    carrier_subject: carrier.subject,
                    store_time: carrier.store_time_ms,
                    event: place(event),
                    bean: 0,
                });
                for texts in [
                    &mut self.msg_id,
                    &mut self.request_id,
                    &mut self.keys,
                    &mut self.offset_msg_id,
                    &mut self.transaction_id,
                ] {
                    texts.push(b"");
                }
                self.raw.push(raw);
            }
        }
        self.carrier.push(carrier.id.as_bytes());
    }

    /// Bytes of ids and texts.
    #[must_use]
    pub(super) fn heap_bytes(&self) -> usize {
        self.msg_id.bytes.len() + self.request_id.bytes.len() + self.keys.bytes.len() + self.raw.bytes.len()
    }

    fn column<'a, T>(
        &'a self,
        order: &'a [u32],
        pick: impl Fn(&Row) -> T + 'a,
    ) -> impl Iterator<Item = T> + 'a {
        order.iter().filter_map(|row| self.rows.get(*row as usize)).map(pick)
    }

    fn keys(&self, order: &[u32]) -> ArrayRef {
        let mut builder = list_builder();
        for row in order {
            let all = self.keys.get(*row as usize);
            for key in split_keys(all) {
                builder.values().append_value(key);
            }
            builder.append(!all.is_empty());
        }
        Arc::new(builder.finish())
    }
}

fn text(text: Option<&str>) -> &[u8] {
    text.unwrap_or("").as_bytes()
}

impl Rows for TraceRows {
    fn def(&self) -> &'static TableDef {
        &TRACE
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn sorted(&self, context: &BatchContext<'_>) -> Vec<DayRows> {
        let id = |row: u32| self.msg_id.get(row as usize).as_bytes();
        let mut order: Vec<(i32, u64, i64, u32)> = self
            .rows
            .iter()
            .zip(0..)
            .map(|(row, at)| {
                (context.day_of(row.store_time), head(self.msg_id.get(at as usize)), row.store_time, at)
            })
            .collect();
        order.sort_unstable_by(|a, b| {
            (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| id(a.3).cmp(id(b.3))).then((a.2, a.3).cmp(&(b.2, b.3)))
        });
        split_days(order.into_iter().map(|(day, .., row)| (day, row)))
    }

    fn batch(&self, order: &[u32], context: &BatchContext<'_>) -> Result<RecordBatch> {
        let names = |pick: fn(&Row) -> u32| text_column(self.column(order, pick), &context.dictionary);
        let small = |pick: fn(&Row) -> Option<i32>| -> ArrayRef {
            Arc::new(self.column(order, pick).collect::<Int32Array>())
        };
        let flags = |pick: fn(&Row) -> Option<bool>| -> ArrayRef {
            Arc::new(self.column(order, pick).collect::<BooleanArray>())
        };
        let time = |pick: fn(&Row) -> Option<i64>| -> ArrayRef {
            let times: TimestampMillisecondArray = self.column(order, pick).collect();
            Arc::new(times.with_timezone("UTC"))
        };
        batch_of(
            &TRACE,
            vec![
                constant_column(context.system, order.len())?,
                names(|row| row.trace_type)?,
                self.msg_id.column(order),
                time(|row| row.time_stamp),
                names(|row| row.region_id)?,
                names(|row| row.group_name)?,
                self.request_id.nullable_column(order),
                names(|row| row.topic)?,
                names(|row| row.tags)?,
                self.keys(order),
                names(|row| row.store_host)?,
                small(|row| row.body_length),
                Arc::new(self.column(order, |row| row.cost_time).collect::<Int64Array>()),
                small(|row| row.msg_type),
                self.offset_msg_id.nullable_column(order),
                flags(|row| row.success),
                small(|row| row.context_code),
                names(|row| row.client_host)?,
                small(|row| row.retry_times),
                self.transaction_id.nullable_column(order),
                names(|row| row.transaction_state)?,
                flags(|row| row.from_transaction_check),
                constant_column(context.broker_group, order.len())?,
                self.carrier.nullable_column(order),
                names(|row| row.carrier_subject)?,
                time(|row| Some(row.store_time)),
                small(|row| Some(row.event)),
                small(|row| Some(row.bean)),
                self.raw.nullable_column(order),
            ],
        )
    }
}
