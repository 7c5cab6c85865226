//! Takes arbitrary text for a message id, and looks for the time when it was made around an arbitrary one.
#![no_main]

use chrono_tz::Tz;
use libfuzzer_sys::fuzz_target;
use mqlake_fuzz::brokers::rocketmq::format::message_id::MessageId;

const ZONES: [Tz; 3] = [Tz::UTC, Tz::Asia__Shanghai, Tz::America__New_York];
const YEAR_MS: i64 = 366 * 24 * 3_600_000;

fn check(text: &str, reference_ms: i64) {
    match MessageId::parse(text) {
        MessageId::Classic { unique, offset } => {
            assert!(unique.to_string().eq_ignore_ascii_case(text));
            assert!(offset.to_string().eq_ignore_ascii_case(text));
            let _ = offset.is_plausible();
            for zone in ZONES {
                if let Some(made) = unique.near_time(reference_ms, &zone) {
                    assert!(made < reference_ms);
                }
                let to = reference_ms.saturating_add(YEAR_MS);
                let made = unique.candidates(reference_ms, to, &zone);
                // one for each month
                assert!(made.len() <= 14 && made.is_sorted_by(|a, b| a < b));
                assert!(made.iter().all(|time| (reference_ms..=to).contains(time)));
            }
        }
        MessageId::Grpc(id) => assert!(id.time_ms() > 0),
        MessageId::Other => {}
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((reference, id)) = data.split_first_chunk() else { return };
    let reference = i64::from_be_bytes(*reference);
    check(&String::from_utf8_lossy(id), reference);
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    check(&hex, reference);
});
