//! Walks arbitrary bytes as an action log, once as a short segment and once as the start of a full one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mqlake_fuzz::brokers::qmq::format::action_log::{
    ActionKind, Invalid, MIN_RECORD_BYTES, SEGMENT_BYTES, Step, encode, step,
};

fn walk(data: &[u8], segment_bytes: usize) {
    let mut at = 0;
    while at <= data.len() {
        let (rest, limit) = (&data[at..], segment_bytes - at);
        match step(rest, limit) {
            Step::Action { action, size } => {
                assert!(size >= MIN_RECORD_BYTES && size <= rest.len().min(limit));
                assert!(!action.subject.is_empty() && !action.consumer_group.is_empty());
                assert!(!action.consumer_id.is_empty() && action.timestamp_ms > 0);
                match action.kind {
                    ActionKind::Pull {
                        first_sequence,
                        last_sequence,
                        first_message_sequence,
                        last_message_sequence,
                        ..
                    } => {
                        let count = last_sequence - first_sequence + 1;
                        assert!(count >= 0);
                        assert_eq!(count, last_message_sequence - first_message_sequence + 1);
                    }
                    ActionKind::RangeAck { first_sequence, last_sequence } => {
                        assert!(last_sequence - first_sequence + 1 > 0);
                    }
                    ActionKind::ForeverOffline => {}
                }
                let mut again = Vec::new();
                encode(&mut again, &action);
                assert_eq!(step(&again, again.len()), Step::Action { action, size });
                at += size;
            }
            Step::UnknownType { size, .. } => {
                assert!(size >= MIN_RECORD_BYTES && size <= rest.len().min(limit));
                at += size;
            }
            Step::Blank { data_starts_at } => {
                let start = data_starts_at as usize;
                assert!(start >= MIN_RECORD_BYTES && start <= limit);
                if at > 0 {
                    return;
                }
                at = start;
            }
            Step::Incomplete => {
                assert!(rest.len() < limit);
                return;
            }
            Step::Invalid(reason) => {
                if let Invalid::BeyondSegment { needs, limit: left } = reason {
                    assert!(needs > left);
                }
                return;
            }
            Step::EndOfSegment => return,
        }
    }
}

fuzz_target!(|data: &[u8]| {
    walk(data, data.len());
    walk(data, SEGMENT_BYTES.max(data.len()));
});
