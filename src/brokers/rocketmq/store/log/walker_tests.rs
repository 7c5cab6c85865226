//! Tests of walks: whole logs, ends, damage, remains of older records, and logs that change between walks.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;

use crate::brokers::rocketmq::format::RecordError;
use crate::brokers::rocketmq::store::log::commit_log::CommitLog;
use crate::brokers::rocketmq::store::log::error::Error;
use crate::brokers::rocketmq::store::log::item::{Damage, DamageReason, EndReason, Event, Item};
use crate::brokers::rocketmq::store::log::made_log::{FILE_BYTES, MadeLog, Seen, events, records, walk};
use crate::brokers::rocketmq::store::log::walk_options::WalkOptions;

const START: u64 = 5000;
const FILE: u64 = FILE_BYTES as u64;
/// Bytes of a record of a made log.
const SIZE: u64 = 191;
const MIB: usize = 1 << 20;

fn end(at: u64, reason: EndReason) -> Event {
    Event::End { at, reason }
}

fn is_torn_at(event: &Event, offset: u64) -> bool {
    matches!(event, Event::End { at, reason: EndReason::Torn(_) } if *at == offset)
}

fn damage(log: &MadeLog, start: u64, offset: u64, reason: DamageReason, skipped_to: u64) -> Event {
    Event::Damage(Damage { file: log.path(start), offset, reason, skipped_to })
}

#[test]
fn a_log_of_several_files() {
    let log = MadeLog::with_records(START, 12);
    let seen = log.save().walk();
    assert_eq!(records(&seen), log.offsets);
    assert_eq!(log.offsets[5], START + FILE);
    assert_eq!(
        seen[5],
        Seen::Event(Event::EndOfFile { start: START, next: START + FILE, wrong_marker: None })
    );
    assert_eq!(seen.len(), 12 + 2 + 1);
    assert_eq!(events(seen), [end(START + 2 * FILE + 2 * SIZE, EndReason::Zeros)]);
    let opened = CommitLog::open(&[log.folder().to_owned()]).unwrap();
    assert_eq!((opened.start_of_log(), opened.end_of_files()), (Some(START), Some(START + 3 * FILE)));
    assert_eq!(
        opened.first_store_timestamp().unwrap(),
        Some(crate::brokers::rocketmq::store::log::made_log::STORED)
    );
}

#[test]
fn a_walk_can_start_at_every_record_and_at_the_end() {
    let log = MadeLog::with_records(START, 12);
    log.save();
    for (index, offset) in log.offsets.iter().enumerate() {
        assert_eq!(records(&log.walk_from(*offset).unwrap()), log.offsets[index..]);
    }
    let at = START + 2 * FILE + 2 * SIZE;
    assert_eq!(events(log.walk_from(at).unwrap()), [end(at, EndReason::Zeros)]);
    // at the marker of a file, and at the end of it
    assert_eq!(records(&log.walk_from(START + 5 * SIZE).unwrap()), log.offsets[5..]);
    assert_eq!(records(&log.walk_from(START + FILE).unwrap()), log.offsets[5..]);
}

#[test]
fn an_empty_folder_is_an_empty_log() {
    let log = MadeLog::new(0, FILE_BYTES);
    assert_eq!(log.walk(), [Seen::Event(end(0, EndReason::EndOfFiles))]);
    let walk = log.walk_from(77).unwrap();
    assert_eq!(walk, [Seen::Event(end(77, EndReason::EndOfFiles))]);
    log.save();
    assert_eq!(log.walk(), [Seen::Event(end(0, EndReason::Zeros))]);
}

#[test]
fn the_log_ends_with_its_last_file_until_there_is_another() {
    let mut log = MadeLog::with_records(0, 6);
    log.save();
    std::fs::remove_file(log.path(FILE)).unwrap();
    assert_eq!(events(log.walk()), [end(FILE, EndReason::EndOfFiles)]);
    assert_eq!(events(log.walk_from(FILE).unwrap()), [end(FILE, EndReason::EndOfFiles)]);
    log.push_all(1);
    log.save();
    assert_eq!(records(&log.walk_from(FILE).unwrap()), log.offsets[5..]);
}

#[test]
fn a_rest_too_small_for_a_marker_ends_the_file() {
    for rest in 0..8 {
        let mut log = MadeLog::new(0, 2 * SIZE as usize + 8);
        log.push_all(3);
        log.file(0).truncate(2 * SIZE as usize);
        log.file(0).resize(2 * SIZE as usize + rest, 7);
        let second = log.files.remove(&log.offsets[2]).unwrap();
        let size = 2 * SIZE as usize + rest;
        log.file_bytes = size;
        log.save();
        let seen = log.walk();
        assert_eq!(records(&seen), log.offsets[..2]);
        assert_eq!(events(seen), [end(2 * SIZE, EndReason::EndOfFiles)]);
        drop(second);
    }
}

#[test]
fn zero_files_behind_the_end_belong_to_it() {
    let log = MadeLog::with_records(0, 7);
    log.save();
    for start in [2 * FILE, 3 * FILE] {
        std::fs::write(log.path(start), vec![0; FILE_BYTES]).unwrap();
    }
    let seen = log.walk();
    assert_eq!(records(&seen), log.offsets);
    assert_eq!(events(seen), [end(FILE + 2 * SIZE, EndReason::Zeros)]);
    // also when they take no space on disk, or have no bytes at all
    std::fs::File::create(log.path(3 * FILE)).unwrap().set_len(FILE).unwrap();
    std::fs::write(log.path(4 * FILE), b"").unwrap();
    assert_eq!(events(log.walk()), [end(FILE + 2 * SIZE, EndReason::Zeros)]);
}

#[test]
fn zeros_in_the_middle_are_damage() {
    let mut log = MadeLog::with_records(0, 12);
    let gap = SIZE as usize..3 * SIZE as usize;
    log.file(0)[gap].fill(0);
    log.file(FILE).truncate(3 * SIZE as usize);
    let seen = log.save().walk();
    let expected: Vec<_> =
        [0].into_iter().chain(3..8).chain(10..12).map(|at: usize| log.offsets[at]).collect();
    assert_eq!(records(&seen), expected);
    assert_eq!(
        events(seen),
        [
            damage(&log, 0, SIZE, DamageReason::Zeros, 3 * SIZE),
            damage(&log, FILE, FILE + 3 * SIZE, DamageReason::Zeros, 2 * FILE),
            end(2 * FILE + 2 * SIZE, EndReason::Zeros),
        ]
    );
    // zeros before the end that is known to be
    let mut log = MadeLog::with_records(0, 4);
    log.file(0)[SIZE as usize..2 * SIZE as usize].fill(0);
    log.save();
    assert_eq!(events(log.walk()), [end(SIZE, EndReason::Zeros)]);
    let options = WalkOptions { confirmed_end: Some(4 * SIZE), ..WalkOptions::default() };
    let seen = log.walk_with(options).unwrap();
    assert_eq!(records(&seen), [0, 2 * SIZE, 3 * SIZE]);
    assert_eq!(
        events(seen),
        [damage(&log, 0, SIZE, DamageReason::Zeros, 2 * SIZE), end(4 * SIZE, EndReason::Zeros)]
    );
}

#[test]
fn a_marker_with_a_wrong_size_is_a_warning() {
    for wrong in [0_i32, 1, -1, i32::MAX] {
        let mut log = MadeLog::with_records(0, 7);
        let marker = 5 * SIZE as usize;
        log.file(0)[marker..marker + 4].copy_from_slice(&wrong.to_be_bytes());
        let seen = log.save().walk();
        assert_eq!(records(&seen), log.offsets);
        let warning = Event::EndOfFile { start: 0, next: FILE, wrong_marker: Some(wrong) };
        assert_eq!(events(seen), [warning.clone(), end(FILE + 2 * SIZE, EndReason::Zeros)]);
        // at the end of the log the rest of the file is read again
        std::fs::remove_file(log.path(FILE)).unwrap();
        assert_eq!(events(log.walk()), [warning, end(5 * SIZE, EndReason::EndOfFiles)]);
    }
}

#[test]
fn the_last_record_can_be_torn_at_any_byte() {
    for cut in 1..SIZE as usize {
        let mut log = MadeLog::with_records(0, 3);
        let at = 2 * SIZE as usize;
        log.file(0).truncate(at + cut);
        // the file has its full size: zeros follow. The topic, the last that is not zero, has no checksum
        let events_of_zeros = events(log.save().walk());
        if cut < 4 {
            assert_eq!(events_of_zeros, [end(2 * SIZE, EndReason::Zeros)], "{cut}");
        } else if cut < SIZE as usize - 3 {
            assert!(is_torn_at(&events_of_zeros[0], 2 * SIZE), "{cut}");
        }
        // the file ends there
        std::fs::write(log.path(0), &log.files[&0]).unwrap();
        let seen = log.walk();
        assert_eq!(records(&seen), log.offsets[..2]);
        let found = events(seen);
        match cut {
            1..8 => assert_eq!(found, [end(2 * SIZE, EndReason::EndOfFiles)]),
            _ => assert!(is_torn_at(&found[0], 2 * SIZE), "{cut}"),
        }
        assert_eq!(found.len(), 1);
    }
}

#[test]
fn a_torn_record_with_zeros_in_its_middle() {
    let mut log = MadeLog::with_records(0, 3);
    log.file(0)[2 * SIZE as usize + 120..2 * SIZE as usize + 150].fill(0);
    let found = events(log.save().walk());
    assert!(matches!(
        found[..],
        [Event::End { at: 382, reason: EndReason::Torn(RecordError::BodyCrc { .. }) }]
    ));
}

#[test]
fn damage_in_the_middle_costs_one_record() {
    for (start, which) in [(0, 1), (0, 0), (0, 4), (FILE, 6), (2 * FILE, 10)] {
        for byte in 0..SIZE - 2 {
            let mut log = MadeLog::with_records(0, 12);
            let offset = log.offsets[which];
            let at = (offset - start + byte) as usize;
            log.file(start)[at] ^= 0x55;
            // otherwise a time far in the future would make remains of everything behind it
            let confirmed_end = Some(2 * FILE + 2 * SIZE);
            let seen = log.save().walk_with(WalkOptions { confirmed_end, ..WalkOptions::default() }).unwrap();
            // some fields have no checksum and no bearing on the lengths
            if records(&seen) == log.offsets {
                assert!(
                    (12..28).contains(&byte) || (36..88).contains(&byte) || (187..191).contains(&byte),
                    "{byte}"
                );
                continue;
            }
            let expected: Vec<_> = log.offsets.iter().copied().filter(|other| *other != offset).collect();
            assert_eq!(records(&seen), expected, "{start} {which} {byte}");
            let found = events(seen);
            assert_eq!(found.len(), 2);
            let next = if which == 4 { FILE } else { offset + SIZE };
            assert!(
                matches!(&found[0], Event::Damage(damage)
                    if damage.offset == offset && damage.skipped_to == next && damage.file == log.path(start)),
                "{found:?}"
            );
        }
    }
}

#[test]
fn a_record_that_belongs_elsewhere_is_damage() {
    let mut log = MadeLog::with_records(0, 6);
    let first = log.files[&0][..SIZE as usize].to_vec();
    log.file(0)[SIZE as usize..2 * SIZE as usize].copy_from_slice(&first);
    let found = events(log.save().walk());
    let wrong = RecordError::WrongPosition { stated: 0, expected: SIZE };
    assert_eq!(found[0], damage(&log, 0, SIZE, wrong.into(), 2 * SIZE));
    // a file of another log
    let other = MadeLog::with_records(70_000, 5);
    let bytes = other.files[&70_000].clone();
    *log.file(0) = bytes;
    let found = events(log.save().walk());
    let wrong = RecordError::WrongPosition { stated: 70_000, expected: 0 };
    assert_eq!(found[0], damage(&log, 0, 0, wrong.into(), FILE));
}

/// A log of which the broker cut off all but two records in a recovery, and then wrote `new` records.
fn recovered(new: usize, new_body: usize, pause_ms: i64) -> MadeLog {
    let mut log = MadeLog::with_records(0, 5);
    let old = log.files[&0].clone();
    log.file(0).truncate(2 * SIZE as usize);
    log.offsets.truncate(2);
    log.stored += pause_ms;
    for _ in 0..new {
        log.push(new_body);
    }
    let written = log.files[&0].len();
    log.file(0).extend_from_slice(&old[written..]);
    log
}

#[test]
fn remains_of_older_records_end_the_log() {
    // the new record has the size of the old one, so that a whole old record follows at once
    let log = recovered(1, 99, 20_000);
    let seen = log.save().walk();
    assert_eq!(records(&seen), log.offsets);
    assert_eq!(events(seen), [end(3 * SIZE, EndReason::Stale)]);
    // it is smaller, so that the middle of an old one follows first
    let log = recovered(1, 50, 20_000);
    let seen = log.save().walk();
    assert_eq!(records(&seen), log.offsets);
    assert_eq!(events(seen), [end(2 * SIZE + 142, EndReason::Stale)]);
    // a walk that starts there knows by the time of the record before
    let from = 3 * SIZE;
    let log = recovered(1, 99, 20_000);
    log.save();
    let last_stored = Some(log.stored - 1000);
    let options = WalkOptions { from: Some(from), last_stored, ..WalkOptions::default() };
    assert_eq!(log.walk_with(options).unwrap(), [Seen::Event(end(from, EndReason::Stale))]);
}

#[test]
fn a_clock_that_was_set_back_does_not_end_the_log() {
    // newer records follow
    let mut log = MadeLog::with_records(0, 2);
    log.stored -= 60_000;
    log.push_all(1);
    log.stored += 120_000;
    log.push_all(2);
    assert_eq!(records(&log.save().walk()), log.offsets);
    // none do, but the log is known to reach further
    let mut log = MadeLog::with_records(0, 2);
    log.stored -= 60_000;
    log.push_all(2);
    log.save();
    assert_eq!(events(log.walk()), [end(2 * SIZE, EndReason::Stale)]);
    let options = WalkOptions { confirmed_end: Some(4 * SIZE), ..WalkOptions::default() };
    assert_eq!(records(&log.walk_with(options).unwrap()), log.offsets);
    // none do in this file, but it is not the last
    log.push_all(2);
    assert_eq!(records(&log.save().walk()), log.offsets);
    // it was set back by little
    let mut log = MadeLog::with_records(0, 2);
    log.stored -= 10_000;
    log.push_all(2);
    assert_eq!(records(&log.save().walk()), log.offsets);
}

#[test]
fn missing_files_are_reported() {
    let log = MadeLog::with_records(START, 17);
    log.save();
    std::fs::remove_file(log.path(START + FILE)).unwrap();
    std::fs::remove_file(log.path(START + 2 * FILE)).unwrap();
    let seen = log.walk();
    let expected: Vec<_> = (0..5).chain(15..17).map(|at: usize| log.offsets[at]).collect();
    assert_eq!(records(&seen), expected);
    let to = START + 3 * FILE;
    let last = end(to + 2 * SIZE, EndReason::Zeros);
    assert_eq!(events(seen), [Event::MissingFiles { from: START + FILE, to }, last.clone()]);
    let from = log.offsets[7];
    assert_eq!(events(log.walk_from(from).unwrap()), [Event::MissingFiles { from, to }, last]);
}

#[test]
fn a_start_before_the_log_is_reported_as_lost() {
    let log = MadeLog::with_records(START, 12);
    log.save();
    std::fs::remove_file(log.path(START)).unwrap();
    let seen = log.walk_from(log.offsets[1]).unwrap();
    assert_eq!(records(&seen), log.offsets[5..]);
    assert_eq!(events(seen)[0], Event::Lost { from: log.offsets[1], to: START + FILE });
    assert_eq!(records(&log.walk()), log.offsets[5..]);
}

#[test]
fn a_cut_file_is_read_as_far_as_it_goes() {
    let mut log = MadeLog::with_records(0, 12);
    log.save();
    let cut = |log: &MadeLog, start: u64, bytes: u64| {
        std::fs::write(log.path(start), &log.files[&start][..bytes as usize]).unwrap();
    };
    cut(&log, 0, 3 * SIZE);
    cut(&log, FILE, 3 * SIZE + 20);
    let seen = log.walk();
    let expected: Vec<_> = (0..3).chain(5..8).chain(10..12).map(|at: usize| log.offsets[at]).collect();
    assert_eq!(records(&seen), expected);
    let short = RecordError::Short { needs: 21, left: 20 };
    let found = events(seen);
    assert_eq!(found[0], damage(&log, 0, 3 * SIZE, DamageReason::Cut, FILE));
    assert!(
        matches!(&found[1], Event::Damage(damage)
        if damage.offset == FILE + 3 * SIZE && matches!(damage.reason, DamageReason::Record(RecordError::Short { .. }))),
        "{short:?} {found:?}"
    );
    // the last one, behind a record
    log.save();
    cut(&log, 2 * FILE, 2 * SIZE);
    let at = 2 * FILE + 2 * SIZE;
    assert_eq!(events(log.walk()), [end(at, EndReason::Cut)]);
    assert_eq!(events(log.walk_from(at).unwrap()), [end(at, EndReason::Cut)]);
    assert!(matches!(log.walk_from(at + 1), Err(Error::BeyondEnd { end, .. }) if end == at));
    // an empty one in the middle
    log.push_all(1);
    log.save();
    cut(&log, FILE, 0);
    assert_eq!(events(log.walk())[0], damage(&log, FILE, FILE, DamageReason::Cut, 2 * FILE));
    // the start lies in the part that is missing
    let from = log.offsets[6];
    assert_eq!(
        events(log.walk_from(from).unwrap())[0],
        damage(&log, FILE, from, DamageReason::Cut, 2 * FILE)
    );
}

#[test]
fn a_log_that_was_rewritten_is_refused() {
    let log = MadeLog::with_records(START, 12);
    log.save();
    for from in [log.offsets[1] + 1, log.offsets[1] - 1, log.offsets[6] + 8, log.offsets[10] + 4] {
        let file = START + (from - START) / FILE * FILE;
        assert!(
            matches!(log.walk_from(from), Err(Error::Rewritten { offset, file_start, .. })
                if offset == from && file_start == file),
            "{from}"
        );
        assert!(log.walk_from(file).is_ok());
    }
    let beyond = START + 3 * FILE + 1;
    assert!(matches!(log.walk_from(beyond), Err(Error::BeyondEnd { offset, .. }) if offset == beyond));
}

#[test]
fn damage_at_the_start_of_a_file_does_not_refuse_it() {
    let mut log = MadeLog::with_records(0, 7);
    log.file(FILE)[0] ^= 1;
    assert_eq!(records(&log.save().walk_from(FILE).unwrap()), log.offsets[6..]);
}

#[test]
fn a_log_can_grow_between_two_walks() {
    let mut log = MadeLog::new(0, FILE_BYTES);
    let (mut from, mut seen) = (0, Vec::new());
    for _ in 0..40 {
        log.push_all(1);
        let found = log.save().walk_from(from).unwrap();
        seen.extend(records(&found));
        let Some(Event::End { at, reason: EndReason::Zeros }) = events(found).pop() else { panic!() };
        from = at;
    }
    assert_eq!(seen, log.offsets);
}

#[test]
fn a_record_that_is_written_while_it_is_read_is_taken_when_it_is_whole() {
    let mut log = MadeLog::with_records(0, 2);
    let whole = log.files[&0].clone();
    let half = SIZE as usize + 100;
    log.file(0)[half..].fill(0);
    log.save();
    let mut walker =
        CommitLog::open(&[log.folder().to_owned()]).unwrap().walk(WalkOptions::default()).unwrap();
    assert!(matches!(walker.next(), Ok(Some(Item::Record { position: 0, .. }))));
    // the first half is in the memory of the walker by now
    log.file(0).copy_from_slice(&whole);
    log.push_all(5);
    log.save();
    let mut found = Vec::new();
    while let Some(item) = walker.next().unwrap() {
        if let Item::Record { position, .. } = item {
            found.push(position);
        } else {
            assert!(!matches!(item, Item::Event(Event::Damage(_))));
        }
    }
    // the second file was not there when the log was opened
    assert_eq!(found, log.offsets[1..5]);
}

#[test]
fn files_that_the_broker_deletes_meanwhile_are_missing() {
    let log = MadeLog::with_records(0, 12);
    log.save();
    let opened = CommitLog::open(&[log.folder().to_owned()]).unwrap();
    std::fs::remove_file(log.path(0)).unwrap();
    std::fs::remove_file(log.path(FILE)).unwrap();
    let mut walker = opened.walk(WalkOptions::default()).unwrap();
    let first = walker.next().unwrap();
    assert_eq!(first, Some(Item::Event(Event::MissingFiles { from: 0, to: 2 * FILE })));
    assert!(matches!(walker.next(), Ok(Some(Item::Record { .. }))));
}

#[test]
fn files_can_be_spread_over_folders() {
    let log = MadeLog::with_records(0, 17);
    log.save();
    let other = tempfile::tempdir().unwrap();
    for start in [FILE, 3 * FILE] {
        std::fs::rename(log.path(start), other.path().join(format!("{start:020}"))).unwrap();
    }
    let folders = [log.folder().to_owned(), other.path().to_owned(), log.folder().join(".")];
    assert_eq!(records(&walk(&folders, WalkOptions::default()).unwrap()), log.offsets);
}

#[test]
fn records_larger_than_what_is_read_at_a_time() {
    let mut log = MadeLog::new(0, 16 * MIB);
    for body in [10, 3 * MIB, MIB - 92, 7, 5 * MIB, 100, 9 * MIB, 1] {
        log.push(body);
    }
    assert_eq!(records(&log.save().walk()), log.offsets);
    // damage in a large one, and a magic across the end of what is in memory
    let (offset, next) = (log.offsets[1], log.offsets[2]);
    log.file(0)[offset as usize + 2 * MIB] ^= 1;
    let found = events(log.save().walk());
    assert!(
        matches!(&found[0], Event::Damage(damage) if damage.offset == offset && damage.skipped_to == next)
    );
}

#[test]
fn a_search_finds_a_magic_wherever_it_stands() {
    for body in MIB - 110..MIB - 85 {
        let mut log = MadeLog::new(0, 2 * MIB);
        let first = log.push(body);
        log.push(20);
        // no magic: the whole body is searched
        log.file(0)[first as usize + 4] = 0;
        let seen = log.save().walk();
        assert_eq!(records(&seen), log.offsets[1..]);
    }
}

#[test]
fn a_search_ends_in_the_zeros_behind_the_log() {
    let mut log = MadeLog::new(0, 40 * MIB);
    log.push_all(2);
    log.push(100);
    let torn = log.files[&0].len() - 50;
    log.file(0).truncate(torn);
    // what stands behind so many zeros is none of the log
    let mut other = MadeLog::new(30 * MIB as u64, 40 * MIB);
    other.push(10);
    log.file(0).resize(30 * MIB, 0);
    let far = other.files[&(30 * MIB as u64)].clone();
    log.file(0).extend_from_slice(&far);
    let found = events(log.save().walk());
    assert!(is_torn_at(&found[0], log.offsets[2]), "{found:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_logs_never_panic_and_sound_records_stay_in_order(
        bodies in proptest::collection::vec(0..700_usize, 1..20),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut: Option<prop::sample::Index>,
        from: Option<prop::sample::Index>,
    ) {
        let mut log = MadeLog::new(0, FILE_BYTES);
        for body in bodies {
            log.push(body);
        }
        let end = log.files.len() * FILE_BYTES;
        for (at, value) in changes {
            let at = at.index(end);
            let file = log.file((at / FILE_BYTES * FILE_BYTES) as u64);
            if let Some(byte) = file.get_mut(at % FILE_BYTES) {
                *byte = value;
            }
        }
        log.save();
        if let Some(cut) = cut {
            let at = cut.index(end);
            let path = log.path((at / FILE_BYTES * FILE_BYTES) as u64);
            let bytes = std::fs::read(&path).unwrap();
            std::fs::write(&path, &bytes[..at % FILE_BYTES]).unwrap();
        }
        let from = from.map(|from| from.index(end) as u64);
        let options = WalkOptions { from, ..WalkOptions::default() };
        if let Ok(seen) = log.walk_with(options) {
            let found = records(&seen);
            prop_assert!(found.is_sorted());
            prop_assert!(found.iter().all(|offset| log.offsets.contains(offset)));
        }
    }
}
