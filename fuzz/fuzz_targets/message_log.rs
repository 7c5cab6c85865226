//! Walks arbitrary bytes as a message log, once as a short segment and once as the start of a full one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mqlake_fuzz::brokers::qmq::format::message_log::{MIN_RECORD_BYTES, SEGMENT_BYTES, Step, encode, step};
use mqlake_fuzz::brokers::qmq::format::payload::{Payload, attributes};

fn walk(data: &[u8], segment_bytes: usize) {
    let mut at = 0;
    while at <= data.len() {
        let (rest, limit) = (&data[at..], segment_bytes - at);
        match step(rest, limit) {
            Step::Record(record) => {
                assert!(record.size >= MIN_RECORD_BYTES && record.size <= rest.len().min(limit));
                assert!(record.subject.len() + record.payload.len() < record.size);
                if let (true, Ok(subject)) = (record.crc_matches(), std::str::from_utf8(record.subject)) {
                    let mut again = Vec::new();
                    encode(
                        &mut again,
                        record.version,
                        record.store_time_ms,
                        record.sequence,
                        subject,
                        record.payload,
                    );
                    // Byte 4 is the attribute, of which many values mean a message.
                    assert_eq!(again[5..], rest[5..record.size]);
                }
                if let Ok(payload) = Payload::decode(record.payload) {
                    let _ = attributes(payload.body);
                }
                at += record.size;
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
            Step::EndOfSegment | Step::Invalid(_) => return,
        }
    }
}

fuzz_target!(|data: &[u8]| {
    walk(data, data.len());
    walk(data, SEGMENT_BYTES.max(data.len()));
});
