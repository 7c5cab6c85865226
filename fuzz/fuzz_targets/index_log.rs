//! Walks arbitrary bytes as index records, once as a whole answer and once as the start of a file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mqlake_fuzz::brokers::qmq::format::index_log::{SEGMENT_BYTES, Step, encode, step};

fn walk(data: &[u8], file_bytes: usize) {
    let mut at = 0;
    while at <= data.len() {
        let (rest, limit) = (&data[at..], file_bytes - at);
        match step(rest, limit) {
            Step::Record(record) => {
                assert!(record.size > 0 && record.size <= rest.len().min(limit));
                assert!(record.sequence >= 0);
                assert!(!record.subject.is_empty() && !record.message_id.is_empty());
                let mut again = Vec::new();
                encode(&mut again, record.sequence, record.create_time_ms, record.subject, record.message_id);
                assert_eq!(again, rest[..record.size]);
                at += record.size;
            }
            Step::Incomplete => {
                assert!(rest.len() < limit);
                return;
            }
            Step::EndOfFile | Step::Invalid(_) => return,
        }
    }
}

fuzz_target!(|data: &[u8]| {
    walk(data, data.len());
    walk(data, SEGMENT_BYTES.max(data.len()));
});
