//! Micro benchmarks of the hot paths: `cargo bench --bench micro`.
//!
//! Decoding and ack resolution, the loops that run once a record. `benches/end_to_end.py` measures what users notice.

#![allow(missing_docs)]

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use mqlake::brokers::qmq::format::action_log::{Action, ActionKind};
use mqlake::brokers::qmq::format::{action_log, index_log, message_log, payload};
use mqlake::brokers::qmq::replay::{AckLimits, AckState};

const RECORDS: usize = 10_000;

fn main() {
    divan::main();
}

fn message_bytes() -> Vec<u8> {
    let mut log = Vec::new();
    for sequence in 0..RECORDS {
        let id = format!("240520.101112.10.0.0.1.4711.{sequence}");
        let attributes = [("qmq_appCode", "bench"), ("orderNo", "hotel000073677785")];
        let body =
            payload::encode(0, 1_716_134_400_000, 1_716_134_401_000, "order.paid", &id, &[], &attributes);
        message_log::encode(&mut log, 3, 1_716_134_400_500, sequence as i64, "order.paid", &body);
    }
    log
}

#[divan::bench]
fn message_log_with_checksums(bencher: Bencher<'_, '_>) {
    let log = message_bytes();
    bencher.counter(ItemsCount::new(RECORDS)).counter(BytesCount::new(log.len())).bench(|| {
        let mut at = 0;
        let mut sound = 0_u32;
        while let message_log::Step::Record(record) = message_log::step(&log[at..], log.len() - at) {
            sound += u32::from(record.crc_matches() && payload::Payload::decode(record.payload).is_ok());
            at += record.size;
        }
        assert_eq!(sound as usize, RECORDS);
    });
}

#[divan::bench]
fn index_log_records(bencher: Bencher<'_, '_>) {
    let mut log = Vec::new();
    for sequence in 0..RECORDS {
        let id = format!("240520.101112.10.0.0.1.4711.{sequence}");
        index_log::encode(&mut log, sequence as i64, 1_716_134_400_000, b"order.paid", id.as_bytes());
    }
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| {
        let mut at = 0;
        let mut records = 0;
        while let index_log::Step::Record(record) = index_log::step(&log[at..], log.len() - at) {
            at += record.size;
            records += 1;
        }
        assert_eq!(records, RECORDS);
    });
}

#[divan::bench]
fn action_log_records(bencher: Bencher<'_, '_>) {
    let mut log = Vec::new();
    for number in 0..RECORDS as i64 {
        let action = Action {
            subject: b"order.paid",
            consumer_group: b"settle",
            consumer_id: b"settle-0.host@@5885f2e33581e612727cf82711130f2d",
            timestamp_ms: 1_716_134_400_000 + number,
            kind: ActionKind::RangeAck { first_sequence: number * 10, last_sequence: number * 10 + 9 },
        };
        action_log::encode(&mut log, &action);
    }
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| {
        let mut at = 0;
        let mut records = 0;
        while let action_log::Step::Action { size, .. } = action_log::step(&log[at..], log.len() - at) {
            at += size;
            records += 1;
        }
        assert_eq!(records, RECORDS);
    });
}

/// Twenty consumers share a subject, so that no two pulls of one are adjacent.
#[divan::bench]
fn acks_of_interleaved_consumers(bencher: Bencher<'_, '_>) {
    let limits = AckLimits { max_ranges: 1_000_000, settled_per_consumer: 16 };
    let consumers: Vec<String> =
        (0..20).map(|n| format!("worker-{n}@@5885f2e33581e612727cf82711130f2d")).collect();
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| {
        let mut state = AckState::new(limits);
        let mut resolved = 0_u32;
        for number in 0..RECORDS as i64 {
            let consumer = consumers[number as usize % consumers.len()].as_bytes();
            let first = number / consumers.len() as i64 * 10;
            let range = (first, first + 9);
            state.pull(b"order.paid", b"workers", consumer, false, range, number * 10, number);
            state.ack(b"order.paid", b"workers", consumer, range, |_| resolved += 1);
        }
        assert_eq!(resolved as usize, RECORDS);
    });
}
