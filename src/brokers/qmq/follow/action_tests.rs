use super::*;
use crate::brokers::qmq::format::action_log;
use crate::brokers::qmq::format::action_log::{Action, ActionKind};

fn pull(number: i64) -> Vec<u8> {
    let mut out = Vec::new();
    let action = Action {
        subject: b"order",
        consumer_group: b"g",
        consumer_id: b"c",
        timestamp_ms: 1_700_000_000_000 + number,
        kind: ActionKind::RangeAck { first_sequence: number, last_sequence: number },
    };
    action_log::encode(&mut out, &action);
    out
}

fn log(count: i64) -> Vec<u8> {
    (0..count).flat_map(pull).collect()
}

fn accept(to: usize, records: &[u8]) -> Verdict {
    Verdict::Accept { to: to as u64, records: Bytes::copy_from_slice(records) }
}

/// E1, E4: the cut falls anywhere; nothing is lost and nothing comes twice.
#[test]
fn e1_records_cut_at_every_byte_come_together() {
    let log = log(4);
    for cut in 1..log.len() {
        let mut tail = ActionTail::new(0);
        let mut got = Vec::new();
        for part in [&log[..cut], &log[cut..]] {
            let at = tail.wanted();
            match tail.answer(at as i64, &Bytes::copy_from_slice(part), None) {
                Verdict::Accept { records, .. } => got.extend_from_slice(&records),
                Verdict::Partial => {}
                other => panic!("cut at {cut}: {other:?}"),
            }
        }
        assert_eq!(got, log, "cut at {cut}");
        assert_eq!(tail.position(), log.len() as u64);
    }
}

/// E2: asking again from the start of the record would give the same cut every time.
#[test]
fn e2_a_record_larger_than_an_answer_comes_together() {
    let record = pull(1);
    let mut tail = ActionTail::new(0);
    for (at, byte) in record.iter().enumerate() {
        assert_eq!(tail.wanted(), at as u64);
        let verdict = tail.answer(at as i64, &Bytes::copy_from_slice(&[*byte]), None);
        if at + 1 < record.len() {
            assert_eq!(verdict, Verdict::Partial);
        } else {
            assert_eq!(verdict, accept(record.len(), &record));
        }
    }
}

/// E3, E4: the padding is garbage, in practice the very record that did not fit; it is never scanned.
#[test]
fn e3_an_end_marker_leads_to_the_next_segment_whatever_follows_it() {
    let mut bytes = pull(1);
    let whole = bytes.len();
    let start = SEGMENT - 200;
    action_log::encode_end_of_segment(&mut bytes, &pull(2));
    let mut tail = ActionTail::new(start);
    let verdict = tail.answer(start as i64, &Bytes::from(bytes.clone()), None);
    assert_eq!(verdict, accept(SEGMENT as usize, &bytes[..whole]));
    assert_eq!(tail.wanted(), SEGMENT);
}

#[test]
fn e4_an_answer_that_ends_inside_an_end_marker_is_completed() {
    let mut marker = Vec::new();
    action_log::encode_end_of_segment(&mut marker, &[]);
    let start = SEGMENT - 100;
    for cut in 1..5 {
        let mut tail = ActionTail::new(start);
        let first = tail.answer(start as i64, &Bytes::copy_from_slice(&marker[..cut]), None);
        assert_eq!(first, Verdict::Partial, "cut at {cut}");
        let at = tail.wanted();
        let second = tail.answer(at as i64, &Bytes::copy_from_slice(&marker[cut..]), None);
        assert_eq!(second, accept(SEGMENT as usize, &[]), "cut at {cut}");
    }
}

/// E7, E8: an unknown attribute has no size, so nothing behind it can be read.
#[test]
fn e7_e8_damage_stops_the_stream_behind_the_last_sound_record() {
    for garbage in [&b"\x01\x02\x03\x04\x05\x06"[..], b"\xC3\xB2\xA1\x00\x07\x00\x00\x00\x00\x00"] {
        let mut bytes = pull(1);
        let whole = bytes.len();
        bytes.extend_from_slice(garbage);
        let mut tail = ActionTail::new(0);
        assert_eq!(tail.answer(0, &Bytes::from(bytes.clone()), None), accept(whole, &bytes[..whole]));
        let again = tail.answer(whole as i64, &Bytes::copy_from_slice(garbage), None);
        assert!(matches!(again, Verdict::Damaged { at, .. } if at == whole as u64), "{again:?}");
        assert_eq!(tail.wanted(), whole as u64, "asked for again, in case it is repaired");
    }
}

/// E8: the payload size is known, so an unknown type can be passed over.
#[test]
fn e8_an_unknown_action_type_is_kept_and_passed_over() {
    let mut bytes = pull(1);
    if let Some(kind) = bytes.get_mut(5) {
        *kind = 9;
    }
    bytes.extend_from_slice(&pull(2));
    let mut tail = ActionTail::new(0);
    assert_eq!(tail.answer(0, &Bytes::from(bytes.clone()), None), accept(bytes.len(), &bytes));
}

/// E10: retention overtook the reader.
#[test]
fn e10_a_later_start_is_a_gap() {
    let mut tail = ActionTail::new(100);
    let verdict = tail.answer(5000, &Bytes::from(pull(1)), None);
    assert_eq!(verdict, Verdict::Gap { to: 5000 });
    assert_eq!(tail.wanted(), 5000);
}

/// E11: an earlier start, or a broker that ends before the own position.
#[test]
fn e11_an_earlier_start_or_end_is_a_reset() {
    let mut tail = ActionTail::new(100);
    assert_eq!(tail.answer(40, &Bytes::from(pull(1)), None), Verdict::Reset { broker_end: 40 });
    assert_eq!(tail.answer(100, &Bytes::new(), Some(60)), Verdict::Reset { broker_end: 60 });
    assert_eq!(tail.answer(100, &Bytes::new(), Some(100)), Verdict::Idle);
    assert_eq!(tail.position(), 100, "nothing was appended");
}

/// E25: a slave that began in the middle of a segment delivers zeros before its first record.
#[test]
fn e25_zeros_at_the_start_of_a_segment_are_passed_over() {
    let mut tail = ActionTail::new(SEGMENT);
    let zeros = Bytes::from(vec![0; 1000]);
    assert_eq!(tail.answer(SEGMENT as i64, &zeros, None), accept(SEGMENT as usize + 1000, &[]));
    let mut bytes = vec![0; 10];
    bytes.extend_from_slice(&pull(1));
    let first = tail.answer(SEGMENT as i64 + 1000, &Bytes::from(bytes), None);
    assert_eq!(first, accept(SEGMENT as usize + 1010, &[]));
    let at = tail.wanted();
    let second = tail.answer(at as i64, &Bytes::new(), None);
    assert_eq!(second, accept(SEGMENT as usize + 1010 + pull(1).len(), &pull(1)), "nothing more has to come");
    assert_eq!(tail.answer(at as i64, &Bytes::new(), None), Verdict::Idle);
}
