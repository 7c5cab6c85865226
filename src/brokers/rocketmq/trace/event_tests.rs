//! Tests of events: batches and identities; also the worked examples that other tests share.
#![allow(clippy::unwrap_used, unreachable_pub)]

use proptest::prelude::*;

use super::*;

pub(crate) const PUB: &str = "Pub^A1647435997808^ADefaultRegion^Aorder_producer^AOrderTopic^AC0A80D01524018B4AAC251C706720007^ATagA^Aorder-1001 user-7^A192.168.13.2:10911^A5^A9^A0^AC0A80D0200002A9F0000000040000182^Atrue^B";
pub(crate) const BEFORE: &str = "SubBefore^A1647436000010^ADefaultRegion^Aorder_consumer^AC0A80D03611C18B4AAC251C70F0A0001^AC0A80D01524018B4AAC251C706720007^A0^Aorder-1001 user-7^B";
pub(crate) const AFTER: &str = "SubAfter^AC0A80D03611C18B4AAC251C70F0A0001^AC0A80D01524018B4AAC251C706720007^A35^Atrue^Aorder-1001 user-7^A0^A1647436000045^Aorder_consumer^B";
pub(crate) const END_TRANSACTION: &str = "EndTransaction^A1647435998100^ADefaultRegion^Aorder_producer^AOrderTopic^AC0A80D01524018B4AAC251C706720007^ATagA^Aorder-1001 user-7^A192.168.13.2:10911^A2^AC0A80D01524018B4AAC251C706720007^ACOMMIT_MESSAGE^Afalse^B";
pub(crate) const RECALL: &str = "Recall^A1647435999000^ADefaultRegion^Aorder_producer^AOrderTopic^AC0A80D01524018B4AAC251C706720007^Atrue^B";
const MESSAGE: Text<'static> = Some(Cow::Borrowed("C0A80D01524018B4AAC251C706720007"));
const REQUEST: Text<'static> = Some(Cow::Borrowed("C0A80D03611C18B4AAC251C70F0A0001"));
const KEYS: Text<'static> = Some(Cow::Borrowed("order-1001 user-7"));

/// The bytes of a text with `^A` and `^B` for the separators.
pub(crate) fn wire(text: &str) -> Vec<u8> {
    text.replace("^A", "\u{1}").replace("^B", "\u{2}").into_bytes()
}

/// An event of a producer in the worked examples.
fn produced(kind: Kind, time_stamp: i64) -> TraceEvent<'static> {
    TraceEvent {
        time_stamp: Some(time_stamp),
        region_id: Some("DefaultRegion".into()),
        group_name: Some("order_producer".into()),
        topic: Some("OrderTopic".into()),
        msg_ids: MESSAGE,
        ..TraceEvent::new(kind, 0)
    }
}

pub(crate) fn publication() -> TraceEvent<'static> {
    TraceEvent {
        tags: Some("TagA".into()),
        keys: KEYS,
        store_host: Some("192.168.13.2:10911".into()),
        body_length: Some(5),
        cost_time: Some(9),
        msg_type: Some(0),
        offset_msg_ids: Some("C0A80D0200002A9F0000000040000182".into()),
        success: Some(true),
        ..produced(Kind::Pub, 1_647_435_997_808)
    }
}

pub(crate) fn before() -> TraceEvent<'static> {
    TraceEvent {
        time_stamp: Some(1_647_436_000_010),
        region_id: Some("DefaultRegion".into()),
        group_name: Some("order_consumer".into()),
        request_id: REQUEST,
        msg_ids: MESSAGE,
        retry_times: Some(0),
        keys: KEYS,
        ..TraceEvent::new(Kind::SubBefore, 0)
    }
}

pub(crate) fn after() -> TraceEvent<'static> {
    TraceEvent {
        time_stamp: Some(1_647_436_000_045),
        group_name: Some("order_consumer".into()),
        request_id: REQUEST,
        msg_ids: MESSAGE,
        cost_time: Some(35),
        success: Some(true),
        context_code: Some(0),
        keys: KEYS,
        ..TraceEvent::new(Kind::SubAfter, 0)
    }
}

pub(crate) fn end_transaction() -> TraceEvent<'static> {
    TraceEvent {
        tags: Some("TagA".into()),
        keys: KEYS,
        store_host: Some("192.168.13.2:10911".into()),
        msg_type: Some(2),
        transaction_id: MESSAGE,
        transaction_state: Some("COMMIT_MESSAGE".into()),
        from_transaction_check: Some(false),
        ..produced(Kind::EndTransaction, 1_647_435_998_100)
    }
}

pub(crate) fn recall() -> TraceEvent<'static> {
    TraceEvent { success: Some(true), ..produced(Kind::Recall, 1_647_435_999_000) }
}

fn any_text() -> impl Strategy<Value = Text<'static>> {
    proptest::option::of("[^\u{1}\u{2}]{1,12}".prop_map(Cow::Owned))
        .prop_map(|text: Text<'static>| text.filter(|text| text != "null"))
}

/// Any event that a record can hold.
pub(crate) fn any_event() -> impl Strategy<Value = TraceEvent<'static>> {
    let texts = proptest::collection::vec(any_text(), 12);
    let longs = [any::<Option<i64>>(), any::<Option<i64>>(), any::<Option<i64>>()];
    let ints = any::<(Option<i32>, Option<i32>, Option<i32>)>();
    let extra = proptest::option::of("[^\u{1}\u{2}]{1,4}(\u{1}[a-z]{1,4}){0,5}".prop_map(Cow::Owned));
    let kind = proptest::sample::select(Kind::ALL.to_vec());
    (kind, texts, longs, ints, extra, any::<(bool, bool, bool)>()).prop_map(
        |(
            kind,
            mut texts,
            [time_stamp, body_length, cost_time],
            (msg_type, code, retry_times),
            extra,
            flags,
        )| {
            let (success, derived, check) = flags;
            let of = |kinds: &[Kind]| kinds.contains(&kind);
            let mut text = |kinds: &[Kind]| texts.pop().flatten().filter(|_| kinds.contains(&kind));
            use Kind::{EndTransaction, Pub, Recall, SubAfter, SubBefore};
            let success_derived = of(&[Pub]) && derived;
            let success = success || success_derived;
            TraceEvent {
                kind,
                event: 0,
                time_stamp,
                region_id: text(&[Pub, SubBefore, EndTransaction, Recall]),
                group_name: text(&Kind::ALL),
                request_id: text(&[SubBefore, SubAfter]),
                topic: text(&[Pub, EndTransaction, Recall]),
                msg_ids: text(&Kind::ALL),
                tags: text(&[Pub, EndTransaction]),
                keys: text(&[Pub, SubBefore, SubAfter, EndTransaction]),
                store_host: text(&[Pub, EndTransaction]),
                body_length: body_length.filter(|_| of(&[Pub])),
                cost_time: cost_time.filter(|_| of(&[Pub, SubAfter])),
                msg_type: msg_type.filter(|_| of(&[Pub, EndTransaction])),
                offset_msg_ids: text(&[Pub]).filter(|_| !success_derived),
                success: of(&[Pub, SubAfter, Recall]).then_some(success),
                success_derived,
                context_code: of(&[SubAfter]).then(|| code.unwrap_or(if success { 0 } else { 4 })),
                context_code_derived: of(&[SubAfter]) && code.is_none(),
                client_host: match kind {
                    SubBefore => check.then(|| "10.0.0.7:9000".into()),
                    _ => text(&[Pub]).filter(|_| !success_derived),
                },
                retry_times: retry_times.filter(|_| of(&[SubBefore])),
                transaction_id: text(&[EndTransaction]),
                transaction_state: text(&[EndTransaction]),
                from_transaction_check: of(&[EndTransaction]).then_some(check),
                extra: extra.filter(|_| !success_derived),
            }
        },
    )
}

fn ids(ids: &str, offset_ids: &str) -> Vec<(Option<String>, Option<String>)> {
    let text = |text: &str| Some(Cow::Owned(text.to_owned())).filter(|text: &Cow<'_, str>| !text.is_empty());
    let event =
        TraceEvent { msg_ids: text(ids), offset_msg_ids: text(offset_ids), ..TraceEvent::new(Kind::Pub, 0) };
    let owned = |text: Option<&str>| text.map(str::to_owned);
    event.per_message().map(|row| (owned(row.msg_id), owned(row.offset_msg_id))).collect()
}

#[test]
fn a_batch_becomes_one_row_per_message() {
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(ids("a", "x"), [(some("a"), some("x"))]);
    assert_eq!(ids("a,b,c", "x,y,z").last(), Some(&(some("c"), some("z"))));
    assert_eq!(ids("a,b", "x"), [(some("a"), some("x")), (some("b"), None)]);
    assert_eq!(ids("a,b", ""), [(some("a"), None), (some("b"), None)]);
    assert_eq!(ids("a,,b,", "x,y,z"), [(some("a"), some("x")), (None, some("y")), (some("b"), some("z"))]);
    assert_eq!(ids("", ""), [(None, None)]);
    assert_eq!(ids(",", ","), [(None, None)]);
    assert_eq!(ids("", "x"), [(None, some("x"))]);
}

#[test]
fn only_pub_has_lists() {
    for kind in Kind::ALL {
        let event = TraceEvent { msg_ids: Some("a,b".into()), ..TraceEvent::new(kind, 0) };
        let rows: Vec<_> = event.per_message().map(|row| (row.place, row.msg_id)).collect();
        if kind == Kind::Pub {
            assert_eq!(rows, [(0, Some("a")), (1, Some("b"))]);
        } else {
            assert_eq!(rows, [(0, Some("a,b"))]);
        }
    }
}

#[test]
fn words_round_trip() {
    for kind in Kind::ALL {
        assert_eq!(Kind::from_word(kind.word().as_bytes()), Some(kind));
    }
    assert_eq!(Kind::from_word(b"pub"), None);
}

#[test]
fn identities_as_text() {
    let key = |event: &TraceEvent<'_>| event.identity().to_string().replace('\u{1}', "|");
    let id = "C0A80D01524018B4AAC251C706720007";
    let request = "C0A80D03611C18B4AAC251C70F0A0001";
    let offset_id = "C0A80D0200002A9F0000000040000182";
    assert_eq!(key(&publication()), format!("Pub|{id}||1647435997808||{offset_id}||"));
    assert_eq!(key(&before()), format!("SubBefore|{id}|{request}|1647436000010|order_consumer|||"));
    assert_eq!(key(&after()), format!("SubAfter|{id}|{request}|1647436000045|order_consumer|||"));
    assert_eq!(key(&end_transaction()), format!("EndTransaction|{id}||1647435998100|||COMMIT_MESSAGE|false"));
    assert_eq!(key(&recall()), format!("Recall|{id}||1647435999000|order_producer|||"));
    assert_eq!(key(&TraceEvent::new(Kind::Pub, 7)), "Pub|||||||");
}

#[test]
fn identity_ignores_what_can_differ_between_reports() {
    let event = publication();
    let again =
        TraceEvent { event: 3, cost_time: Some(1), group_name: None, success: Some(false), ..event.clone() };
    assert_eq!(event.identity(), again.identity());
    let later = TraceEvent { time_stamp: Some(1), ..event.clone() };
    assert_ne!(event.identity(), later.identity());
    let call = before();
    let other_call = TraceEvent { request_id: Some("other".into()), ..call.clone() };
    assert_ne!(call.identity(), other_call.identity());
    let batch = TraceEvent { msg_ids: Some("a,b".into()), offset_msg_ids: Some("x,y".into()), ..event };
    let keys: Vec<_> = batch.per_message().map(|row| row.identity()).collect();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys.first(), keys.last());
    assert!(!keys.contains(&batch.identity()));
}

proptest! {
    #[test]
    fn keys_are_equal_only_where_identities_are(a in any_event(), b in any_event()) {
        let (one, other) = (a.identity(), b.identity());
        prop_assert_eq!(one == other, one.to_string() == other.to_string());
        prop_assert_eq!(one.of_kind(), one);
        let single = a.per_message().map(|row| row.identity()).next();
        if !a.msg_ids.as_deref().unwrap_or_default().contains(',')
            && !a.offset_msg_ids.as_deref().unwrap_or_default().contains(',')
        {
            prop_assert_eq!(single, Some(one));
        }
    }
}
