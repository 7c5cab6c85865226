//! `GET /api/v1/traces`: the story of a message, from trace events and stored copies.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray};
use arrow::record_batch::RecordBatch;

use super::super::App;
use super::messages::id_forms;
use super::params::Params;
use super::refusal::Refusal;
use super::system;
use crate::error::{Error, Result};
use crate::lake::schema::{MESSAGE, MESSAGE_KEY, SYSTEM_ROCKETMQ, TRACE};
use crate::query::Pinned;
use crate::query::lookup::{Condition, KeyHit, StoredMessage, find_anywhere, key_hits, messages_of, numbers};
use crate::query::trace_graph::assemble;
use crate::query::trace_graph::rows::{CopyKind, CopyRow, TraceRow};
use crate::replay::KeyKind;
use crate::rocketmq::trace::event::Kind;

/// Most messages of one graph: those that share a key.
const MOST_MESSAGES: usize = 100;

/// Answers the route.
pub(super) async fn traces(app: &App, mut params: Params) -> Result<serde_json::Value, Refusal> {
    let system = system(&mut params)?;
    if system != SYSTEM_ROCKETMQ {
        return Err(Refusal::field(
            "system",
            "must be rocketmq: QMQ tells pulls and acks at /api/message/records",
        ));
    }
    let (id, key, topic) = (params.text("id"), params.text("key"), params.text("topic"));
    params.end()?;
    let pinned = app.catalog.pin();
    let story = Story { app, pinned: &pinned, topic: topic.as_deref() };
    let ids = match (id, key) {
        (Some(id), None) => story.ids_of_id(&id).await?,
        (None, Some(key)) => {
            let topic = topic.as_deref().ok_or_else(|| Refusal::field("topic", "is missing"))?;
            story.ids_of_key(&key, topic).await?
        }
        (Some(_), Some(_)) => return Err(Refusal::field("key", "and `id` exclude each other")),
        (None, None) => return Err(Refusal::field("id", "is missing (or `key` and `topic`)")),
    };
    if ids.shown.len() + ids.own.len() > MOST_MESSAGES {
        return Err(
            Error::Limit(format!("the key has more than {MOST_MESSAGES} messages; ask by `id`")).into()
        );
    }
    let (copies, ids) = story.copies(ids).await?;
    let events = story.events(&ids).await?;
    let graph = serde_json::to_value(assemble(&events, &copies));
    Ok(graph.map_err(|error| Error::Invariant(error.to_string()))?)
}

/// Which messages a story is about.
#[derive(Default)]
struct Ids {
    /// Ids that clients show; one can mean all messages of a batch.
    shown: BTreeSet<String>,
    /// Own ids of single messages of a batch.
    own: BTreeSet<String>,
}

struct Story<'a> {
    app: &'a App,
    pinned: &'a Pinned,
    topic: Option<&'a str>,
}

impl Story<'_> {
    async fn hits(&self, key: &str) -> Result<Vec<KeyHit>> {
        key_hits(&self.app.catalog.files, self.pinned.table(&MESSAGE_KEY)?, SYSTEM_ROCKETMQ, key).await
    }

    /// The messages that an id means.
    async fn ids_of_id(&self, id: &str) -> Result<Ids> {
        let mut ids = Ids::default();
        for form in id.split(',').flat_map(id_forms) {
            let mut is_known = false;
            for hit in self.hits(&form).await? {
                if self.topic.is_some_and(|topic| topic != hit.subject) {
                    continue;
                }
                if hit.is(KeyKind::MessageId) {
                    ids.shown.insert(hit.message_id);
                } else if hit.is(KeyKind::OwnId) {
                    ids.own.insert(form.clone());
                } else if hit.is(KeyKind::OffsetId) {
                    for message in self.messages(&[hit]).await? {
                        match message.own_id {
                            Some(own) => ids.own.insert(own),
                            None => ids.shown.insert(message.message_id),
                        };
                    }
                } else {
                    continue;
                }
                is_known = true;
            }
            if !is_known {
                // clients may have reported about a message that is not stored
                ids.shown.insert(form);
            }
        }
        Ok(ids)
    }

    async fn ids_of_key(&self, key: &str, topic: &str) -> Result<Ids> {
        let mut ids = Ids::default();
        for hit in self.hits(key).await? {
            if hit.subject == topic && (hit.is(KeyKind::Key) || hit.is(KeyKind::Trace)) {
                ids.shown.insert(hit.message_id);
            }
        }
        Ok(ids)
    }

    async fn messages(&self, hits: &[KeyHit]) -> Result<Vec<StoredMessage>> {
        messages_of(&self.app.catalog.files, self.pinned.table(&MESSAGE)?, SYSTEM_ROCKETMQ, hits).await
    }

    /// Stored copies, and all ids under which clients reported about them.
    async fn copies(&self, ids: Ids) -> Result<(Vec<CopyRow>, BTreeSet<String>)> {
        let mut hits = Vec::new();
        for (wanted, kind) in [(&ids.shown, KeyKind::MessageId), (&ids.own, KeyKind::OwnId)] {
            for id in wanted {
                // a trace message has the ids of others as its keys
                hits.extend(self.hits(id).await?.into_iter().filter(|hit| hit.is(kind)));
            }
        }
        hits.sort_unstable();
        hits.dedup_by(|a, b| a.place() == b.place());
        let mut reported: BTreeSet<String> = ids.shown.iter().chain(&ids.own).cloned().collect();
        let mut copies = Vec::new();
        for message in self.messages(&hits).await? {
            // producers report the own ids of a batch, consumers that of the whole
            reported.extend(message.own_id.clone());
            reported.insert(message.message_id.clone());
            copies.push(copy(message)?);
        }
        Ok((copies, reported))
    }

    async fn events(&self, ids: &BTreeSet<String>) -> Result<Vec<TraceRow>> {
        let mut events = Vec::new();
        for id in ids {
            let conditions =
                [Condition::text("msg_id", id.clone()), Condition::text("system", SYSTEM_ROCKETMQ)];
            let table = self.pinned.table(&TRACE)?;
            for batch in find_anywhere(&self.app.catalog.files, table, &conditions, &EVENT_COLUMNS).await? {
                events.extend(event_rows(&batch)?);
            }
        }
        Ok(events)
    }
}

fn copy(message: StoredMessage) -> Result<CopyRow> {
    let kind = match &*message.kind {
        "retry" => CopyKind::Retry,
        "dead" => CopyKind::DeadLetter,
        _ => CopyKind::Other,
    };
    Ok(CopyRow {
        kind,
        group: message.consumer_group.clone(),
        store_time: message.order_time,
        broker: message.broker.clone(),
        offset_message_id: message.offset_message_id.clone().unwrap_or_default(),
        message: serde_json::to_value(&message).map_err(|error| Error::Invariant(error.to_string()))?,
    })
}

const EVENT_COLUMNS: [&str; 20] = [
    "trace_type",
    "msg_id",
    "time_stamp",
    "group_name",
    "request_id",
    "store_host",
    "cost_time",
    "msg_type",
    "offset_msg_id",
    "success",
    "context_code",
    "client_host",
    "retry_times",
    "transaction_id",
    "transaction_state",
    "from_transaction_check",
    "carrier",
    "store_time",
    "event",
    "topic",
];

fn event_rows(batch: &RecordBatch) -> Result<Vec<TraceRow>> {
    let unexpected = || Error::Invariant("a file of `trace` has unexpected columns".to_owned());
    let text = |name: &'static str| {
        let column = batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
        let column = column.ok_or_else(unexpected)?;
        Ok::<_, Error>(move |row: usize| column.is_valid(row).then(|| column.value(row).to_owned()))
    };
    let flag = |name: &'static str| {
        let column = batch.column_by_name(name).and_then(|c| c.as_boolean_opt()).ok_or_else(unexpected)?;
        Ok::<_, Error>(move |row: usize| column.is_valid(row).then(|| column.value(row)))
    };
    let kind = text("trace_type")?;
    let (id, offset_id, request) = (text("msg_id")?, text("offset_msg_id")?, text("request_id")?);
    let (group, store_host, client_host) = (text("group_name")?, text("store_host")?, text("client_host")?);
    let (transaction, state, carrier) =
        (text("transaction_id")?, text("transaction_state")?, text("carrier")?);
    let (success, from_check) = (flag("success")?, flag("from_transaction_check")?);
    let (time, stored) = (numbers(batch, "time_stamp")?, numbers(batch, "store_time")?);
    let (cost, msg_type) = (numbers(batch, "cost_time")?, numbers(batch, "msg_type")?);
    let (code, retries) = (numbers(batch, "context_code")?, numbers(batch, "retry_times")?);
    let event = numbers(batch, "event")?;
    let small = |number: Option<i64>| number.and_then(|number| i32::try_from(number).ok());
    let rows = (0..batch.num_rows()).filter_map(|row| {
        Some(TraceRow {
            kind: Kind::from_word(kind(row)?.as_bytes())?,
            event: event.get(row).and_then(|event| u32::try_from(event).ok()).unwrap_or(0),
            time_stamp: time.get(row),
            group_name: group(row),
            request_id: request(row),
            msg_id: id(row),
            store_host: store_host(row),
            cost_time: cost.get(row),
            msg_type: small(msg_type.get(row)),
            offset_msg_id: offset_id(row),
            success: success(row),
            context_code: small(code.get(row)),
            retry_times: small(retries.get(row)),
            transaction_id: transaction(row),
            transaction_state: state(row),
            from_transaction_check: from_check(row),
            client_host: client_host(row),
            carrier: carrier(row),
            carrier_store_time: stored.get(row).unwrap_or_default(),
        })
    });
    Ok(rows.collect())
}
