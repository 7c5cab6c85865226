//! Reads arbitrary text as the lenient JSON of the documented API. Whatever a strict reader takes has to be taken, too,
//! and mean the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mqlake_fuzz::http::qmq::request::lenient::{Json, MAX_DEPTH, parse};
use serde_json::Value as Strict;

fn same(read: &Json, strict: &Strict) -> bool {
    match (read, strict) {
        (Json::Null, Strict::Null) => true,
        (Json::Bool(a), Strict::Bool(b)) => a == b,
        // the literal is kept
        (Json::Number(a), Strict::Number(b)) => {
            serde_json::from_str(a).is_ok_and(|a: serde_json::Number| a == *b)
        }
        (Json::Text(a), Strict::String(b)) => a == b,
        (Json::Array(a), Strict::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        // repeated names are kept here, and there the last counts
        (Json::Object(members), Strict::Object(strict)) => {
            strict.len() <= members.len()
                && strict.iter().all(|(name, b)| {
                    let last = members.iter().rev().find(|(key, _)| key == name);
                    last.is_some_and(|(_, a)| same(a, b))
                })
        }
        _ => false,
    }
}

fn visit(value: &Json, depth: usize) {
    assert!(depth <= MAX_DEPTH);
    match value {
        Json::Array(items) => items.iter().for_each(|item| visit(item, depth + 1)),
        Json::Object(members) => members.iter().for_each(|(_, item)| visit(item, depth + 1)),
        _ => {}
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = parse(text);
    match &read {
        Ok(value) => visit(value, 0),
        Err(bad) => assert!(bad.offset <= text.len() && !bad.reason.is_empty()),
    }
    if let Ok(strict) = serde_json::from_str::<Strict>(text) {
        match &read {
            Ok(value) => assert!(same(value, &strict), "{value:?} is not {strict:?}"),
            Err(bad) => assert_eq!(bad.reason, "nested too deeply", "{strict:?}"),
        }
    }
});
