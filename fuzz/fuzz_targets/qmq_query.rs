//! Reads arbitrary bytes as the query string of the documented API, and as the text of its two queries: what is refused
//! is refused with a reason, and a value that was sent arrives as it is.
#![no_main]

use chrono_tz::Tz;
use libfuzzer_sys::fuzz_target;
use mqlake_fuzz::http::qmq::request::{BackupQuery, RecordQuery, parameter};

const NAMES: [&str; 2] = ["backupQuery", "recordQuery"];

fn check(text: &str) {
    if let Err(bad) = BackupQuery::parse(text, Tz::Asia__Shanghai) {
        assert!(!bad.to_string().is_empty());
    }
    if let Err(bad) = RecordQuery::parse(text) {
        assert!(!bad.to_string().is_empty());
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for name in NAMES {
        match parameter(Some(text), name) {
            Ok(Some(value)) => check(&value),
            Ok(None) => {}
            Err(bad) => assert!(bad.name == name && !bad.text.is_empty()),
        }
        let sent = format!("x=%zz&{name}={}&{name}=1", encoded(text));
        assert_eq!(parameter(Some(&sent), name), Ok(Some(text.to_owned())));
    }
    check(text);
    let wanted = serde_json::json!({ "subject": text, "messageId": text, "brokerGroup": text }).to_string();
    let read = RecordQuery::parse(&wanted).expect("texts are taken as they are");
    let wanted = Some(text.to_owned()).filter(|text| !text.is_empty());
    assert_eq!([&read.subject, &read.message_id, &read.broker_group], [&wanted; 3]);
});
