//! `/api/message` and `/api/message/dead`: lists, newest first, page by page.

use chrono::{Days, TimeZone};
use serde::Serialize;

use super::Refusal;
use super::request::{BackupQuery, OldToken};
use crate::brokers::qmq::format::Kind;
use crate::error::Result;
use crate::http::app::App;
use crate::http::page_token::{self, BadToken};
use crate::lake::schema::{DEAD_MESSAGE, MESSAGE, SYSTEM_QMQ, TableDef};
use crate::query::lookup::{Condition, MessageKey, MessageRow, NewestQuery, find, newest};

/// The answer of both routes.
#[derive(Debug, Default, Serialize)]
pub(super) struct List {
    list: Vec<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer_group: Option<String>,
    message_id: String,
    sequence: String,
    create_time: String,
    broker_group: String,
}

/// Messages of a subject, without retries and dead letters.
pub(super) async fn messages(app: &App, text: &str) -> Result<List, Refusal> {
    let query = BackupQuery::parse(text, app.zone)?;
    if query.is_delay {
        // delay messages are in delay servers; once delivered to a broker they are listed like others
        return Ok(List::default());
    }
    let kind = Condition::number("kind", i64::from(Kind::Normal.as_i8()));
    page(app, &MESSAGE, &query, vec![kind, Condition::text("system", SYSTEM_QMQ)]).await
}

/// Dead letters of a subject.
pub(super) async fn dead_letters(app: &App, text: &str) -> Result<List, Refusal> {
    let query = BackupQuery::parse(text, app.zone)?;
    let group = query.consumer_group.clone();
    let conditions = group.map(|group| Condition::text("consumer_group", group)).into_iter().collect();
    page(app, &DEAD_MESSAGE, &query, conditions).await
}

async fn page(
    app: &App,
    def: &'static TableDef,
    query: &BackupQuery,
    mut conditions: Vec<Condition>,
) -> Result<List, Refusal> {
    let Some(subject) = query.subject.clone() else { return Ok(List::default()) };
    let from = query.start.as_deref().map(|token| begin_of(token, def, &subject)).transpose()?;
    let (first_second, last_second) = window(app, query);
    let pinned = app.catalog.pin();
    let table = pinned.table(def)?;
    let (rows, len) = match &query.message_id {
        Some(id) => {
            conditions.push(Condition::text("message_id", id.clone()));
            conditions.push(Condition::Number(
                "create_time",
                first_second.saturating_mul(1000),
                last_second.saturating_mul(1000).saturating_add(999),
            ));
            let found = find(&app.catalog.files, table, &subject, &conditions, &MessageRow::COLUMNS).await?;
            (in_order(&found, from.as_ref())?, 1)
        }
        None => {
            let len = match usize::try_from(query.len) {
                Ok(len) if len > 0 => len.min(app.config.http.max_len),
                _ => app.config.http.default_len,
            };
            let newest_query = NewestQuery {
                subject: subject.clone(),
                conditions,
                first_second,
                last_second,
                from,
                limit: len + 1,
            };
            (newest(&app.catalog.files, table, &newest_query).await?, len)
        }
    };
    let next = rows.get(len).map(|row| page_token::encode(&scope(def, &subject), &row.key()));
    let with_group = def.name == DEAD_MESSAGE.name;
    let list = rows.into_iter().take(len).map(|row| item(row, &subject, with_group)).collect();
    Ok(List { list, next })
}

fn in_order(
    batches: &[arrow::record_batch::RecordBatch],
    from: Option<&MessageKey>,
) -> Result<Vec<MessageRow>> {
    let mut rows = Vec::new();
    for batch in batches {
        rows.extend(MessageRow::of(batch)?);
    }
    let mut keyed: Vec<(MessageKey, MessageRow)> = rows.into_iter().map(|row| (row.key(), row)).collect();
    keyed.retain(|(key, _)| from.is_none_or(|from| key >= from));
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    keyed.dedup_by(|a, b| a.0 == b.0);
    Ok(keyed.into_iter().map(|(_, row)| row).collect())
}

/// First and last second of the create time, both included.
///
/// The window includes the whole second of the end, and excludes that of the begin. A page after the first has no upper
/// bound but its token. A query by id without bounds has no limit of age.
fn window(app: &App, query: &BackupQuery) -> (i64, i64) {
    let second = |ms: i64| ms.div_euclid(1000);
    let by_id = query.message_id.is_some();
    let end_ms = query.create_time_end_ms.unwrap_or_else(|| (app.clock)().timestamp_millis());
    let last = match (query.create_time_end_ms, &query.start) {
        (_, Some(_)) => i64::MAX / 1000,
        (None, None) if by_id => i64::MAX / 1000,
        _ => second(end_ms),
    };
    let first = match query.create_time_begin_ms {
        Some(begin) => second(begin) + 1,
        None if by_id => i64::MIN / 1000,
        None => second(days_before(app, end_ms, app.config.http.default_window_days)) + 1,
    };
    (first, last)
}

/// The same time of day some calendar days earlier in the server's time zone, in milliseconds.
pub(super) fn days_before(app: &App, time_ms: i64, days: u32) -> i64 {
    let plain = time_ms.saturating_sub(i64::from(days) * 24 * 3600 * 1000);
    let Some(local) = app.zone.timestamp_millis_opt(time_ms).single() else { return plain };
    let earlier = local.naive_local().checked_sub_days(Days::new(u64::from(days)));
    earlier
        .and_then(|earlier| app.zone.from_local_datetime(&earlier).earliest())
        .map_or(plain, |earlier| earlier.timestamp_millis())
}

fn item(row: MessageRow, subject: &str, with_group: bool) -> Item {
    Item {
        subject: subject.to_owned(),
        consumer_group: row.consumer_group.filter(|_| with_group),
        message_id: row.message_id,
        sequence: row.sequence.to_string(),
        create_time: row.create_time_ms.to_string(),
        broker_group: row.broker_group,
    }
}

/// What a page token belongs to: the list and the subject.
fn scope(def: &TableDef, subject: &str) -> String {
    format!("{}\n{subject}", def.name)
}

/// Where the page of a token begins.
fn begin_of(token: &str, def: &TableDef, subject: &str) -> Result<MessageKey, BadToken> {
    match page_token::decode(&scope(def, subject), token) {
        Err(BadToken::Foreign) => OldToken::decode(def.name, subject, token).map(key_of),
        read => read,
    }
}

fn key_of(token: OldToken) -> MessageKey {
    MessageKey {
        second: std::cmp::Reverse(token.second),
        md5: token.md5,
        consumer_group: token.consumer_group,
        broker_group: token.broker_group,
        sequence: token.sequence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_either_layout_begin_a_page() {
        let key = MessageKey {
            second: std::cmp::Reverse(1_716_170_400),
            md5: [0xAB; 16],
            consumer_group: "组".to_owned(),
            broker_group: "dev".to_owned(),
            sequence: 336,
        };
        let old = "AX8mZva8dKIxq6urq6urq6urq6urq6urq8C61eQMoAUAA-e7hANkZXZ3KlY3";
        let new = page_token::encode(&scope(&MESSAGE, "order.paid"), &key);
        for token in [old, &new] {
            assert_eq!(begin_of(token, &MESSAGE, "order.paid").as_ref(), Ok(&key));
            let cut = &token[..token.len() - 4];
            assert_eq!(begin_of(cut, &MESSAGE, "order.paid"), Err(BadToken::Damaged));
            assert_eq!(begin_of(token, &MESSAGE, "order.made"), Err(BadToken::OtherQuery));
            assert_eq!(begin_of(token, &DEAD_MESSAGE, "order.paid"), Err(BadToken::OtherQuery));
        }
        assert_eq!(begin_of("zzz", &MESSAGE, "order.paid"), Err(BadToken::Foreign));
    }
}
