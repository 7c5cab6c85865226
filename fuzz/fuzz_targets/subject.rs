//! Takes arbitrary subject names apart and puts them together again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mqlake_fuzz::brokers::qmq::format::Kind;
use mqlake_fuzz::brokers::qmq::format::subject::{DEAD_PREFIX, RETRY_PREFIX, SubjectName};

fn check(name: &str) {
    let parsed = SubjectName::parse(name);
    let full = parsed.full_name();
    match parsed.kind {
        Kind::Normal => assert_eq!((full.as_str(), &parsed.consumer_group), (name, &None)),
        Kind::Retry => assert!(full.starts_with(RETRY_PREFIX)),
        Kind::Dead => assert!(full.starts_with(DEAD_PREFIX)),
    }
    assert!(full.len() <= name.len());
    assert_eq!(SubjectName::parse(&full), parsed);
}

fuzz_target!(|data: &[u8]| {
    let name = String::from_utf8_lossy(data);
    check(&name);
    check(&format!("{RETRY_PREFIX}{name}"));
    check(&format!("{DEAD_PREFIX}{name}"));
});
