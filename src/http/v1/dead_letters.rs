//! `GET /api/v1/dead-letters`: what a group has given up, newest first.

use serde::Deserialize;

use super::super::App;
use super::messages::{Messages, messages, watermark};
use super::page;
use super::params::Params;
use super::queues::{literal, rows, timestamp};
use super::refusal::Refusal;
use super::system;
use crate::error::Result;
use crate::lake::schema::{SYSTEM_QMQ, SYSTEM_ROCKETMQ};
use crate::query::lookup::{MessagePlace, StoredMessage};

/// Answers the route.
pub(super) async fn dead_letters(app: &App, mut params: Params) -> Result<Messages, Refusal> {
    let system = system(&mut params)?;
    let group = params.required("group")?;
    if system == SYSTEM_ROCKETMQ {
        if params.text("topic").is_some() {
            return Err(Refusal::field("topic", "is not a parameter of this route"));
        }
        // a dead letter is a message of the group's own topic
        params.set("system", system);
        params.set("topic", &format!("%DLQ%{group}"));
        return messages(app, params).await;
    }
    of_qmq(app, params, &group).await
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

async fn of_qmq(app: &App, mut params: Params, group: &str) -> Result<Messages, Refusal> {
    let (from, to) = (params.time("from", app.zone)?, params.time("to", app.zone)?);
    let limit = params.number("limit", 1, app.config.http.max_len)?.unwrap_or(app.config.http.default_len);
    let token = params.text("page");
    params.end()?;
    let scope = format!("dead\n{group}\n{from:?}\n{to:?}");
    let after = match &token {
        Some(token) => {
            let MessagePlace { time, topic, broker, queue_offset, .. } = page::decode(&scope, token)?;
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
         FROM dead_message WHERE system = 'qmq' AND consumer_group = {} AND create_time >= {} AND create_time < {} \
           {after} ORDER BY create_time DESC, subject, broker_group, sequence LIMIT {}",
        literal(group),
        timestamp(from.unwrap_or(i64::MIN)),
        timestamp(to.unwrap_or(i64::MAX)),
        limit + 1,
    );
    let mut found: Vec<StoredMessage> =
        rows::<Row>(app, &statement).await?.into_iter().map(|row| message(row, group)).collect();
    let next = found.get(limit).map(|message| page::encode(&scope, message.place()));
    found.truncate(limit);
    let watermark = watermark(&app.catalog.pin(), SYSTEM_QMQ)?;
    Ok(Messages { messages: found, next, watermark, ..Messages::default() })
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
