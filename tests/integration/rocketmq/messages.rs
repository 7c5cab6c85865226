//! Every message with every field and its body.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Differences, Place, place};
use crate::support::rocketmq::{TRACE_TOPICS, keys_of, lake, lines, messages};
use crate::support::rows;

/// Golden rows by place.
fn golden_by_place() -> HashMap<Place, usize> {
    let golden = messages();
    let text = |name: &str, row| golden.text(name, row).to_owned();
    let places = (0..golden.rows).map(|row| {
        let (queue, offset) = (golden.number("queue_id", row), golden.number("queue_offset", row));
        ((text("topic", row), text("broker", row), queue, offset), row)
    });
    places.collect()
}

const STATEMENT: &str = "SELECT subject, broker_group, queue_id, sequence, message_id, tags, keys, born_host, store_host, \
     body_size, stored_size, body_crc, reconsume_times, flag, sys_flag, physical_offset, prepared_offset, properties, \
     CAST(create_time AS BIGINT) AS created, CAST(store_time AS BIGINT) AS stored, CAST(born_time AS BIGINT) AS born \
     FROM message WHERE system = 'rocketmq'";

/// Columns of the table and their names in the golden file.
const SAME: [(&str, &str); 12] = [
    ("message_id", "msg_id"),
    ("physical_offset", "commit_log_offset"),
    ("stored_size", "store_size"),
    ("born", "born_timestamp"),
    ("stored", "store_timestamp"),
    ("created", "store_timestamp"),
    ("flag", "flag"),
    ("body_crc", "body_crc"),
    ("reconsume_times", "reconsume_times"),
    ("prepared_offset", "prepared_transaction_offset"),
    ("body_size", "body_len"),
    ("properties", "properties"),
];

#[tokio::test]
async fn every_message_has_the_fields_that_a_client_sees() {
    let golden = messages();
    let mut wanted = golden_by_place();
    assert_eq!(wanted.len(), 31_383);
    let mut different = Differences::default();
    for row in rows::query(&lake(), STATEMENT).await {
        let place = place(&row);
        let Some(of) = wanted.remove(&place) else {
            different.add("not in the golden file", || row.to_string());
            continue;
        };
        for (column, name) in SAME {
            different.equal(column, &place, &row[column], golden.get(name, of));
        }
        // a client that shows a message has decompressed it, and says so
        let flags = row["sys_flag"].as_i64().unwrap();
        different.equal("sys_flag", &place, &json!(flags & !1), golden.get("sys_flag", of));
        let properties = golden.get("properties", of);
        let tags: Vec<&Value> = properties.get("TAGS").into_iter().collect();
        different.equal("tags", &place, &row["tags"], &json!(tags));
        let mut keys: Vec<&str> = Vec::new();
        for key in keys_of(of) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        different.equal("keys", &place, &row["keys"], &json!(keys));
        let (born, _) = row["born_host"].as_str().unwrap().rsplit_once(':').unwrap();
        let ip = golden.text("born_host", of).trim_start_matches('/');
        different.equal("born_host", &place, &json!(born), &json!(ip));
        let stored = format!("/{}", row["store_host"].as_str().unwrap());
        different.equal("store_host", &place, &json!(stored), golden.get("store_host", of));
    }
    different.assert_none();
    assert!(wanted.is_empty(), "{} are missing, such as {:?}", wanted.len(), wanted.keys().next());
}

#[tokio::test]
async fn every_body_is_kept_decompressed() {
    let golden = messages();
    let mut wanted = golden_by_place();
    let (mut too_large, mut different) = (0, Differences::default());
    let statement = "SELECT subject, broker_group, queue_id, sequence, body_size, body IS NULL AS is_left_out, \
         substr(encode(sha256(body), 'hex'), 1, 8) AS digest FROM content WHERE system = 'rocketmq'";
    for row in rows::query(&lake(), statement).await {
        let place = place(&row);
        let Some(of) = wanted.remove(&place) else {
            different.add("not in the golden file", || row.to_string());
            continue;
        };
        different.equal("body_size", &place, &row["body_size"], golden.get("body_len", of));
        if row["is_left_out"] == true {
            // four of 2 MiB are over `import.max_body`
            assert_eq!(row["body_size"], 2_097_152, "{row}");
            too_large += 1;
        } else {
            different.equal("body", &place, &row["digest"], golden.get("body_sha256_start", of));
        }
    }
    different.assert_none();
    assert_eq!(too_large, 4);
    // what messages with traces say is in `trace`
    wanted.retain(|(topic, ..), _| !TRACE_TOPICS.contains(&&**topic));
    assert!(wanted.is_empty(), "{} are missing, such as {:?}", wanted.len(), wanted.keys().next());
}

/// What producers got for their messages leads to them.
#[tokio::test]
async fn every_send_is_found_by_what_its_producer_got() {
    let statement =
        "SELECT message_id, own_id, subject, broker_group, queue_id, sequence FROM message WHERE kind = 0";
    let mut by_id: HashMap<String, Vec<(Value, Place)>> = HashMap::new();
    for row in rows::query(&lake(), statement).await {
        // the single id of a message in a batch, else that of the message
        let id = row["own_id"].as_str().or(row["message_id"].as_str()).unwrap().to_owned();
        by_id.entry(id).or_default().push((row["message_id"].clone(), place(&row)));
    }
    let (mut batched, mut different) = (0, Differences::default());
    let sends = lines("truth/sends");
    assert_eq!(sends.len(), 9231);
    for send in &sends {
        let found = by_id.get(send["msg_id"].as_str().unwrap()).map(Vec::as_slice).unwrap_or_default();
        let [(shown, (topic, broker, queue, offset))] = found else {
            different.add("not once", || format!("{send}: {found:?}"));
            continue;
        };
        different.equal("topic", send, &json!(topic), &send["topic"]);
        // a one-way send has no answer
        if send["kind"] != "oneway" {
            let place = json!([broker, queue, offset]);
            different.equal(
                "place",
                send,
                &place,
                &json!([send["broker"], send["queue_id"], send["queue_offset"]]),
            );
        }
        batched += u32::from(send["kind"] == "batch" && *shown != send["msg_id"]);
    }
    different.assert_none();
    assert!(batched > 1000, "{batched}");
}
