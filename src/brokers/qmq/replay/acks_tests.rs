//! Tests of the ack state: by cases, against a naive model, and through storage.

use std::collections::HashMap;

use proptest::prelude::*;

use super::{AckLimits, AckState, Covered};

const LIMITS: AckLimits = AckLimits { max_ranges: 1000, settled_per_consumer: 4 };

fn pull(state: &mut AckState, range: (i64, i64), message: i64) {
    state.pull(b"s", b"g", b"c", false, range, message, 1);
}

fn ack(state: &mut AckState, range: (i64, i64)) -> Vec<Covered> {
    let mut covered = Vec::new();
    state.ack(b"s", b"g", b"c", range, |part| covered.push(part));
    covered
}

fn messages(first: i64, last: i64) -> Covered {
    Covered::Messages { first, last }
}

fn unknown(first: i64, last: i64) -> Covered {
    Covered::Unknown { first, last }
}

#[test]
fn an_ack_is_resolved_through_the_pulls_it_spans() {
    let mut state = AckState::new(LIMITS);
    pull(&mut state, (0, 1), 10);
    pull(&mut state, (2, 4), 20);
    assert_eq!(ack(&mut state, (1, 3)), [messages(11, 11), messages(20, 21)]);
}

#[test]
fn a_wide_ack_costs_what_it_covers() {
    let mut state = AckState::new(LIMITS);
    pull(&mut state, (3685, 3687), 3685);
    let wide = ack(&mut state, (0, i64::MAX));
    assert_eq!(wide, [unknown(0, 3684), messages(3685, 3687), unknown(3688, i64::MAX)]);
}

#[test]
fn a_pull_of_length_zero_binds_nothing() {
    let mut state = AckState::new(LIMITS);
    pull(&mut state, (2, 1), 3);
    assert_eq!(state.ranges(), 0);
    assert_eq!(ack(&mut state, (2, 2)), [unknown(2, 2)]);
}

#[test]
fn after_forever_offline_the_numbers_mean_other_messages() {
    let mut state = AckState::new(LIMITS);
    pull(&mut state, (0, 5), 100);
    state.forever_offline(b"s", b"g", b"c");
    assert_eq!(ack(&mut state, (0, 0)), [unknown(0, 0)]);
    pull(&mut state, (0, 1), 500);
    assert_eq!(ack(&mut state, (0, 5)), [messages(500, 501), unknown(2, 5)]);
}

#[test]
fn a_restart_without_notice_forgets_the_earlier_life() {
    let mut state = AckState::new(LIMITS);
    pull(&mut state, (0, 9), 100);
    pull(&mut state, (4, 5), 300);
    assert_eq!(ack(&mut state, (0, 9)), [messages(100, 103), messages(300, 301), unknown(6, 9)]);
}

#[test]
fn broadcast_ranges_are_united() {
    let mut state = AckState::new(LIMITS);
    for range in [(10, 12), (14, 15), (13, 13), (11, 20)] {
        state.pull(b"s", b"g", b"c", true, range, range.0, 1);
    }
    assert_eq!(state.ranges(), 1);
    assert_eq!(ack(&mut state, (0, 30)), [unknown(0, 9), messages(10, 20), unknown(21, 30)]);
}

#[test]
fn consumers_do_not_share_numbers() {
    let mut state = AckState::new(LIMITS);
    state.pull(b"s", b"gc", b"", false, (0, 0), 7, 1);
    assert_eq!(ack(&mut state, (0, 0)), [unknown(0, 0)]);
}

#[test]
fn late_acks_are_resolved_after_newer_ones() {
    let mut state = AckState::new(LIMITS);
    for pull_number in 0..50 {
        // gaps between the messages keep the ranges apart
        pull(&mut state, (pull_number, pull_number), pull_number * 10);
    }
    for pull_number in 1..50 {
        ack(&mut state, (pull_number, pull_number));
    }
    assert_eq!(ack(&mut state, (0, 0)), [messages(0, 0)]);
}

/// The second pull continues the first, which was acked more often than it has deliveries.
#[test]
fn acks_said_twice_do_not_settle_later_pulls() {
    let mut state = AckState::new(AckLimits { max_ranges: 100, settled_per_consumer: 10 });
    pull(&mut state, (0, 1), 0);
    for _ in 0..3 {
        ack(&mut state, (0, 1));
    }
    for next in 2..6 {
        pull(&mut state, (next, next), next);
    }
    assert_eq!(ack(&mut state, (2, 5)), [messages(2, 5)]);
}

#[test]
fn ack_state_bounded() {
    let mut state = AckState::new(AckLimits { max_ranges: 100, settled_per_consumer: 4 });
    for number in 0..1000 {
        state.pull(b"s", b"g", b"c", false, (number, number), number * 10, number);
        assert!(state.ranges() <= 100);
    }
    assert_eq!(state.forgotten + state.ranges() as u64, 1000);
    assert_eq!(ack(&mut state, (999, 999)), [messages(9990, 9990)], "the newest are kept");
    assert_eq!(ack(&mut state, (0, 0)), [unknown(0, 0)]);
}

#[derive(Debug, Clone)]
enum Event {
    Pull { consumer: u8, length: i64, gap: i64 },
    Ack { consumer: u8, first: i64, length: i64 },
    Offline { consumer: u8 },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (0..3_u8, 0..6_i64, 0..3_i64)
            .prop_map(|(consumer, length, gap)| Event::Pull { consumer, length, gap }),
        4 => (0..3_u8, 0..40_i64, 1..8_i64)
            .prop_map(|(consumer, first, length)| Event::Ack { consumer, first, length }),
        1 => (0..3_u8).prop_map(|consumer| Event::Offline { consumer }),
    ];
    proptest::collection::vec(event, 0..60)
}

proptest! {
    /// A model with one entry a pull sequence, as the original server keeps them, resolves every ack as the state does,
    /// which is stored and read back at a random point.
    #[test]
    fn as_a_map_of_every_pull_sequence(events in events(), stored_at in 0..60_usize) {
        // nothing is forgotten, so model and state know the same
        let limits = AckLimits { max_ranges: 10_000, settled_per_consumer: 10_000 };
        let mut state = AckState::new(limits);
        let mut model: HashMap<(u8, i64), i64> = HashMap::new();
        let mut next: HashMap<u8, (i64, i64)> = HashMap::new();
        for (i, event) in events.into_iter().enumerate() {
            if i == stored_at {
                let bytes = state.to_bytes().unwrap();
                let restored = AckState::from_bytes(bytes, limits).unwrap();
                prop_assert_eq!(&restored, &state);
                state = restored;
            }
            match event {
                Event::Pull { consumer, length, gap } => {
                    let (first, message) = next.get(&consumer).copied().unwrap_or((0, 0));
                    let message = message + gap;
                    for i in 0..length {
                        model.insert((consumer, first + i), message + i);
                    }
                    next.insert(consumer, (first + length, message + length));
                    state.pull(b"s", b"g", &[consumer], false, (first, first + length - 1), message, 1);
                }
                Event::Ack { consumer, first, length } => {
                    let mut got = Vec::new();
                    state.ack(b"s", b"g", &[consumer], (first, first + length - 1), |part| match part {
                        Covered::Messages { first, last } => got.extend((first..=last).map(Some)),
                        Covered::Unknown { first, last } => got.extend((first..=last).map(|_| None)),
                    });
                    let wanted: Vec<Option<i64>> =
                        (first..first + length).map(|p| model.get(&(consumer, p)).copied()).collect();
                    prop_assert_eq!(got, wanted);
                }
                Event::Offline { consumer } => {
                    state.forever_offline(b"s", b"g", &[consumer]);
                    model.retain(|(owner, _), _| *owner != consumer);
                    next.remove(&consumer);
                }
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_ack_state_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = AckState::from_bytes(bytes.into(), LIMITS);
    }
}
