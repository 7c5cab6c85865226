use super::*;

const BATCH: i64 = 1000;

fn records(list: &[(i64, &str)]) -> Vec<u8> {
    let mut data = Vec::new();
    for (sequence, subject) in list {
        index_log::encode(&mut data, *sequence, 1_700_000_000_000, subject.as_bytes(), b"id");
    }
    data
}

fn known() -> Runs {
    let mut runs = Runs::new(100);
    runs.note(b"order", 4);
    runs.note(b"%RETRY%order%g", 0);
    runs.note(b"%DEAD_RETRY%order%g", 0);
    runs
}

fn verdict(position: u64, next: i64, data: &[u8], end: Option<u64>) -> Verdict {
    judge(position, next, data, end, &mut known(), ContentPolicy::Dead)
}

#[test]
fn an_echo_is_no_news() {
    assert_eq!(verdict(500, 500, &[], None), Verdict::Idle);
    assert_eq!(verdict(500, 500, &[], Some(500)), Verdict::Idle);
}

#[test]
fn records_that_continue_their_runs_are_accepted() {
    let data = records(&[(5, "order"), (6, "order"), (1, "%RETRY%order%g")]);
    assert_eq!(verdict(0, BATCH, &data, None), Verdict::Accept { to: 1000 });
}

/// 7.3: sequence 1 of the retry queue under the real subject.
#[test]
fn a_retry_written_by_the_broker_is_looked_up() {
    assert_eq!(
        verdict(0, BATCH, &records(&[(5, "order"), (1, "order")]), None),
        Verdict::Consult { to: 1000 }
    );
}

#[test]
fn a_retry_whose_sequence_happens_to_continue_the_real_run_is_looked_up() {
    let mut runs = known();
    runs.note(b"%RETRY%order%g", 4);
    let verdict = judge(0, BATCH, &records(&[(5, "order")]), None, &mut runs, ContentPolicy::None);
    assert_eq!(verdict, Verdict::Consult { to: 1000 });
}

#[test]
fn content_is_fetched_as_the_policy_says() {
    let dead = records(&[(1, "%DEAD_RETRY%order%g")]);
    let real = records(&[(5, "order")]);
    let (accept, fetch) = (Verdict::Accept { to: 1000 }, Verdict::Fetch { to: 1000 });
    for (policy, data, wanted) in [
        (ContentPolicy::None, &dead, accept),
        (ContentPolicy::Dead, &dead, fetch),
        (ContentPolicy::Dead, &real, accept),
        (ContentPolicy::All, &real, Verdict::Consult { to: 1000 }),
    ] {
        assert_eq!(judge(0, BATCH, data, None, &mut known(), policy), wanted, "{policy:?}");
    }
}

/// E5: a slave had written up to the last 12 bytes of a segment when it was asked.
#[test]
fn e5_a_stream_that_hangs_at_a_segment_end_goes_on_at_the_next() {
    let position = SEGMENT - 7;
    assert_eq!(verdict(position, position as i64, &[], Some(position)), Verdict::Idle, "not complete yet");
    assert_eq!(verdict(position, position as i64, &[], Some(SEGMENT)), Verdict::NextSegment { to: SEGMENT });
    let further = SEGMENT - 13;
    assert_eq!(
        verdict(further, further as i64, &[], Some(2 * SEGMENT)),
        Verdict::Idle,
        "a record can come yet"
    );
}

/// E6: behind an invalid magic the broker silently jumps to the end of what is written.
#[test]
fn e6_a_jump_is_looked_at() {
    assert_eq!(verdict(7, 500, &[], None), Verdict::Consult { to: 500 });
    assert_eq!(verdict(7, SEGMENT as i64, &[], None), Verdict::Consult { to: SEGMENT });
    let data = records(&[(5, "order"), (6, "order")]);
    assert_eq!(verdict(7, 600 << 10, &data, None), Verdict::Accept { to: 600 << 10 }, "large messages");
    assert_eq!(verdict(7, 9 << 20, &data, None), Verdict::Consult { to: 9 << 20 });
}

/// E25: a slave began in the middle of a segment; the index stream passes over all of it.
#[test]
fn e25_a_segment_passed_over_from_its_base_is_looked_at() {
    assert_eq!(verdict(SEGMENT, SEGMENT as i64 + 500, &[], None), Verdict::Consult { to: SEGMENT + 500 });
    assert_eq!(verdict(SEGMENT, 2 * SEGMENT as i64, &[], None), Verdict::Consult { to: 2 * SEGMENT });
}

/// E11: the broker's log was recreated or cut.
#[test]
fn e11_a_broker_whose_log_is_shorter_was_reset() {
    assert_eq!(verdict(900, 900, &[], Some(400)), Verdict::Reset { broker_end: 400 });
    assert_eq!(verdict(900, 400, &[], None), Verdict::Reset { broker_end: 400 });
}

/// E26: an operator lowered the batch size; the rest of the answer is lost although the offset moves on.
#[test]
fn e26_a_truncated_last_record_sends_to_the_message_log() {
    let mut data = records(&[(5, "order"), (6, "order")]);
    data.truncate(data.len() - 3);
    assert_eq!(verdict(0, BATCH, &data, None), Verdict::Consult { to: 1000 });
}

/// E19: a gap in the sequences of a subject can hide a retry; the message log shows whether it does.
#[test]
fn e19_a_gap_in_a_run_is_looked_at_once() {
    let mut runs = known();
    let gap = records(&[(9, "order")]);
    assert_eq!(judge(0, 10, &gap, None, &mut runs, ContentPolicy::None), Verdict::Consult { to: 10 });
    runs.note(b"order", 9);
    let after = records(&[(10, "order")]);
    assert_eq!(judge(10, 20, &after, None, &mut runs, ContentPolicy::None), Verdict::Accept { to: 20 });
}
