//! `/api/message/records`: who pulled and acknowledged a message, and its retries and dead letters.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use super::Refusal;
use super::list::days_before;
use super::request::RecordQuery;
use crate::brokers::qmq::format::Kind;
use crate::brokers::qmq::format::subject::{DEAD_PREFIX, RETRY_PREFIX, SubjectName};
use crate::brokers::qmq::replay::{ACTION_ACK, ACTION_DEAD, ACTION_PULL, DEAD_MARKER_DELAY_MS};
use crate::error::Result;
use crate::http::app::App;
use crate::lake::schema::{DEAD_MESSAGE, MESSAGE, RECORD, SYSTEM_QMQ};
use crate::query::Pinned;
use crate::query::lookup::{Condition, MessageRow, RecordRow, find};

/// Maximum retries of one message whose records are looked up.
const MAX_RETRIES: usize = 1000;
/// Maximum concurrent lookups of retries.
const CONCURRENT_RETRIES: usize = 8;

/// An answer.
#[derive(Debug, Default, Serialize)]
pub(super) struct Records {
    records: Vec<Item>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    consumer_group: String,
    action: i8,
    #[serde(rename = "type")]
    record_type: i8,
    timestamp: String,
    consumer_id: String,
    sequence: String,
}

/// A message whose records are looked up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    kind: Kind,
    subject: String,
    consumer_group: Option<String>,
    broker_group: String,
    sequence: i64,
}

pub(super) async fn records(app: &App, text: &str) -> Result<Records, Refusal> {
    let query = RecordQuery::parse(text)?;
    let Some(subject) = query.subject else { return Ok(Records::default()) };
    let pinned = app.catalog.pin();
    match (query.record_code, query.broker_group, query.message_id) {
        (0, Some(broker_group), _) => of_message(app, &pinned, &subject, &broker_group, query.sequence).await,
        (1, _, Some(id)) => of_retries(app, &pinned, &subject, &id).await,
        (2, _, Some(id)) => of_dead_letters(app, &pinned, &subject, &id).await,
        _ => Ok(Records::default()),
    }
}

async fn of_message(
    app: &App,
    pinned: &Pinned,
    subject: &str,
    broker_group: &str,
    sequence: i64,
) -> Result<Records, Refusal> {
    let mut found = Vec::new();
    for (kind, subject, consumer_group) in meanings(subject) {
        let broker_group = broker_group.to_owned();
        let target = Target { kind, subject, consumer_group, broker_group, sequence };
        found.extend(latest(app, pinned, &target).await?);
    }
    Ok(Records { records: found.into_iter().map(|row| item(row, Kind::Normal)).collect() })
}

/// The possible meanings of a subject: itself, the retry or dead queues of all groups (`%RETRY%<subject>`), or the one
/// of a single group (`%RETRY%<subject>%<group>`).
fn meanings(subject: &str) -> Vec<(Kind, String, Option<String>)> {
    let mut meanings = vec![(Kind::Normal, subject.to_owned(), None)];
    let name = SubjectName::parse(subject);
    if name.kind != Kind::Normal {
        meanings.push((name.kind, name.subject, name.consumer_group));
    }
    for (prefix, kind) in [(RETRY_PREFIX, Kind::Retry), (DEAD_PREFIX, Kind::Dead)] {
        if let Some(rest) = subject.strip_prefix(prefix).filter(|rest| !rest.is_empty()) {
            meanings.push((kind, rest.to_owned(), None));
        }
    }
    meanings
}

async fn of_retries(app: &App, pinned: &Pinned, subject: &str, id: &str) -> Result<Records, Refusal> {
    let mut conditions = vec![
        Condition::text("system", SYSTEM_QMQ),
        Condition::number("kind", i64::from(Kind::Retry.as_i8())),
        Condition::text("message_id", id),
    ];
    let days = app.config.http.retry_records_window_days;
    if days > 0 {
        let now = (app.clock)().timestamp_millis();
        let first = days_before(app, now, days).div_euclid(1000) + 1;
        let last = now.div_euclid(1000) * 1000 + 999;
        conditions.push(Condition::Number("create_time", first * 1000, last));
    }
    let batches =
        find(&app.catalog.files, pinned.table(&MESSAGE)?, subject, &conditions, &MessageRow::COLUMNS).await?;
    let mut rows = Vec::new();
    for batch in &batches {
        rows.extend(MessageRow::of(batch)?);
    }
    rows.sort_by_key(MessageRow::key);
    rows.truncate(MAX_RETRIES);
    // a retry is identified by broker group, consumer group and sequence
    let targets: BTreeSet<Target> = rows
        .into_iter()
        .map(|row| Target {
            kind: Kind::Retry,
            subject: subject.to_owned(),
            consumer_group: row.consumer_group,
            broker_group: row.broker_group,
            sequence: row.sequence,
        })
        .collect();
    let searches: Vec<_> = targets.iter().map(|target| latest(app, pinned, target)).collect();
    let found: Vec<Vec<RecordRow>> =
        stream::iter(searches).buffered(CONCURRENT_RETRIES).try_collect().await?;
    Ok(Records { records: found.into_iter().flatten().map(|row| item(row, Kind::Retry)).collect() })
}

async fn of_dead_letters(app: &App, pinned: &Pinned, subject: &str, id: &str) -> Result<Records, Refusal> {
    // the original finds markers only under `%DEAD_RETRY%<subject>`, but its documentation uses the plain subject
    let subject = subject.strip_prefix(DEAD_PREFIX).unwrap_or(subject);
    let conditions = [Condition::text("message_id", id)];
    let table = pinned.table(&DEAD_MESSAGE)?;
    let mut newest: BTreeMap<String, MessageRow> = BTreeMap::new();
    for batch in find(&app.catalog.files, table, subject, &conditions, &MessageRow::COLUMNS).await? {
        for row in MessageRow::of(&batch)? {
            let group = row.consumer_group.clone().unwrap_or_default();
            let is_newer = newest.get(&group).is_none_or(|known| {
                (row.create_time_ms, row.sequence) > (known.create_time_ms, known.sequence)
            });
            if is_newer {
                newest.insert(group, row);
            }
        }
    }
    let records = newest.into_iter().map(|(consumer_group, row)| Item {
        consumer_group,
        action: ACTION_DEAD,
        record_type: Kind::Dead.as_i8(),
        timestamp: row.create_time_ms.saturating_add(DEAD_MARKER_DELAY_MS).to_string(),
        consumer_id: String::new(),
        sequence: row.sequence.to_string(),
    });
    Ok(Records { records: records.collect() })
}

/// The latest pull and the latest ack of each consumer group. Earlier ones are only in the table `record`, by SQL.
async fn latest(app: &App, pinned: &Pinned, target: &Target) -> Result<Vec<RecordRow>> {
    let mut conditions = vec![
        Condition::number("kind", i64::from(target.kind.as_i8())),
        Condition::number("sequence", target.sequence),
        Condition::text("broker_group", target.broker_group.clone()),
        Condition::Number("action", i64::from(ACTION_PULL), i64::from(ACTION_ACK)),
    ];
    if let Some(group) = &target.consumer_group {
        conditions.push(Condition::text("consumer_group", group.clone()));
    }
    let mut latest: BTreeMap<(String, i8), RecordRow> = BTreeMap::new();
    for batch in
        find(&app.catalog.files, pinned.table(&RECORD)?, &target.subject, &conditions, &RecordRow::COLUMNS)
            .await?
    {
        for row in RecordRow::of(&batch)? {
            let key = (row.consumer_group.clone(), row.action);
            if latest.get(&key).is_none_or(|known| row.action_time_ms >= known.action_time_ms) {
                latest.insert(key, row);
            }
        }
    }
    Ok(latest.into_values().collect())
}

fn item(row: RecordRow, kind: Kind) -> Item {
    Item {
        consumer_group: row.consumer_group,
        action: row.action,
        record_type: kind.as_i8(),
        timestamp: row.action_time_ms.to_string(),
        consumer_id: row.consumer_id,
        sequence: row.sequence.to_string(),
    }
}
