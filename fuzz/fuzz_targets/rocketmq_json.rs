//! Reads arbitrary bytes as the JSON of a broker, and as each of the files and bodies that are written in it. Whatever
//! a strict reader takes has to be taken, too, and mean the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mqlake_fuzz::brokers::rocketmq::format::broker_config::{
    consumer_offsets, delay_offsets, subscription_groups, topics,
};
use mqlake_fuzz::brokers::rocketmq::format::json::{JsonError, MAX_DEPTH, Value, parse, reparsed};
use mqlake_fuzz::brokers::rocketmq::format::pop;
use mqlake_fuzz::brokers::rocketmq::format::pop::{PopRecord, TAG_ACK, TAG_BATCH_ACK, TAG_CHECK_POINT};
use serde_json::Value as Strict;

fn same(read: &Value, strict: &Strict) -> bool {
    match (read, strict) {
        (Value::Null, Strict::Null) => true,
        (Value::Null, Strict::Object(members)) => members.len() == 1 && members.contains_key("$ref"),
        (Value::Bool(a), Strict::Bool(b)) => a == b,
        (Value::Integer(a), Strict::Number(b)) => {
            b.as_i64().map_or(b.as_f64() == Some(*a as f64), |b| *a == b)
        }
        // the strict reader rounds differently
        (Value::Float(a), Strict::Number(b)) => {
            b.as_f64().is_some_and(|b| *a == b || (a - b).abs() <= a.abs() * 1e-14)
        }
        (Value::Text(a), Strict::String(b)) => a == b,
        (Value::List(a), Strict::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        // of a repeated name both take the last
        (Value::Map(entries), Strict::Object(members)) => {
            members.len() <= entries.len()
                && members.iter().all(|(name, b)| {
                    let text = Value::Text(name.clone());
                    let last = entries.iter().rev().find(|(key, _)| *key == text);
                    last.is_some_and(|(_, a)| same(a, b))
                })
        }
        _ => false,
    }
}

fn visit(value: &Value, depth: usize) {
    assert!(depth <= MAX_DEPTH);
    let _ = (value.as_i64(), value.as_str(), value.as_bool(), value.get("offsetTable"));
    let _ = reparsed(value);
    for item in value.items() {
        visit(item, depth + 1);
    }
    for (key, item) in value.entries() {
        assert!(matches!(key, Value::Text(_) | Value::Integer(_) | Value::Map(_) | Value::Null));
        visit(key, depth + 1);
        visit(item, depth + 1);
    }
}

fuzz_target!(|data: &[u8]| {
    let read = parse(data);
    if let Ok(strict) = serde_json::from_slice::<Strict>(data) {
        match &read {
            Ok(value) => assert!(same(value, &strict), "{value:?} is not {strict:?}"),
            Err(error) => assert!(matches!(error, JsonError::TooDeep { .. }), "{error}: {strict:?}"),
        }
    }
    if let Ok(value) = &read {
        visit(value, 0);
    }
    let is_object = matches!(read, Ok(Value::Map(_)));
    assert_eq!(consumer_offsets(data).is_ok(), is_object);
    assert_eq!(topics(data).is_ok(), is_object);
    assert_eq!(subscription_groups(data).is_ok(), is_object);
    assert_eq!(delay_offsets(data).is_ok(), is_object);
    for tag in [TAG_CHECK_POINT, TAG_ACK, TAG_BATCH_ACK] {
        match pop::decode(tag, data) {
            Ok(PopRecord::CheckPoint(point)) => {
                assert_eq!(tag, TAG_CHECK_POINT);
                let _ = point.revive_time_ms();
            }
            Ok(PopRecord::Ack(ack)) => {
                assert_ne!(tag, TAG_CHECK_POINT);
                assert!(!ack.queue_offsets.is_empty());
            }
            Err(_) => {}
        }
    }
});
