//! Tests of the trace decoder and encoder: worked examples, versions, bad records, limits, and properties.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::borrow::Cow;

use proptest::prelude::*;

use super::*;
use crate::brokers::rocketmq::trace::encode::encode;
use crate::brokers::rocketmq::trace::event::tests::{
    AFTER, BEFORE, END_TRANSACTION, PUB, RECALL, after, any_event, before, end_transaction, publication,
    recall, wire,
};

fn all(body: &[u8]) -> Vec<Result<TraceEvent<'_>, Undecoded<'_>>> {
    decode(body, Limits::default()).collect()
}

fn one(body: &[u8]) -> TraceEvent<'_> {
    let items = all(body);
    assert_eq!(items.len(), 1);
    items.into_iter().next().unwrap().unwrap()
}

fn reason(body: &str) -> Reason {
    let body = wire(body);
    match all(&body).as_slice() {
        [Err(undecoded)] => undecoded.reason,
        other => panic!("{other:?}"),
    }
}

fn encoded(event: &TraceEvent<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out, event);
    out
}

#[test]
fn worked_examples_byte_for_byte_both_ways() {
    let examples = [
        (PUB, 177, publication()),
        (BEFORE, 139, before()),
        (AFTER, 132, after()),
        (END_TRANSACTION, 200, end_transaction()),
        (RECALL, 99, recall()),
    ];
    for (example, size, event) in &examples {
        let body = wire(example);
        assert_eq!(body.len(), *size);
        assert_eq!(one(&body), *event);
        assert_eq!(encoded(event), body);
        assert!(looks_like_trace(&body));
    }
    let start = [0x53, 0x75, 0x62, 0x42, 0x65, 0x66, 0x6f, 0x72, 0x65, 0x01, 0x31, 0x36, 0x34, 0x37];
    assert!(wire(BEFORE).starts_with(&start));

    let body = wire(&examples.each_ref().map(|example| example.0).concat());
    for (place, (item, (.., event))) in all(&body).into_iter().zip(&examples).enumerate() {
        assert_eq!(item, Ok(TraceEvent { event: u32::try_from(place).unwrap(), ..event.clone() }));
    }
}

#[test]
fn pub_of_every_version() {
    let twelve = "Pub^A7^AR^Ag^At^Am^Atag^Ak^Ah:1^A5^A9^A3";
    let event =
        |text: &str| one(&wire(text)).per_message().map(|row| format!("{:?}", row.event)).collect::<String>();
    let parts = |text: &str| {
        let body = wire(text);
        let event = one(&body);
        let owned = |text: &Text<'_>| text.as_deref().map(str::to_owned);
        (
            owned(&event.offset_msg_ids),
            event.success,
            event.success_derived,
            owned(&event.client_host),
            owned(&event.extra),
        )
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(parts(&format!("{twelve}^B")), (None, Some(true), true, None, None));
    assert_eq!(parts(&format!("{twelve}^Atrue^B")), (None, Some(true), false, None, None));
    assert_eq!(parts(&format!("{twelve}^AFALSE^B")), (None, Some(false), false, None, None));
    assert_eq!(parts(&format!("{twelve}^Ao^ATrue^B")), (some("o"), Some(true), false, None, None));
    assert_eq!(parts(&format!("{twelve}^A^Ayes^B")), (None, Some(false), false, None, None));
    let fifteen = format!("{twelve}^Ao^Atrue^A10.0.0.1");
    assert_eq!(parts(&format!("{fifteen}^B")), (some("o"), Some(true), false, some("10.0.0.1"), None));
    assert_eq!(parts(&format!("{fifteen}^Ax^B")).4, some("x"));
    assert_eq!(parts(&format!("{fifteen}^A^Anull^A^B")).4, some("\u{1}null"));
    // Trailing empty fields do not count.
    assert_eq!(event(&format!("{twelve}^A^A^A^B")), event(&format!("{twelve}^B")));
}

#[test]
fn sub_before_without_keys() {
    for tail in ["", "^A", "^Anull", "^A^A^A"] {
        let body = wire(&format!("SubBefore^A1^Anull^Ag^Ar^Am^A2{tail}^B"));
        let event = one(&body);
        assert_eq!((event.region_id.as_deref(), event.keys.as_deref()), (None, None));
        assert_eq!((event.msg_ids.as_deref(), event.retry_times), (Some("m"), Some(2)));
    }
    assert_eq!(reason("SubBefore^A1^AR^Ag^Ar^Am^B"), Reason::TooFewFields { found: 6, needed: 7 });
}

/// The address of a consumer is the ninth field, where its client writes one.
#[test]
fn sub_before_with_the_address_of_its_client() {
    let eight = "SubBefore^A1^AR^Ag^Ar^Am^A2^Ak";
    for (tail, host, extra) in [
        ("", None, None),
        ("^A", None, None),
        ("^Anull", None, None),
        ("^A192.168.0.7", Some("192.168.0.7"), None),
        ("^A10.0.0.7@4711@default", Some("10.0.0.7@4711@default"), None),
        ("^Afd00::7", Some("fd00::7"), None),
        ("^A10.0.0.7^Amore", Some("10.0.0.7"), Some("more")),
        ("^Anull^Amore", None, Some("more")),
        ("^Asome text", None, Some("some text")),
        ("^A{\"a\":1}^Ab", None, Some("{\"a\":1}\u{1}b")),
    ] {
        let body = wire(&format!("{eight}{tail}^B"));
        let event = one(&body);
        assert_eq!((event.client_host.as_deref(), event.extra.as_deref()), (host, extra), "{tail}");
        assert_eq!((event.keys.as_deref(), event.retry_times), (Some("k"), Some(2)), "{tail}");
    }
}

/// Clients of a cloud channel end such a record with a separator only.
#[test]
fn a_sub_after_without_an_end_hides_no_other() {
    let after = "SubAfter^Ar^Am^A3^Atrue^Ak^A0^A";
    let body = wire(&format!("{after}SubAfter^Ar^An^A4^Afalse^Ak^A4^A{BEFORE}{after}"));
    let found: Vec<_> = all(&body).into_iter().map(Result::unwrap).collect();
    let kinds: Vec<_> =
        found.iter().map(|event| (event.event, event.kind, event.msg_ids.as_deref())).collect();
    let id = before().msg_ids.clone();
    assert_eq!(
        kinds,
        [
            (0, Kind::SubAfter, Some("m")),
            (1, Kind::SubAfter, Some("n")),
            (2, Kind::SubBefore, id.as_deref()),
            (3, Kind::SubAfter, Some("m")),
        ]
    );
    assert_eq!((found[1].success, found[1].context_code), (Some(false), Some(4)));
}

#[test]
fn sub_after_of_every_version() {
    let codes = |text: &str| {
        let body = wire(text);
        let event = one(&body);
        let group = event.group_name.as_deref().map(str::to_owned);
        (event.success, event.context_code, event.context_code_derived, event.time_stamp, group)
    };
    assert_eq!(codes("SubAfter^Ar^Am^A3^Atrue^B"), (Some(true), Some(0), true, None, None));
    assert_eq!(codes("SubAfter^Ar^Am^A3^Atrue^Ak^B"), (Some(true), Some(0), true, None, None));
    assert_eq!(codes("SubAfter^Ar^Am^A3^Afalse^Ak^B"), (Some(false), Some(4), true, None, None));
    assert_eq!(codes("SubAfter^Ar^Am^A3^Afalse^Ak^A2^A^B"), (Some(false), Some(2), false, None, None));
    assert_eq!(codes("SubAfter^Ar^Am^A3^Atrue^Ak^A1^A99^B"), (Some(true), Some(1), false, Some(99), None));
    let nine = codes("SubAfter^Ar^Am^A-3^Atrue^A^A77^A99^Ag^B");
    assert_eq!(nine, (Some(true), Some(77), false, Some(99), Some("g".to_owned())));
    assert_eq!(one(&wire("SubAfter^Ar^Am^A-3^Atrue^B")).cost_time, Some(-3));
    assert_eq!(reason("SubAfter^Ar^Am^A3^B"), Reason::TooFewFields { found: 4, needed: 5 });
}

#[test]
fn a_bad_record_hides_no_other() {
    let body = wire(&format!("{PUB}Pub^Ax^B^B{RECALL}"));
    let raw = wire("Pub^Ax");
    let bad = Undecoded { event: 1, reason: Reason::TooFewFields { found: 2, needed: 12 }, raw: &raw };
    let items = all(&body);
    assert_eq!(items[0], Ok(publication()));
    assert_eq!(items[1], Err(bad));
    assert_eq!(items[2], Ok(TraceEvent { event: 2, ..recall() }));
    assert_eq!(items.len(), 3);
}

#[test]
fn every_reason() {
    assert_eq!(reason("pub^A1^B"), Reason::UnknownType);
    assert_eq!(reason("^A^A^B"), Reason::UnknownType);
    assert_eq!(reason("Recall^A1^AR^Ag^At^Am^B"), Reason::TooFewFields { found: 6, needed: 7 });
    let short = END_TRANSACTION.replace("^Afalse^B", "^B");
    assert_eq!(reason(&short), Reason::TooFewFields { found: 12, needed: 13 });
    for (field, bad) in [
        ("time_stamp", "Recall^A1x^AR^Ag^At^Am^Atrue^B".to_owned()),
        ("time_stamp", "SubAfter^Ar^Am^A3^Atrue^A^A0^A99999999999999999999^B".to_owned()),
        ("retry_times", "SubBefore^A1^AR^Ag^Ar^Am^A3000000000^B".to_owned()),
        ("context_code", "SubAfter^Ar^Am^A3^Atrue^A^ASUCCESS^B".to_owned()),
        ("body_length", PUB.replace("^A5^A", "^A5.0^A")),
        ("cost_time", PUB.replace("^A9^A", "^A 9^A")),
        ("msg_type", END_TRANSACTION.replace("^A2^A", "^AHalf^A")),
    ] {
        assert_eq!(reason(&bad), Reason::BadNumber { field });
    }
    assert_eq!(Reason::UnknownType.name(), "unknown_type");
}

#[test]
fn absent_numbers_and_unknown_codes_are_no_errors() {
    let body = wire("Pub^Anull^A^Ag^At^A^Anull^Anull^Anull^A^Anull^A9^Anull^Atrue^B");
    let expected = TraceEvent {
        group_name: Some("g".into()),
        topic: Some("t".into()),
        msg_type: Some(9),
        success: Some(true),
        ..TraceEvent::new(Kind::Pub, 0)
    };
    assert_eq!(one(&body), expected);
}

#[test]
fn invalid_utf8_is_replaced_and_valid_text_borrowed() {
    let body = b"Recall\x011\x01R\x01\xe4\xb8\x01\xe4\xb8\xad\x01m\xff\x01true\x02";
    let event = one(body);
    assert_eq!(event.group_name.as_deref(), Some("\u{fffd}"));
    assert_eq!(event.topic.as_deref(), Some("\u{4e2d}"));
    assert_eq!(event.msg_ids.as_deref(), Some("m\u{fffd}"));
    assert!(matches!(event.topic, Some(Cow::Borrowed(_))));
}

#[test]
fn detection() {
    for body in ["Pub", "Publish^A", "SubBeforeX^A", " Pub^A", "^APub^A", "pub^A", ""] {
        assert!(!looks_like_trace(&wire(body)), "{body}");
    }
    for body in ["Pub^A", "SubBefore^A1", "SubAfter^A^B", "EndTransaction^A", "Recall^A"] {
        assert!(looks_like_trace(&wire(body)), "{body}");
    }
}

#[test]
fn limits_leave_the_rest_undecoded() {
    let body = wire(&format!("{RECALL}{PUB}{BEFORE}"));
    let rest = body.get(99..).unwrap();
    let limits = Limits { records: 1, ..Limits::default() };
    let too_many = Undecoded { event: 1, reason: Reason::TooManyRecords { limit: 1 }, raw: rest };
    assert_eq!(decode(&body, limits).collect::<Vec<_>>(), [Ok(recall()), Err(too_many)]);
    for limit in [99, 100, 275] {
        let reason = Reason::BodyTooLong { limit };
        let too_long = Undecoded { event: 1, reason, raw: rest };
        let items: Vec<_> = decode(&body, Limits { body_bytes: limit, ..Limits::default() }).collect();
        assert_eq!(items, [Ok(recall()), Err(too_long)]);
    }
    let both = Limits { body_bytes: 300, records: 1, fields: 64 };
    assert_eq!(decode(&body, both).collect::<Vec<_>>(), [Ok(recall()), Err(too_many)]);
    let exact = Limits { body_bytes: body.len(), records: 3, fields: 14 };
    assert!(decode(&body, exact).all(|item| item.is_ok()));
    let narrow = Limits { fields: 13, ..Limits::default() };
    let items: Vec<_> = decode(&body, narrow).collect();
    assert!(items[0].is_ok() && items[2].is_ok());
    assert_eq!(items[1].clone().unwrap_err().reason, Reason::TooManyFields { found: 14, limit: 13 });
}

#[test]
fn a_truncated_body_keeps_the_events_before_the_cut() {
    let records = [PUB, BEFORE, AFTER, END_TRANSACTION, RECALL].map(wire);
    let body = records.concat();
    let whole = all(&body);
    for cut in 0..body.len() {
        let items = all(body.get(..cut).unwrap());
        let mut end = 0;
        let complete = records.iter().take_while(|record| {
            end += record.len();
            end <= cut
        });
        let complete = complete.count();
        assert_eq!(items.get(..complete).unwrap(), whole.get(..complete).unwrap(), "cut at {cut}");
        assert!(items.len() <= complete + 1);
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(events in proptest::collection::vec(any_event(), 0..20)) {
        let mut body = Vec::new();
        events.iter().for_each(|event| encode(&mut body, event));
        let expected: Vec<_> = (0..).zip(events).map(|(place, event)| Ok(TraceEvent { event: place, ..event })).collect();
        prop_assert_eq!(all(&body), expected);
    }

    #[test]
    fn noise_between_events_is_kept(
        noise in proptest::collection::vec(any::<u8>(), 0..200),
        limits in (0_usize..600, 0_u32..6, 0_usize..20),
    ) {
        let separated = [PUB, "^B"].map(wire).concat();
        let body = [separated.as_slice(), &noise, &[RECORD_SEPARATOR], &wire(RECALL)].concat();
        let items = all(&body);
        prop_assert_eq!(items.first(), Some(&Ok(publication())));
        let last = items.last().unwrap().clone().unwrap();
        prop_assert_eq!(&TraceEvent { event: 0, ..last }, &recall());
        let pieces = noise.split(|byte| *byte == RECORD_SEPARATOR).filter(|piece| !piece.is_empty()).count();
        prop_assert_eq!(items.len(), pieces + 2);

        // With limits every byte of a record is still either decoded or handed back.
        let (body_bytes, records, fields) = limits;
        let mut at = 0;
        for (place, item) in decode(&body, Limits { body_bytes, records, fields }).enumerate() {
            prop_assert!(place <= records as usize);
            if let Err(Undecoded { raw, event, .. }) = item {
                prop_assert_eq!(event as usize, place);
                let start = raw.as_ptr() as usize - body.as_ptr() as usize;
                prop_assert!(start >= at);
                at = start + raw.len();
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(body in proptest::collection::vec(prop_oneof![
        any::<u8>(), Just(1), Just(1), Just(2), proptest::sample::select(b"PubRecall0123".to_vec()),
    ], 0..400)) {
        let _ = looks_like_trace(&body);
        for event in all(&body).into_iter().flatten() {
            prop_assert!(event.per_message().count() > 0);
        }
    }
}
