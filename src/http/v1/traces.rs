//! `GET /api/v1/traces`: the history of a message, from trace events and stored copies.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray};
use arrow::record_batch::RecordBatch;

use super::super::app::App;
use super::known::{Asked, Name};
use super::messages::is_of;
use super::params::Params;
use super::refusal::Refusal;
use super::system;
use crate::brokers::rocketmq::trace::graph::assemble;
use crate::brokers::rocketmq::trace::graph::rows::{CopyKind, CopyRow, TraceRow};
use crate::brokers::rocketmq::trace::kind::Kind;
use crate::error::{Error, Result};
use crate::lake::schema::codes::KeyKind;
use crate::lake::schema::{MESSAGE, MESSAGE_KEY, TRACE, namespace};
use crate::query::Pinned;
use crate::query::lookup::{Condition, KeyHit, StoredMessage, find_anywhere, key_hits, messages_of, numbers};
use crate::stream::{Conventions, System};

/// Maximum messages of one graph, which can share a key.
const MAX_MESSAGES: usize = 100;
/// Maximum copies that are read to find out their original topic.
const MAX_COPIES: usize = 1000;

/// Answers the route.
pub(super) async fn traces(app: &App, mut params: Params) -> Result<serde_json::Value, Refusal> {
    let system = system(&mut params)?;
    if let Some(why) = system.conventions().why_no_traces() {
        return Err(Refusal::field("system", why));
    }
    let (id, key, topic) = (params.text("id"), params.text("key"), params.text("topic"));
    params.end()?;
    let pinned = app.catalog.pin();
    let history = History { system, app, pinned: &pinned, topic: topic.as_deref() };
    let (ids, name) = match (&id, &key) {
        (Some(id), None) => {
            if id.split(',').count() > MAX_MESSAGES {
                return Err(Error::Limit(format!("more than {MAX_MESSAGES} ids; ask for fewer")).into());
            }
            (history.ids_of_id(id).await?, Name::Id(id))
        }
        (None, Some(key)) => {
            let topic = topic.as_deref().ok_or_else(|| Refusal::field("topic", "is missing"))?;
            let ids = history.ids_of_key(key, topic).await?;
            if ids.shown.len() > MAX_MESSAGES {
                let what = format!("the key has more than {MAX_MESSAGES} messages; ask by `id`");
                return Err(Error::Limit(what).into());
            }
            (ids, Name::Key(key))
        }
        (Some(_), Some(_)) => return Err(Refusal::field("key", "and `id` exclude each other")),
        (None, None) => return Err(Refusal::field("id", "is missing (or `key` and `topic`)")),
    };
    let Copies { of_topic, ids, any_stored } = history.copies(ids).await?;
    let events = history.events(&ids).await?;
    let events = history.events_of_topic(events, !of_topic.is_empty(), any_stored).await?;
    let is_empty = of_topic.is_empty() && events.is_empty();
    let graph = serde_json::to_value(assemble(&events, &of_topic));
    let mut graph = graph.map_err(|error| Error::Invariant(error.to_string()))?;
    if is_empty && let Some(members) = graph.as_object_mut() {
        let topic = topic.as_deref();
        let asked = Asked { system, topic, group: None, name: Some(name), from: i64::MIN, to: i64::MAX };
        let known = serde_json::to_value(asked.known(app, &pinned).await?);
        members.insert("known".to_owned(), known.map_err(|error| Error::Invariant(error.to_string()))?);
    }
    Ok(graph)
}

/// The messages of a history.
#[derive(Default)]
struct Ids {
    /// Ids that clients display. One id can mean all messages of a batch.
    shown: BTreeSet<String>,
    /// Own ids of single messages in a batch.
    own: BTreeSet<String>,
}

/// The stored copies of the messages of a history.
struct Copies {
    /// Copies that belong to the topic.
    of_topic: Vec<CopyRow>,
    /// All ids under which clients reported the messages.
    ids: BTreeSet<String>,
    /// Whether any copy is stored, also of another topic.
    any_stored: bool,
}

struct History<'a> {
    system: &'static dyn System,
    app: &'a App,
    pinned: &'a Pinned,
    topic: Option<&'a str>,
}

impl History<'_> {
    fn conventions(&self) -> &'static dyn Conventions {
        self.system.conventions()
    }

    async fn hits(&self, key: &str) -> Result<Vec<KeyHit>> {
        key_hits(&self.app.catalog.files, self.pinned.table(&MESSAGE_KEY)?, self.system.name(), key).await
    }

    /// The messages that an id names.
    async fn ids_of_id(&self, id: &str) -> Result<Ids> {
        let mut ids = Ids::default();
        if id.split(',').count() > MAX_MESSAGES {
            return Err(Error::Limit(format!("ask for at most {MAX_MESSAGES} ids at once")));
        }
        for form in id.split(',').flat_map(|id| self.conventions().id_forms(id)) {
            let mut is_known = false;
            for hit in self.hits(&form).await? {
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
                // clients can have reported a message that is not stored
                ids.shown.insert(form);
            }
        }
        Ok(ids)
    }

    /// The messages of a topic that have a key, or all of several keys. Messages that are delayed, retried or dead, and
    /// those of which only copies are left, are found by their copies.
    async fn ids_of_key(&self, key: &str, topic: &str) -> Result<Ids> {
        let mut shown: Option<BTreeSet<String>> = None;
        for part in key.split(' ').filter(|part| !part.is_empty()) {
            let (mut ids, mut copies) = (BTreeSet::new(), Vec::new());
            for hit in self.hits(part).await? {
                let is_direct = hit.is(KeyKind::Trace) || hit.is(KeyKind::Key);
                if is_direct && namespace::is_same(&hit.subject, topic) {
                    ids.insert(hit.message_id);
                } else if hit.is(KeyKind::Key)
                    && (self.conventions().holds_copies(&hit.subject)
                        || self.conventions().is_light_queue(topic))
                {
                    copies.push(hit);
                }
            }
            copies.retain(|hit| !ids.contains(&hit.message_id));
            if copies.len() > MAX_COPIES {
                return Err(Error::Limit(format!(
                    "the key has more than {MAX_COPIES} messages that wait or are retried; ask by `id`"
                )));
            }
            let stored = self.messages(&copies).await?;
            ids.extend(
                stored
                    .into_iter()
                    .filter(|message| self.is_about(message, topic))
                    .map(|copy| copy.message_id),
            );
            shown = Some(match shown {
                None => ids,
                Some(others) => others.intersection(&ids).cloned().collect(),
            });
        }
        Ok(Ids { shown: shown.unwrap_or_default(), own: BTreeSet::new() })
    }

    async fn messages(&self, hits: &[KeyHit]) -> Result<Vec<StoredMessage>> {
        messages_of(&self.app.catalog.files, self.pinned.table(&MESSAGE)?, self.system.name(), hits).await
    }

    /// The stored copies, and all ids under which clients reported the messages.
    async fn copies(&self, ids: Ids) -> Result<Copies> {
        let mut hits = Vec::new();
        for id in &ids.shown {
            // trace messages have the ids of other messages as keys; a message without a unique id is shown by its
            // offset id
            let is_wanted = |hit: &KeyHit| {
                hit.is(KeyKind::MessageId) || (hit.is(KeyKind::OffsetId) && hit.message_id == *id)
            };
            hits.extend(self.hits(id).await?.into_iter().filter(is_wanted));
        }
        for id in &ids.own {
            hits.extend(self.hits(id).await?.into_iter().filter(|hit| hit.is(KeyKind::OwnId)));
        }
        let mut found = Copies {
            of_topic: Vec::new(),
            ids: ids.shown.iter().chain(&ids.own).cloned().collect(),
            any_stored: false,
        };
        for message in self.messages(&hits).await? {
            found.any_stored = true;
            if self.topic.is_some_and(|topic| !self.is_about(&message, topic)) {
                continue;
            }
            // producers report the own ids of a batch, consumers that of the whole
            found.ids.extend(message.own_id.clone());
            found.ids.insert(message.message_id.clone());
            found.of_topic.push(copy(message)?);
        }
        Ok(found)
    }

    /// Whether a stored message belongs to a topic, by its topic or original topic.
    fn is_about(&self, message: &StoredMessage, topic: &str) -> bool {
        let is_same = |name: &str| namespace::is_same(name, topic);
        is_of(self.conventions(), message, topic, true)
            || is_same(&message.topic)
            || message.origin_topic.as_deref().is_some_and(is_same)
    }

    /// The events that belong to the topic. Consumers report no topic. Their events count if a copy or a producer names
    /// this topic for the message, or if none names any and the topic exists.
    async fn events_of_topic(
        &self,
        mut events: Vec<(TraceRow, Option<String>)>,
        is_stored: bool,
        any_stored: bool,
    ) -> Result<Vec<TraceRow>> {
        if let Some(topic) = self.topic {
            let is_same = |reported: &str| namespace::is_same(reported, topic);
            let is_reported = events.iter().any(|(_, reported)| reported.as_deref().is_some_and(is_same));
            let no_topic_named = !any_stored && events.iter().all(|(_, reported)| reported.is_none());
            let consumers_count = is_stored
                || is_reported
                || (no_topic_named
                    && !events.is_empty()
                    && Asked::topic(self.system, topic).is_topic(self.app, self.pinned).await?);
            events.retain(|(_, reported)| reported.as_deref().map_or(consumers_count, is_same));
        }
        Ok(events.into_iter().map(|(event, _)| event).collect())
    }

    /// All events reported under the ids, each with its reported topic, if any.
    async fn events(&self, ids: &BTreeSet<String>) -> Result<Vec<(TraceRow, Option<String>)>> {
        let mut events = Vec::new();
        for id in ids {
            let conditions =
                [Condition::text("msg_id", id.clone()), Condition::text("system", self.system.name())];
            let table = self.pinned.table(&TRACE)?;
            for batch in find_anywhere(&self.app.catalog.files, table, &conditions, &EVENT_COLUMNS).await? {
                let most = self.app.config.http.max_lookup_rows;
                if events.len() + batch.num_rows() > most {
                    return Err(Error::Limit(format!(
                        "more than {most} trace events are meant (http.max_lookup_rows); ask by the `id` of one message"
                    )));
                }
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

fn event_rows(batch: &RecordBatch) -> Result<Vec<(TraceRow, Option<String>)>> {
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
    let topic = text("topic")?;
    let (transaction, state, carrier) =
        (text("transaction_id")?, text("transaction_state")?, text("carrier")?);
    let (success, from_check) = (flag("success")?, flag("from_transaction_check")?);
    let (time, stored) = (numbers(batch, "time_stamp")?, numbers(batch, "store_time")?);
    let (cost, msg_type) = (numbers(batch, "cost_time")?, numbers(batch, "msg_type")?);
    let (code, retries) = (numbers(batch, "context_code")?, numbers(batch, "retry_times")?);
    let event = numbers(batch, "event")?;
    let small = |number: Option<i64>| number.and_then(|number| i32::try_from(number).ok());
    let rows = (0..batch.num_rows()).filter_map(|row| {
        let event = TraceRow {
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
        };
        Some((event, topic(row)))
    });
    Ok(rows.collect())
}
