//! Reads arbitrary text as the time of a request, in both APIs. A time that was read is read again from its ISO form.
#![no_main]

use chrono::DateTime;
use chrono_tz::Tz;
use libfuzzer_sys::fuzz_target;
use mqlake_fuzz::http::qmq::request::parse_date_ms;
use mqlake_fuzz::query::moment::{self, Moment};

/// UTC, one without changes, one with summer time, one that changes by half an hour, and one that skipped a day.
const ZONES: [Tz; 5] =
    [Tz::UTC, Tz::Asia__Shanghai, Tz::America__New_York, Tz::Australia__Lord_Howe, Tz::Pacific__Apia];
const NOW_MS: i64 = 1_716_170_400_000;
/// Only years of four digits are read.
const YEARS_MS: std::ops::Range<i64> = -62_167_219_200_000..253_402_300_800_000;

fn iso(ms: i64) -> Option<String> {
    let time = DateTime::from_timestamp_millis(ms).filter(|_| YEARS_MS.contains(&ms))?;
    Some(time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    for zone in ZONES {
        if let Some(ms) = parse_date_ms(&text, zone)
            && let Some(again) = iso(ms)
        {
            assert_eq!(parse_date_ms(&again, zone), Some(ms), "{text:?} in {zone}");
        }
        match moment::parse(&text, zone, Some(NOW_MS)) {
            Ok(Moment::At(ms)) => {
                if let Some(again) = iso(ms) {
                    assert_eq!(moment::parse(&again, zone, None), Ok(Moment::At(ms)), "{text:?} in {zone}");
                }
            }
            Ok(Moment::QueueEnd) => assert_eq!(moment::trimmed(&text).parse(), Ok(-1)),
            Err(reason) => assert!(!reason.is_empty()),
        }
    }
    if let Some(number) = data.first_chunk() {
        let _ = moment::of_number(i64::from_be_bytes(*number));
    }
});
