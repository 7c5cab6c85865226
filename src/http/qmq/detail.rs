//! `/api/message/detail`: one message with its attributes, from the slave if it still has the message, else from the
//! tables.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Refusal;
use super::request::BackupQuery;
use crate::brokers::qmq::format::payload;
use crate::brokers::qmq::format::payload::Payload;
use crate::brokers::qmq::format::subject::SubjectName;
use crate::http::app::App;
use crate::lake::schema::{CONTENT, SYSTEM_QMQ};
use crate::query::lookup::{Condition, ContentRow, find};

/// Attribute with the create time from the message's header.
const CREATE_TIME: &str = "qmq_createTime";
/// Attribute that marks a body that is no attribute map.
const CORRUPT: &str = "qmq_corruptData";

/// A message.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Detail {
    sequence: String,
    broker_group: String,
    message_id: String,
    subject: String,
    tags: Vec<String>,
    store_at_failed: bool,
    durable: bool,
    attrs: BTreeMap<String, String>,
}

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A slave.
    Slave,
    /// The tables.
    Store,
}

impl Origin {
    /// Value of the header [`super::CONTENT_FROM`].
    pub(super) fn name(self) -> &'static str {
        match self {
            Origin::Slave => "slave",
            Origin::Store => "store",
        }
    }
}

pub(super) async fn detail(app: &App, text: &str) -> Result<(Option<Detail>, Origin), Refusal> {
    let query = BackupQuery::parse(text, app.zone)?;
    let (Some(subject), Some(broker_group)) = (query.subject, query.broker_group) else {
        return Ok((None, Origin::Store));
    };
    if let Some(follow) = &app.follow
        && let Some(payload) = follow.content(&broker_group, &subject, query.sequence).await
        && let Some(detail) = from_slave(&payload, query.sequence, &broker_group)
    {
        return Ok((Some(detail), Origin::Slave));
    }
    let found = from_store(app, &subject, broker_group, query.sequence).await?;
    Ok((found, Origin::Store))
}

/// The message as a slave sent it; `None` if its payload cannot be read.
fn from_slave(payload: &[u8], sequence: i64, broker_group: &str) -> Option<Detail> {
    let payload = Payload::decode(payload).ok()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut attrs = BTreeMap::new();
    match payload::attributes(payload.body) {
        Ok(pairs) => {
            attrs.extend(pairs.into_iter().map(|(key, value)| (key.into_owned(), value.into_owned())));
        }
        Err(_) => {
            attrs.insert(CORRUPT.to_owned(), "true".to_owned());
        }
    }
    attrs.insert(CREATE_TIME.to_owned(), payload.create_time_ms.to_string());
    Some(Detail {
        sequence: sequence.to_string(),
        broker_group: broker_group.to_owned(),
        message_id: text(payload.message_id),
        subject: text(payload.subject),
        tags: payload.tags().map(text).collect(),
        store_at_failed: false,
        durable: true,
        attrs,
    })
}

async fn from_store(
    app: &App,
    subject: &str,
    broker_group: String,
    sequence: i64,
) -> Result<Option<Detail>, Refusal> {
    let name = SubjectName::parse(subject);
    let mut conditions = vec![
        Condition::text("system", SYSTEM_QMQ),
        Condition::number("kind", i64::from(name.kind.as_i8())),
        Condition::number("sequence", sequence),
        Condition::text("broker_group", broker_group.clone()),
    ];
    conditions.extend(name.consumer_group.map(|group| Condition::text("consumer_group", group)));
    let pinned = app.catalog.pin();
    let table = pinned.table(&CONTENT)?;
    let mut newest: Option<ContentRow> = None;
    for batch in find(&app.catalog.files, table, &name.subject, &conditions, &ContentRow::COLUMNS).await? {
        for row in ContentRow::of(&batch)? {
            // a broker that crashed can use a sequence twice; the later message is the one that it has now
            if newest.as_ref().is_none_or(|known| row.store_time_ms >= known.store_time_ms) {
                newest = Some(row);
            }
        }
    }
    Ok(newest.map(|row| Detail {
        sequence: sequence.to_string(),
        broker_group,
        attrs: attributes(&row),
        message_id: row.message_id,
        subject: row.payload_subject,
        tags: row.tags,
        store_at_failed: false,
        durable: true,
    }))
}

fn attributes(row: &ContentRow) -> BTreeMap<String, String> {
    let mut attributes: BTreeMap<String, String> = row.attributes.iter().flatten().cloned().collect();
    if row.undecodable {
        attributes.insert(CORRUPT.to_owned(), "true".to_owned());
    }
    attributes.insert(CREATE_TIME.to_owned(), row.create_time_ms.to_string());
    attributes
}
