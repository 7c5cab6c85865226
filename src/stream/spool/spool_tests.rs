use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, thread};

use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::error::{Error, ErrorKind, Result};

pub(super) const SMALL: SpoolSettings = SpoolSettings { segment_bytes: 300, max_bytes: 1 << 20 };

pub(super) fn frame(from: u64, to: u64, payload: &[u8]) -> OwnedFrame {
    OwnedFrame { kind: (from % 7) as u8, from, to, payload: Bytes::copy_from_slice(payload) }
}

pub(super) fn append(spool: &mut Spool, frame: &OwnedFrame) -> Result<()> {
    spool.append(&Frame { kind: frame.kind, from: frame.from, to: frame.to, payload: &frame.payload })
}

pub(super) fn append_all(spool: &mut Spool, frames: &[OwnedFrame]) {
    for frame in frames {
        append(spool, frame).unwrap();
    }
}

pub(super) fn drain(reader: &mut SpoolReader) -> Vec<OwnedFrame> {
    std::iter::from_fn(|| reader.next().unwrap()).collect()
}

pub(super) fn kept(spool: &Spool) -> Vec<OwnedFrame> {
    drain(&mut spool.reader(spool.start().unwrap_or(0)).unwrap())
}

pub(super) fn segment_files(folder: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = all.filter(|path| path.extension().is_some_and(|e| e == "spool")).collect();
    all.sort();
    all
}

/// Frames `[10 i, 10 i + 10)` with 100 bytes each: two of them fit into a segment of [`SMALL`].
pub(super) fn tens(count: u64) -> Vec<OwnedFrame> {
    (0..count).map(|i| frame(10 * i, 10 * i + 10, &[i as u8; 100])).collect()
}

pub(super) fn some_frames() -> impl Strategy<Value = Vec<OwnedFrame>> {
    let one = (1u64..50, prop_oneof![Just(0), 1usize..40, 100usize..700], any::<u8>(), any::<u8>());
    (0u64..1000, prop::collection::vec(one, 1..20)).prop_map(|(mut from, all)| {
        let mut frames = Vec::new();
        for (width, length, kind, byte) in all {
            let payload = Bytes::from(vec![byte; length]);
            frames.push(OwnedFrame { kind, from, to: from + width, payload });
            from += width;
        }
        frames
    })
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn frames_come_back_while_open_and_after_reopening(frames in some_frames(), segment_bytes in 1u64..3000, middle: prop::sample::Index) {
        let folder = TempDir::new().unwrap();
        let settings = SpoolSettings { segment_bytes, max_bytes: 1 << 20 };
        let (before, after) = frames.split_at(middle.index(frames.len()));
        let mut spool = Spool::open(folder.path(), settings).unwrap();
        append_all(&mut spool, before);
        prop_assert_eq!(&kept(&spool)[..], before);
        drop(spool);
        let mut spool = Spool::open(folder.path(), settings).unwrap();
        prop_assert_eq!(spool.recovered(), &Recovered::default());
        append_all(&mut spool, after);
        spool.sync().unwrap();
        prop_assert_eq!(&kept(&spool), &frames);
        prop_assert_eq!((spool.start(), spool.end()), (Some(frames[0].from), frames.last().map(|last| last.to)));
        let on_disk: u64 = segment_files(folder.path()).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
        prop_assert_eq!(spool.bytes(), on_disk);
    }

    #[test]
    fn removing_keeps_all_that_ends_later(frames in some_frames(), at: prop::sample::Index, reopen: bool) {
        let folder = TempDir::new().unwrap();
        let mut spool = Spool::open(folder.path(), SMALL).unwrap();
        append_all(&mut spool, &frames);
        let (first, end) = (frames[0].from, spool.end().unwrap());
        let position = first + at.index((end - first + 2) as usize) as u64;
        let files = segment_files(folder.path()).len();
        let removed = spool.remove_below(position).unwrap();
        if reopen {
            drop(spool);
            spool = Spool::open(folder.path(), SMALL).unwrap();
            prop_assert_eq!(spool.recovered(), &Recovered::default());
        }
        let left = kept(&spool);
        prop_assert!(frames.ends_with(&left));
        prop_assert!(frames.iter().filter(|frame| frame.to > position).count() <= left.len());
        prop_assert_eq!(spool.end(), Some(end));
        prop_assert_eq!(segment_files(folder.path()).len(), files - removed + usize::from(position >= end));
        append(&mut spool, &frame(end, end + 1, b"more")).unwrap();
    }
}

#[test]
fn a_frame_that_cannot_be_taken_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let settings = SpoolSettings { segment_bytes: 300, max_bytes: 1000 };
    let mut spool = Spool::open(folder.path(), settings).unwrap();
    append_all(&mut spool, &tens(2));
    let huge = vec![0; MAX_PAYLOAD_BYTES + 1];
    let cases: [(u64, u64, &[u8], ErrorKind); 6] = [
        (19, 30, b"", ErrorKind::Invariant),
        (21, 30, b"", ErrorKind::Invariant),
        (20, 19, b"", ErrorKind::Invariant),
        (20, 30, &huge, ErrorKind::Usage),
        (20, 30, &[0; 908], ErrorKind::Usage),
        (20, 30, &[0; 800], ErrorKind::Limit),
    ];
    for (from, to, payload, expected) in cases {
        assert_eq!(kind(spool.append(&Frame { kind: 0, from, to, payload })), expected, "{from} {to}");
    }
    assert_eq!(kept(&spool), tens(2));
}

#[test]
fn settings_without_room_for_a_segment_are_refused() {
    let folder = TempDir::new().unwrap();
    for (segment_bytes, max_bytes) in [(0, 10), (11, 10)] {
        let settings = SpoolSettings { segment_bytes, max_bytes };
        assert_eq!(kind(Spool::open(folder.path(), settings)), ErrorKind::Usage);
    }
}

#[test]
fn a_full_spool_takes_frames_again_after_removing() {
    let folder = TempDir::new().unwrap();
    let settings = SpoolSettings { segment_bytes: 300, max_bytes: 1000 };
    let mut spool = Spool::open(folder.path(), settings).unwrap();
    let mut end = 0;
    for _ in 0..3 {
        while spool.has_room(100) {
            append(&mut spool, &frame(end, end + 10, &[1; 100])).unwrap();
            end += 10;
            assert!(spool.bytes() <= settings.max_bytes);
        }
        assert_eq!(kind(append(&mut spool, &frame(end, end + 10, &[1; 100]))), ErrorKind::Limit);
        assert_eq!(spool.end(), Some(end));
        assert!(spool.remove_below(end - 10).unwrap() > 0);
        assert!(spool.has_room(100));
        assert!(spool.remove_below(end).unwrap() > 0);
        assert_eq!((spool.start(), spool.bytes()), (Some(end), 32));
        // The largest frame that can ever fit does.
        append(&mut spool, &frame(end, end + 1, &[2; 907])).unwrap();
        end += 1;
        spool.remove_below(end).unwrap();
    }
}

#[test]
fn the_end_survives_removing_everything() {
    // Frames without width share the start of their segment, so its file is replaced by one of its name.
    for frames in [tens(5), vec![frame(7, 7, b"a"), frame(7, 7, b"b")]] {
        let folder = TempDir::new().unwrap();
        let mut spool = Spool::open(folder.path(), SMALL).unwrap();
        append_all(&mut spool, &frames);
        let end = spool.end().unwrap();
        let mut reader = spool.reader(frames[0].from).unwrap();
        let files = segment_files(folder.path()).len();
        assert_eq!(spool.remove_below(u64::MAX).unwrap(), files);
        assert_eq!(spool.remove_below(u64::MAX).unwrap(), 0);
        drop(spool);
        let mut spool = Spool::open(folder.path(), SMALL).unwrap();
        assert_eq!((spool.start(), spool.end(), spool.bytes()), (Some(end), Some(end), 32));
        assert_eq!(kind(append(&mut spool, &frame(end + 1, end + 2, b""))), ErrorKind::Invariant);
        append(&mut spool, &frame(end, end + 2, b"next")).unwrap();
        assert_eq!(kept(&spool), [frame(end, end + 2, b"next")]);
        drop(reader.next());
    }
}

#[test]
fn frames_without_width_stay_in_one_segment() {
    let folder = TempDir::new().unwrap();
    let mut spool = Spool::open(folder.path(), SMALL).unwrap();
    let frames = [(0, 7, 200), (7, 7, 200), (7, 7, 200), (7, 7, 10), (7, 9, 200), (9, 9, 200)]
        .map(|(from, to, length)| frame(from, to, &vec![length as u8; length]));
    append_all(&mut spool, &frames);
    assert_eq!(kept(&spool), frames);
    assert_eq!(segment_files(folder.path()).len(), 3);
    drop(spool);
    assert_eq!(kept(&Spool::open(folder.path(), SMALL).unwrap()), frames);
}

#[test]
fn a_reader_goes_on_after_a_file_was_replaced_by_one_of_its_name() {
    let folder = TempDir::new().unwrap();
    let mut spool = Spool::open(folder.path(), SMALL).unwrap();
    append_all(&mut spool, &[frame(7, 7, &[1; 200]), frame(7, 7, &[2; 200])]);
    assert_eq!(segment_files(folder.path()).len(), 1);
    let mut reader = spool.reader(7).unwrap();
    spool.remove_below(7).unwrap();
    let later = [frame(7, 9, b"c"), frame(9, 9, b"d"), frame(9, 12, b"e")];
    append_all(&mut spool, &later);
    assert_eq!(drain(&mut reader), later);
}

#[test]
fn a_second_open_fails_and_names_the_cause() {
    let folder = TempDir::new().unwrap();
    let spool = Spool::open(folder.path(), SMALL).unwrap();
    let error = Spool::open(folder.path(), SMALL).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("in use"), "{error}");
    drop(spool);
    Spool::open(folder.path(), SMALL).unwrap();
}

#[test]
fn folders_are_made() {
    let folder = TempDir::new().unwrap();
    let deep = folder.path().join("a/b/c");
    let spool = Spool::open(&deep, SMALL).unwrap();
    assert_eq!((spool.start(), spool.end(), spool.bytes()), (None, None, 0));
    drop(spool);
    fs::write(folder.path().join("file"), b"").unwrap();
    assert_eq!(kind(Spool::open(&folder.path().join("file"), SMALL)), ErrorKind::Input);
}

#[test]
fn a_reader_begins_at_the_frame_that_holds_its_position() {
    let folder = TempDir::new().unwrap();
    let mut spool = Spool::open(folder.path(), SMALL).unwrap();
    append_all(&mut spool, &tens(9));
    for from in 0..100 {
        let read = drain(&mut spool.reader(from).unwrap());
        assert_eq!(read, tens(9).split_off((from as usize / 10).min(9)), "from {from}");
    }
    spool.remove_below(50).unwrap();
    assert_eq!(spool.start(), Some(40));
    assert_eq!(kind(spool.reader(39)), ErrorKind::Invariant);
    assert_eq!(drain(&mut spool.reader(45).unwrap()), tens(9).split_off(4));
}

#[test]
fn a_reader_ahead_of_the_spool_waits_for_its_position() {
    for spare in [0, 2] {
        let folder = TempDir::new().unwrap();
        let mut spool = Spool::open(folder.path(), SMALL).unwrap();
        append_all(&mut spool, &tens(spare));
        let mut reader = spool.shared().reader(55).unwrap();
        assert_eq!(reader.next().unwrap(), None);
        append_all(&mut spool, &tens(8)[spare as usize..]);
        assert_eq!(drain(&mut reader), tens(8).split_off(5));
    }
}

#[test]
fn a_reader_of_a_new_spool_fails_if_its_position_is_too_low() {
    let folder = TempDir::new().unwrap();
    let mut spool = Spool::open(folder.path(), SMALL).unwrap();
    let mut reader = spool.reader(5).unwrap();
    append(&mut spool, &frame(6, 7, b"")).unwrap();
    assert_eq!(kind(reader.next()), ErrorKind::Invariant);
}

#[test]
fn a_reader_reads_on_in_a_deleted_segment_but_not_over_a_gap() {
    let folder = TempDir::new().unwrap();
    let mut spool = Spool::open(folder.path(), SMALL).unwrap();
    append_all(&mut spool, &tens(6));
    let mut behind = spool.reader(0).unwrap();
    let mut near = spool.reader(25).unwrap();
    assert_eq!(spool.remove_below(40).unwrap(), 2);
    assert_eq!(drain(&mut near), tens(6).split_off(2));
    assert_eq!((behind.next().unwrap().unwrap().from, behind.next().unwrap().unwrap().from), (0, 10));
    assert_eq!(kind(behind.next()), ErrorKind::Invariant);
}

#[test]
fn a_reset_forgets_all_and_begins_where_it_says() {
    for position in [0, 10, 35, 40, 90, 1000] {
        let folder = TempDir::new().unwrap();
        let mut spool = Spool::open(folder.path(), SMALL).unwrap();
        append_all(&mut spool, &tens(9));
        let mut reader = spool.reader(0).unwrap();
        reader.next().unwrap();
        spool.reset(position).unwrap();
        assert_eq!(kind(reader.next()), ErrorKind::Invariant);
        assert_eq!((spool.start(), spool.end(), spool.bytes()), (Some(position), Some(position), 32));
        assert_eq!(segment_files(folder.path()).len(), 1);
        drop(spool);
        let mut spool = Spool::open(folder.path(), SMALL).unwrap();
        assert_eq!((spool.start(), spool.end()), (Some(position), Some(position)));
        append(&mut spool, &frame(position, position + 5, b"new")).unwrap();
        assert_eq!(kept(&spool), [frame(position, position + 5, b"new")]);
    }
}

#[test]
fn a_reset_begins_a_new_spool_too() {
    let folder = TempDir::new().unwrap();
    let mut spool = Spool::open(folder.path(), SMALL).unwrap();
    spool.reset(77).unwrap();
    assert_eq!(kind(append(&mut spool, &frame(0, 1, b""))), ErrorKind::Invariant);
    append(&mut spool, &frame(77, 78, b"")).unwrap();
}

#[test]
fn a_reader_tails_across_rotations_and_removals_while_the_writer_appends() {
    const FRAMES: u64 = 3000;
    let make = |i: u64| frame(i, i + 1, &vec![i as u8; (i * 7919 % 5000) as usize]);
    let folder = TempDir::new().unwrap();
    let settings = SpoolSettings { segment_bytes: 50_000, max_bytes: 400_000 };
    let mut spool = Spool::open(folder.path(), settings).unwrap();
    let mut reader = spool.reader(0).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let tail = thread::spawn(move || {
        let mut i = 0;
        while i < FRAMES {
            match reader.next().unwrap() {
                Some(read) => {
                    assert_eq!(read, make(i));
                    i += 1;
                    sender.send(i).unwrap();
                }
                None => thread::sleep(Duration::from_micros(50)),
            }
        }
    });
    let mut removed = 0;
    for i in 0..FRAMES {
        let next = make(i);
        while !spool.has_room(next.payload.len() as u64) {
            let position = receiver.recv_timeout(Duration::from_secs(60)).unwrap();
            removed += spool.remove_below(position).unwrap();
        }
        append(&mut spool, &next).unwrap();
    }
    tail.join().unwrap();
    assert!(removed > 50, "{removed}");
}

#[test]
fn a_failed_write_leaves_whole_frames_only() {
    let folder = TempDir::new().unwrap();
    let mut spool = Spool::open(folder.path(), SMALL).unwrap();
    append_all(&mut spool, &tens(1));
    let path = segment_files(folder.path()).remove(0);
    // A handle that cannot write stands for the disk: neither the write nor the repair succeeds.
    let read_only = fs::File::open(&path).unwrap();
    let good = std::mem::replace(&mut spool.active.as_mut().unwrap().file, read_only);
    let error = append(&mut spool, &tens(2)[1]).unwrap_err();
    assert!(matches!(&error, Error::Input { reason, .. } if reason.contains("check")), "{error}");
    assert_eq!((spool.end(), kept(&spool)), (Some(10), tens(1)));
    let mut short = fs::OpenOptions::new().append(true).open(&path).unwrap();
    std::io::Write::write_all(&mut short, b"FRM1 half a frame").unwrap();
    spool.active.as_mut().unwrap().file = good;
    append(&mut spool, &tens(2)[1]).unwrap();
    assert_eq!(kept(&spool), tens(2));
    drop(spool);
    let spool = Spool::open(folder.path(), SMALL).unwrap();
    assert_eq!((spool.recovered(), kept(&spool)), (&Recovered::default(), tens(2)));
}

#[cfg(unix)]
#[test]
fn after_a_failed_sync_the_spool_takes_nothing_until_reopened() {
    let folder = TempDir::new().unwrap();
    let mut spool = Spool::open(folder.path(), SMALL).unwrap();
    append_all(&mut spool, &tens(1));
    // Devices of this kind refuse to sync.
    spool.active.as_mut().unwrap().file = fs::File::open("/dev/null").unwrap();
    assert_eq!(kind(spool.sync()), ErrorKind::Input);
    assert_eq!(kind(spool.sync()), ErrorKind::Input);
    assert_eq!(kind(append(&mut spool, &tens(2)[1])), ErrorKind::Input);
    assert_eq!(kind(spool.remove_below(10)), ErrorKind::Input);
    assert_eq!(kind(spool.reset(10)), ErrorKind::Input);
    drop(spool);
    let mut spool = Spool::open(folder.path(), SMALL).unwrap();
    append(&mut spool, &tens(2)[1]).unwrap();
    spool.sync().unwrap();
}
