//! The sample's truth files, row for row.

use std::collections::BTreeMap;

use mqlake::brokers::qmq::format::subject::SubjectName;
use serde_json::{Value, json};

use crate::support::{rows, week};

fn name(full: &Value) -> SubjectName {
    SubjectName::parse(full.as_str().unwrap())
}

fn sorted(rows: impl IntoIterator<Item = Value>) -> Vec<String> {
    let mut rows: Vec<String> = rows.into_iter().map(|row| row.to_string()).collect();
    rows.sort();
    rows
}

fn assert_same(got: Vec<Value>, wanted: Vec<Value>) {
    let (got, wanted) = (sorted(got), sorted(wanted));
    let difference = got.iter().zip(&wanted).find(|(a, b)| a != b);
    assert!(difference.is_none(), "{difference:?}");
    assert_eq!(got.len(), wanted.len());
}

#[tokio::test]
async fn messages_and_dead_messages_with_their_content() {
    let truth = week::lines("truth/messages.jsonl.gz");
    assert_eq!(truth.len(), 10_583);
    let wanted = truth.iter().map(|m| {
        let place = name(&m["header_subject"]);
        json!({
            "subject": place.subject, "kind": place.kind.as_i8(), "consumer_group": place.consumer_group,
            "broker_group": m["broker_group"], "sequence": m["sequence"], "message_id": m["message_id"],
            "create_ms": m["create_time_ms"], "store_ms": m["store_time_ms"], "tags": m["tags"],
        })
    });
    let columns = "subject, consumer_group, broker_group, sequence, message_id, \
                   CAST(create_time AS BIGINT) AS create_ms, CAST(store_time AS BIGINT) AS store_ms, tags";
    let statement = format!(
        "SELECT CAST(kind AS BIGINT) AS kind, {columns} FROM message \
         UNION ALL SELECT 2 AS kind, {columns} FROM dead_message"
    );
    let got = rows::query(&week::lake(), &statement).await;
    assert_same(got.into_iter().map(with_nulls).collect(), wanted.collect());
}

/// The writer leaves null members out; the truth has them.
fn with_nulls(mut row: Value) -> Value {
    let object = row.as_object_mut().unwrap();
    object.entry("consumer_group").or_insert(Value::Null);
    row
}

#[tokio::test]
async fn contents_of_all_messages() {
    let wanted = week::lines("truth/messages.jsonl.gz").into_iter().map(|m| {
        let place = name(&m["header_subject"]);
        let attributes: Option<BTreeMap<String, String>> =
            serde_json::from_value(m["attrs"].clone()).unwrap();
        json!({
            "subject": place.subject, "kind": place.kind.as_i8(), "consumer_group": place.consumer_group,
            "broker_group": m["broker_group"], "sequence": m["sequence"],
            "payload_subject": m["payload_subject"], "attributes": attributes, "tags": m["tags"],
            "undecodable": m["attrs"].is_null(),
        })
    });
    let statement = "SELECT subject, CAST(kind AS BIGINT) AS kind, consumer_group, broker_group, sequence, \
                     payload_subject, attributes, tags, body IS NOT NULL AS undecodable FROM content";
    let got = rows::query(&week::lake(), statement).await.into_iter().map(|row| {
        let mut row = with_nulls(row);
        let object = row.as_object_mut().unwrap();
        object.entry("attributes").or_insert(Value::Null);
        row
    });
    // an undecodable body has attributes neither here nor there
    assert_same(got.collect(), wanted.collect());
}

#[tokio::test]
async fn records_and_unresolved_acks() {
    let truth = week::lines("truth/records.jsonl.gz");
    let is_unresolved = |row: &&Value| row["unresolved"] == true;
    let wanted = truth.iter().filter(|row| !is_unresolved(row)).map(|r| {
        let place = name(&r["subject"]);
        json!({
            "subject": place.subject, "kind": place.kind.as_i8(), "consumer_group": r["consumer_group"],
            "broker_group": r["broker_group"], "sequence": r["sequence"], "consumer_id": r["consumer_id"],
            "action": if r["action"] == "pull" { 0 } else { 1 }, "ms": r["timestamp_ms"],
        })
    });
    let statement = "SELECT subject, CAST(kind AS BIGINT) AS kind, consumer_group, broker_group, sequence, \
                     consumer_id, CAST(action AS BIGINT) AS action, CAST(action_time AS BIGINT) AS ms \
                     FROM record WHERE action >= 0";
    assert_same(rows::query(&week::lake(), statement).await, wanted.collect());

    let wanted = truth.iter().filter(is_unresolved).map(|r| {
        json!({
            "subject": r["subject"], "consumer_group": r["consumer_group"], "broker_group": r["broker_group"],
            "consumer_id": r["consumer_id"], "ms": r["timestamp_ms"],
            "first": r["first_pull_sequence"], "last": r["last_pull_sequence"],
        })
    });
    let statement = "SELECT subject, consumer_group, broker_group, consumer_id, \
                     CAST(action_time AS BIGINT) AS ms, first_pull_sequence AS first, \
                     last_pull_sequence AS last FROM unresolved_ack";
    assert_same(rows::query(&week::lake(), statement).await, wanted.collect());
}

#[tokio::test]
async fn each_dead_letter_gives_the_special_record() {
    let statement = "SELECT count(*) AS n FROM dead_message d JOIN record r \
                     ON r.kind = 2 AND r.action = -2 AND r.subject = d.subject \
                     AND r.consumer_group = d.consumer_group AND r.broker_group = d.broker_group \
                     AND r.sequence = d.sequence \
                     AND CAST(r.action_time AS BIGINT) = CAST(d.create_time AS BIGINT) + 500";
    assert_eq!(rows::query(&week::lake(), statement).await, [json!({"n": 122})]);
    let markers = rows::query(&week::lake(), "SELECT count(*) AS n FROM record WHERE action = -2").await;
    assert_eq!(markers, [json!({"n": 122})]);
}
