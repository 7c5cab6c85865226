//! Every trace event that the Java client's decoder reads.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::Differences;
use crate::support::rocketmq::{Columns, lake, messages};
use crate::support::rows;

const STATEMENT: &str = "SELECT trace_type, msg_id, region_id, group_name, request_id, topic, tags, keys, store_host, \
     body_length, cost_time, msg_type, offset_msg_id, success, context_code, client_host, retry_times, transaction_id, \
     transaction_state, from_transaction_check, broker_group, carrier, carrier_subject, event, bean, raw, \
     CAST(time_stamp AS BIGINT) AS time, CAST(store_time AS BIGINT) AS stored FROM trace WHERE system = 'rocketmq'";

/// Names of the types as the Java client shows them.
const MESSAGE_TYPES: [&str; 5] =
    ["Normal_Msg", "Trans_Msg_Half", "Trans_msg_Commit", "Delay_Msg", "Order_Msg"];

/// Columns of an event of each type with their names in the golden file. All others must be null.
fn columns_of(trace_type: &str) -> &'static [(&'static str, &'static str)] {
    match trace_type {
        "Pub" => &[
            ("region_id", "region_id"),
            ("topic", "topic"),
            ("store_host", "store_host"),
            ("body_length", "body_length"),
            ("cost_time", "cost_time"),
            ("success", "is_success"),
        ],
        "SubBefore" => {
            &[("region_id", "region_id"), ("request_id", "request_id"), ("retry_times", "retry_times")]
        }
        "SubAfter" => &[
            ("request_id", "request_id"),
            ("cost_time", "cost_time"),
            ("success", "is_success"),
            ("context_code", "context_code"),
        ],
        "EndTransaction" => &[
            ("region_id", "region_id"),
            ("topic", "topic"),
            ("store_host", "store_host"),
            ("transaction_id", "transaction_id"),
            ("transaction_state", "transaction_state"),
            ("from_transaction_check", "from_transaction_check"),
        ],
        other => panic!("{other}"),
    }
}

/// Columns that only some types have.
const OPTIONAL: [&str; 12] = [
    "region_id",
    "request_id",
    "topic",
    "store_host",
    "body_length",
    "cost_time",
    "success",
    "context_code",
    "retry_times",
    "transaction_id",
    "transaction_state",
    "from_transaction_check",
];

#[tokio::test]
async fn every_trace_event_has_the_fields_that_a_client_reads() {
    let golden = Columns::read("golden/traces");
    assert_eq!(golden.rows, 100_232);
    let mut carriers: HashMap<&str, usize> = HashMap::new();
    for row in 0..messages().rows {
        carriers.insert(messages().text("offset_msg_id", row), row);
    }
    let mut events: HashMap<(String, i64), Vec<Value>> = HashMap::new();
    for row in rows::query(&lake(), STATEMENT).await {
        let key = (row["carrier"].as_str().unwrap().to_owned(), row["event"].as_i64().unwrap());
        events.entry(key).or_default().push(row);
    }
    let mut different = Differences::default();
    for of in 0..golden.rows {
        let place = (golden.text("carrier", of).to_owned(), golden.number("event", of));
        let Some(mut found) = events.remove(&place) else {
            different.add("missing", || format!("{place:?}"));
            continue;
        };
        found.sort_by_key(|row| row["bean"].as_i64());
        // we show each message of a batch
        let ids: Vec<&str> = golden.text("msg_id", of).split(',').collect();
        let found_ids: Vec<&str> = found.iter().map(|row| row["msg_id"].as_str().unwrap()).collect();
        if ids != found_ids {
            different.add("msg_id", || format!("{place:?}: {found_ids:?} instead of {ids:?}"));
        }
        let carrier = carriers[&*place.0];
        for (bean, row) in found.iter().enumerate() {
            compare_event(&golden, of, row, bean, &mut different);
            let born_host = messages().text("born_host", carrier).trim_start_matches('/');
            different.equal("client_host", &place, &row["client_host"], &json!(born_host));
            let stored = messages().get("store_timestamp", carrier);
            different.equal("store_time", &place, &row["stored"], stored);
            different.equal("broker", &place, &row["broker_group"], messages().get("broker", carrier));
        }
    }
    different.assert_none();
    assert!(events.is_empty(), "{} too many, such as {:?}", events.len(), events.values().next());
}

fn compare_event(golden: &Columns, of: usize, row: &Value, bean: usize, different: &mut Differences) {
    let trace_type = golden.text("trace_type", of);
    let place = (golden.text("carrier", of), golden.number("event", of), trace_type);
    let mut equal = |field: &str, wanted: &Value| different.equal(field, &place, &row[field], wanted);
    equal("bean", &json!(bean));
    equal("trace_type", golden.get("trace_type", of));
    equal("time", golden.get("time_stamp", of));
    equal("group_name", golden.get("group_name", of));
    equal("carrier_subject", golden.get("carrier_topic", of));
    equal("raw", &Value::Null);
    let columns = columns_of(trace_type);
    for name in OPTIONAL {
        let of_golden = columns.iter().find(|(column, _)| *column == name);
        equal(name, of_golden.map_or(&Value::Null, |(_, golden_name)| golden.get(golden_name, of)));
    }
    // the decoder of Java shows the text `null` where the client had nothing
    let given = |name: &str| golden.get(name, of).as_str().filter(|text| !["", "null"].contains(text));
    let keys: Option<Vec<&str>> =
        given("keys").map(|keys| keys.split(' ').filter(|key| !key.is_empty()).collect());
    equal("keys", &json!(keys));
    equal("tags", &json!(given("tags")));
    let message_type = golden.get("msg_type", of).as_str();
    let code = message_type.map(|name| MESSAGE_TYPES.iter().position(|known| *known == name).unwrap());
    equal("msg_type", &json!(code));
    let offset_id = given("offset_msg_id").map(|ids| ids.split(',').nth(bean).unwrap());
    equal("offset_msg_id", &json!(offset_id));
}
