//! Tests of the date styles, against epoch milliseconds worked out by hand.

use proptest::prelude::*;

use super::*;

/// 2019-06-03T15:42:39 in China.
const MOMENT: i64 = 1_559_547_759_000;
/// The same wall-clock time in UTC.
const MOMENT_UTC: i64 = MOMENT + 8 * HOUR;
/// The midnight in China before it.
const MIDNIGHT: i64 = MOMENT - (15 * HOUR + 42 * 60_000 + 39_000);
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn china(text: &str) -> Option<i64> {
    parse_date_ms(text, Tz::Asia__Shanghai)
}

#[test]
fn accepts_every_style() {
    let cases = [
        ("Jun 3, 2019 3:42:39 PM", MOMENT),
        ("Jun 3, 2019, 3:42:39 PM", MOMENT),
        ("Jun 3, 2019, 3:42:39\u{202f}PM", MOMENT),
        ("june 03,  2019  03:42:39  pm", MOMENT),
        (" JUN 3, 2019 3:42:39 PM and more", MOMENT),
        ("Jun 3, 2019 12:00:00 AM", MIDNIGHT),
        ("Jun 3, 2019 12:42:39 PM", MOMENT - 3 * HOUR),
        ("Jun 3, 2019 15:42:39 PM", MOMENT + 12 * HOUR),
        ("Jun 33, 2019 3:42:39 PM", MOMENT + 30 * DAY),
        ("May 0, 2019 12:00:00 AM", MIDNIGHT - 34 * DAY),
        ("2019-06-03 15:42:39", MOMENT),
        ("2019-6-3 15:42:39", MOMENT),
        ("2019-6-3 15:42:39.5 ", MOMENT + 500),
        ("2019-05-34 15:42:39", MOMENT),
        ("2019年6月3日 下午3:42:39", MOMENT),
        ("2019年6月3日 上午12:00:00", MIDNIGHT),
        ("2019年06月03日 15:42:39", MOMENT),
        ("2019-06-03T15:42:39Z", MOMENT_UTC),
        ("2019-06-03T15:42:39.633Z", MOMENT_UTC + 633),
        ("2019-06-03T15:42:39.6335555Z", MOMENT_UTC + 633),
        ("2019-06-03T15:42:39.6+08:00", MOMENT + 600),
        ("2019-06-03T15:42:39.06+0800", MOMENT + 60),
        ("2019-06-03T15:42Z", MOMENT_UTC - 39_000),
        ("2019-06-03T15:42:39+08:00", MOMENT),
        ("2019-06-03T15:42:39+0800", MOMENT),
        ("2019-06-03T15:42:39+08", MOMENT),
        ("2019-06-03T02:12:39-05:30", MOMENT),
        ("2019-06-03T07:42:39-00:00", MOMENT),
        ("20190603T154239Z", MOMENT_UTC),
        ("20190603T1542+08", MOMENT - 39_000),
        ("2019-06-03T15:42:39Z and more", MOMENT_UTC),
        ("2019-06-03T15:42:61Z", MOMENT_UTC + 20_000),
        ("2019-06-03", MIDNIGHT),
        ("20190603", MIDNIGHT),
        ("2019-13-45", 1_581_609_600_000),
        ("2019-06-03Z", MIDNIGHT + 8 * HOUR),
        ("2019-06-03+08:00", MIDNIGHT),
        ("2019-06-03T15:42:39", MOMENT),
        ("2019-06-03T15:42:39.633", MOMENT + 633),
        ("20190603T154239", MOMENT),
        ("1559547759000", MOMENT),
        ("1999-12-31", 946_569_600_000),
        ("1970-01-01", -8 * HOUR),
    ];
    for (text, expected) in cases {
        assert_eq!(china(text), Some(expected), "{text}");
    }
}

#[test]
fn refuses_everything_else() {
    let cases = [
        "",
        " ",
        "now",
        "bad",
        "2019-06-03 15:42",
        "2019-06-03T15:42",
        "2019/06/03 15:42:39",
        "Jun 3, 2019",
        "Jun 3, 2019 15:42:39",
        "Jun 3, 19 3:42:39 PM",
        "Jun 3 2019 3:42:39 PM",
        "Sept 3, 2019 3:42:39 PM",
        "Mon Jun 03 15:42:39 CST 2019",
        "1559547759",
        "15595477590000",
        "-1559547759000",
        "1.559547759E12",
        "2019-6-3",
        "2019-06-03T25:42:39Z",
        "2019-06-03T24:00:00Z",
        "2019-06-31T00:00:00Z",
        "2019-13-03T00:00:00Z",
        "2019-06-31Z",
        "2019-06-03T15:60:00Z",
        "2019-06-03T15:42:63Z",
        "2019-06-03T15:42:39.Z",
        "2019-06-03T15:42:39.",
        "2019-06-03T15:42:39+8",
        "2019-06-03T15:42:39+8:00",
        "2019-06-03T15:42:39+24:00",
        "2019-06-03T15:42:39+08:60",
        "2019-06-03T15:42:39+08:00 ",
        "2019-06-03T15:42:39 +08:00",
        "2019-06-03t15:42:39Z",
        "2019-06-03 15:42:39+08:00",
        "2019-06-03 15:42:39.",
        "２０１９-06-03",
        "2019年6月3日",
        "2019年6月3日 下午3:42",
    ];
    for text in cases {
        assert_eq!(china(text), None, "{text}");
    }
}

#[test]
fn clock_changes() {
    let cases = [
        // Skipped: 02:30 is read as 03:30 summer time.
        (Tz::America__New_York, "2024-03-10T02:30:00", 1_710_055_800_000),
        (Tz::America__New_York, "2024-03-10 03:30:00", 1_710_055_800_000),
        // Repeated: the first 01:30, in summer time.
        (Tz::America__New_York, "Nov 3, 2024 1:30:00 AM", 1_730_611_800_000),
        // A whole day skipped at the date line: read as the same time of the day after.
        (Tz::Pacific__Apia, "2011-12-30 12:00:00", 1_325_282_400_000),
        // Half an hour skipped.
        (Tz::Australia__Lord_Howe, "2024-10-06T02:10:00", 1_728_142_800_000),
    ];
    for (zone, text, expected) in cases {
        assert_eq!(parse_date_ms(text, zone), Some(expected), "{text} in {zone}");
    }
}

proptest! {
    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        let _ = china(&text);
    }

    #[test]
    fn any_almost_date_is_answered(
        text in "(Jun |[0-9]{4}[-年]?)?[0-9]{0,7}[-月,:]?[0-9]{0,7}[ T日\u{202f}]?(下午)?([0-9]{1,7}:){0,3}[0-9.Z+APM -]{0,8}",
        zone in prop::sample::select(vec![Tz::UTC, Tz::Pacific__Apia, Tz::America__New_York]),
    ) {
        let _ = parse_date_ms(&text, zone);
    }

    #[test]
    fn every_style_agrees(epoch_s in 0_i64..4_102_444_800) {
        let local = chrono::DateTime::from_timestamp(epoch_s, 0).map(|time| time.naive_utc()).unwrap_or_default();
        for style in [
            "%b %-d, %Y %-I:%M:%S %p",
            "%B %-d, %Y, %I:%M:%S\u{202f}%p",
            "%Y-%-m-%-d %H:%M:%S",
            "%Y年%-m月%-d日 %H:%M:%S",
            "%Y-%m-%dT%H:%M:%S",
            "%Y-%m-%dT%H:%M:%SZ",
            "%Y%m%dT%H%M%S+00",
        ] {
            let text = local.format(style).to_string();
            prop_assert_eq!(parse_date_ms(&text, Tz::UTC), Some(epoch_s * 1000), "{}", text);
        }
    }
}
