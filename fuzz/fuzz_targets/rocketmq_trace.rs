//! Decodes arbitrary bytes as the body of a trace message; events encode to what decodes to them again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mqlake_fuzz::brokers::rocketmq::trace::decode::{Limits, Reason, decode, looks_like_trace};
use mqlake_fuzz::brokers::rocketmq::trace::encode::encode;
use mqlake_fuzz::brokers::rocketmq::trace::event::TraceEvent;
use mqlake_fuzz::brokers::rocketmq::trace::{FIELD_SEPARATOR, RECORD_SEPARATOR};

const TIGHT: Limits = Limits { body_bytes: 512, records: 4, fields: 16 };

fn check_event(event: &TraceEvent<'_>) {
    let mut again = Vec::new();
    encode(&mut again, event);
    let read: Vec<_> = decode(&again, Limits::default()).collect();
    assert_eq!(read, [Ok(TraceEvent { event: 0, ..event.clone() })]);
    assert!(looks_like_trace(&again));

    let _ = event.identity().to_string();
    let rows: Vec<_> = event.per_message().collect();
    assert_eq!(rows.first().map(|row| row.place), Some(0));
    assert!(rows.is_sorted_by(|a, b| a.place < b.place));
    for row in rows {
        assert_eq!(row.identity().kind, event.kind);
        assert!(row.msg_id.is_none_or(|id| !id.is_empty()));
    }
}

/// Every record comes back, in order, as an event or with its bytes.
fn check_body(body: &[u8], limits: Limits) {
    let mut known = 0;
    for (place, decoded) in decode(body, limits).enumerate() {
        match decoded {
            Ok(event) => {
                assert_eq!(event.event as usize, place);
                assert!(event.event < limits.records);
                check_event(&event);
                known += 1;
            }
            Err(bad) => {
                assert_eq!(bad.event as usize, place);
                assert!(!bad.raw.is_empty());
                match bad.reason {
                    Reason::TooManyRecords { .. } | Reason::BodyTooLong { .. } => {
                        assert!(body.ends_with(bad.raw));
                    }
                    _ => assert!(!bad.raw.contains(&RECORD_SEPARATOR)),
                }
                let _ = (bad.reason.name(), bad.reason.to_string());
            }
        }
    }
    let separators = body.iter().filter(|byte| **byte == FIELD_SEPARATOR).count();
    assert!(known <= separators);
}

fuzz_target!(|data: &[u8]| {
    check_body(data, Limits::default());
    check_body(data, TIGHT);
});
