//! Reads arbitrary text as the lenient JSON of the documented API. Whatever a strict reader takes has to be taken, too,
//! and mean the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mqlake_fuzz::codec::json::{Reason, Value};
use mqlake_fuzz::http::qmq::request::lenient::{MAX_DEPTH, parse};
use serde_json::Value as Strict;

fn same(read: &Value, strict: &Strict) -> bool {
    match (read, strict) {
        (Value::Null, Strict::Null) => true,
        (Value::Bool(a), Strict::Bool(b)) => a == b,
        // the literal is kept
        (Value::Word(a), Strict::Number(b)) => {
            serde_json::from_str(a).is_ok_and(|a: serde_json::Number| a == *b)
        }
        (Value::Text(a), Strict::String(b)) => a == b,
        (Value::List(a), Strict::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        // repeated names are kept here, and there the last counts
        (Value::Map(members), Strict::Object(strict)) => {
            strict.len() <= members.len()
                && strict.iter().all(|(name, b)| {
                    let last = members.iter().rev().find(|(key, _)| key.as_str() == Some(name));
                    last.is_some_and(|(_, a)| same(a, b))
                })
        }
        _ => false,
    }
}

fn visit(value: &Value, depth: usize) {
    assert!(depth <= MAX_DEPTH);
    match value {
        Value::List(items) => items.iter().for_each(|item| visit(item, depth + 1)),
        Value::Map(members) => members.iter().for_each(|(_, item)| visit(item, depth + 1)),
        _ => {}
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = parse(text);
    match &read {
        Ok(value) => visit(value, 0),
        Err(bad) => assert!(bad.offset <= text.len()),
    }
    if let Ok(strict) = serde_json::from_str::<Strict>(text) {
        match &read {
            Ok(value) => assert!(same(value, &strict), "{value:?} is not {strict:?}"),
            Err(bad) => assert_eq!(bad.reason, Reason::TooDeep, "{strict:?}"),
        }
    }
});
