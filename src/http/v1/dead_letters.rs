//! `GET /api/v1/dead-letters`: messages that a group gave up, newest first.

use serde::Deserialize;

use super::super::app::App;
use super::super::page_token;
use super::known::Asked;
use super::messages::{Messages, messages};
use super::params::{Clocked, Params};
use super::refusal::Refusal;
use super::statement::{rows, timestamp};
use super::system;
use super::watermark::watermark;
use crate::error::Result;
use crate::lake::schema::{MESSAGE, namespace};
use crate::query::literal;
use crate::query::lookup::{MessagePlace, StoredMessage};
use crate::stream::System;

/// Answers the route.
pub(super) async fn dead_letters(app: &App, mut params: Params) -> Result<Messages, Refusal> {
    let system = system(&mut params)?;
    let group = params.required("group")?;
    if let Some(topic) = system.conventions().dead_letter_topic(&group) {
        if params.text("topic").is_some() {
            return Err(Refusal::field("topic", "is not a parameter of this route"));
        }
        // a dead letter is a message of the group's own topic
        params.set("system", system.name());
        params.set("topic", &topic_of(app, system.name(), &group, topic).await?);
        let mut answer = messages(app, params).await?;
        if let Some(known) = &mut answer.known {
            let (from, to) = (i64::MIN, i64::MAX);
            let asked = Asked { system, topic: None, group: Some(&group), name: None, from, to };
            known.of_group(asked.known(app, &app.catalog.pin()).await?);
        }
        return Ok(answer);
    }
    of_table(app, system, params, &group).await
}

#[derive(Debug, Deserialize)]
struct Row {
    subject: String,
    broker_group: String,
    sequence: i64,
    message_id: String,
    create_ms: i64,
    store_ms: Option<i64>,
}

/// Dead letters of a system that keeps them in `dead_message`.
async fn of_table(
    app: &App,
    system: &'static dyn System,
    mut params: Params,
    group: &str,
) -> Result<Messages, Refusal> {
    let clock = Clocked::of(app);
    let (from, to) = (params.time("from", &clock)?, params.time("to", &clock)?);
    let limit = params.number("limit", 1, app.config.http.max_len)?.unwrap_or(app.config.http.default_len);
    let token = params.text("page");
    params.end()?;
    let scope = format!("dead\n{group}\n{from:?}\n{to:?}");
    let after = match &token {
        Some(token) => {
            let MessagePlace { time, topic, broker, queue_offset, .. } = page_token::decode(&scope, token)?;
            let (topic, broker, time) = (literal(&topic), literal(&broker), timestamp(time));
            format!(
                "AND (create_time < {time} OR (create_time = {time} AND (subject > {topic} OR (subject = {topic} AND \
                 (broker_group > {broker} OR (broker_group = {broker} AND sequence >= {queue_offset}))))))"
            )
        }
        None => String::new(),
    };
    let statement = format!(
        "SELECT subject, broker_group, sequence, message_id, CAST(create_time AS BIGINT) AS create_ms, \
           CAST(store_time AS BIGINT) AS store_ms \
         FROM dead_message WHERE system = {} AND consumer_group = {} AND create_time >= {} AND create_time < {} \
           {after} ORDER BY create_time DESC, subject, broker_group, sequence LIMIT {}",
        literal(system.name()),
        literal(group),
        timestamp(from.unwrap_or(i64::MIN)),
        timestamp(to.unwrap_or(i64::MAX)),
        limit + 1,
    );
    let mut found: Vec<StoredMessage> =
        rows::<Row>(app, &statement).await?.into_iter().map(|row| message(row, group)).collect();
    let next = found.get(limit).map(|message| page_token::encode(&scope, &message.place()));
    found.truncate(limit);
    let pinned = app.catalog.pin();
    let known = if found.is_empty() && token.is_none() {
        let (from, to) = (from.unwrap_or(i64::MIN), to.unwrap_or(i64::MAX));
        let asked = Asked { system, topic: None, group: Some(group), name: None, from, to };
        Some(asked.known(app, &pinned).await?)
    } else {
        None
    };
    let watermark = watermark(&pinned, system.name())?;
    Ok(Messages { messages: found, next, watermark, known, ..Messages::default() })
}

/// The topic of a group's dead letters. If the group is given without its namespace, and only one namespace has such a
/// topic, that topic.
async fn topic_of(app: &App, system: &str, group: &str, topic: String) -> Result<String> {
    let pinned = app.catalog.pin();
    let table = pinned.table(&MESSAGE)?;
    if namespace::bare(group) != group || app.catalog.span_of(table, system, &topic).await?.is_some() {
        return Ok(topic);
    }
    let is_same = |subject: &str| namespace::is_same(subject, &topic);
    let mut others = app.catalog.subjects_where(table, is_same).await?;
    Ok(match (others.pop_first(), others.is_empty()) {
        (Some(other), true) => other,
        _ => topic,
    })
}

fn message(row: Row, group: &str) -> StoredMessage {
    StoredMessage {
        origin_topic: Some(row.subject.clone()),
        topic: row.subject,
        kind: "dead".into(),
        consumer_group: Some(group.to_owned()),
        broker: row.broker_group,
        queue_offset: row.sequence,
        message_id: row.message_id,
        born_time: Some(row.create_ms),
        store_time: row.store_ms,
        order_time: row.create_ms,
        ..StoredMessage::default()
    }
}
