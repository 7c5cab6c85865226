use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;

use super::tests::{SMALL, append, append_all, drain, frame, kept, segment_files, some_frames, tens};
use super::*;
use crate::error::ErrorKind;

fn written(frames: &[OwnedFrame]) -> TempDir {
    let folder = TempDir::new().unwrap();
    append_all(&mut Spool::open(folder.path(), SMALL).unwrap(), frames);
    folder
}

fn change(path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    edit(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// Opens the folder, checks that a prefix of `frames` is left and that appending continues there.
fn check_prefix(folder: &Path, frames: &[OwnedFrame]) -> (usize, Recovered) {
    let mut spool = Spool::open(folder, SMALL).unwrap();
    let recovered = spool.recovered().clone();
    let left = kept(&spool);
    assert!(frames.starts_with(&left), "{left:?} is no prefix");
    let end = left.last().map_or(spool.end(), |last| Some(last.to));
    assert_eq!(spool.end(), end);
    let more = frame(end.unwrap_or(0), end.unwrap_or(0) + 5, &[9; 120]);
    append(&mut spool, &more).unwrap();
    let now = [&left[..], &[more]].concat();
    assert_eq!(kept(&spool), now);
    drop(spool);
    let again = Spool::open(folder, SMALL).unwrap();
    assert_eq!((again.recovered(), kept(&again)), (&Recovered::default(), now));
    (left.len(), recovered)
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off() {
    for count in [1, 3, 4] {
        let frames = tens(count);
        let folder = written(&frames);
        let last = segment_files(folder.path()).pop().unwrap();
        let whole = fs::read(&last).unwrap();
        let saved: Vec<_> =
            segment_files(folder.path()).iter().map(|p| (p.clone(), fs::read(p).unwrap())).collect();
        for cut in 1..=129 {
            segment_files(folder.path()).iter().for_each(|path| fs::remove_file(path).unwrap());
            saved.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
            fs::write(&last, &whole[..whole.len() - cut]).unwrap();
            let (left, recovered) = check_prefix(folder.path(), &frames);
            assert_eq!(left, frames.len() - 1);
            assert_eq!(recovered, Recovered { torn_bytes: 129 - cut as u64, damage: None }, "cut {cut}");
        }
    }
}

#[test]
fn garbage_behind_the_last_frame_is_a_torn_tail() {
    let fake_magic = b"FRM1".repeat(100);
    let backwards = [&b"FRM1\0\0\0\0\0"[..], &[0xff; 8], &[0; 12]].concat();
    for tail in [&[0; 5000][..], b"F", &[0xff; 64], &fake_magic, &backwards, &[b'F'; 40]] {
        let folder = written(&tens(3));
        change(&segment_files(folder.path()).pop().unwrap(), |bytes| bytes.extend(tail));
        let (left, recovered) = check_prefix(folder.path(), &tens(3));
        assert_eq!((left, recovered), (3, Recovered { torn_bytes: tail.len() as u64, damage: None }));
    }
}

/// What is done to the segment files.
type Edit = fn(&[PathBuf]);

#[test]
fn damage_before_sound_frames_is_reported_as_damage() {
    let cases: [(&str, Edit, usize, usize, u64, u64); 8] = [
        // name, edit, frames left, segment with the damage, position, discarded bytes
        ("payload, last segment", |p| change(&p[2], |b| b[70] ^= 1), 4, 2, 32, 258),
        ("length, last segment", |p| change(&p[2], |b| b[36] ^= 1), 4, 2, 32, 258),
        ("length is zero", |p| change(&p[2], |b| b[36..40].fill(0)), 4, 2, 32, 258),
        ("second frame, first segment", |p| change(&p[0], |b| b[200] ^= 1), 1, 0, 161, 129 + 2 * 290),
        ("tail of the first segment", |p| change(&p[0], |b| b.truncate(289)), 1, 0, 161, 128 + 2 * 290),
        ("header, second segment", |p| change(&p[1], |b| b[20] ^= 1), 2, 1, 0, 2 * 290),
        ("header, first segment", |p| change(&p[0], |b| b.truncate(9)), 0, 0, 0, 9 + 2 * 290),
        ("second segment is missing", |p| fs::remove_file(&p[1]).unwrap(), 2, 2, 0, 290),
    ];
    for (name, edit, left, index, position, discarded_bytes) in cases {
        let folder = written(&tens(6));
        let files = segment_files(folder.path());
        edit(&files);
        let (now, recovered) = check_prefix(folder.path(), &tens(6));
        let damage = recovered.damage.unwrap();
        assert_eq!((now, recovered.torn_bytes), (left, 0), "{name}");
        let expected = (files[index].clone(), position, discarded_bytes);
        assert_eq!(
            (damage.path, damage.position, damage.discarded_bytes),
            expected,
            "{name}: {}",
            damage.reason
        );
    }
}

#[test]
fn a_segment_of_another_place_is_not_believed() {
    let folder = written(&tens(6));
    let files = segment_files(folder.path());
    fs::copy(&files[0], &files[1]).unwrap();
    let (left, recovered) = check_prefix(folder.path(), &tens(6));
    assert_eq!((left, recovered.damage.unwrap().path), (2, files[1].clone()));
}

#[test]
fn an_unknown_version_is_refused_and_kept() {
    let folder = written(&tens(6));
    let file = segment_files(folder.path()).remove(1);
    change(&file, |bytes| {
        bytes[11] = 2;
        let crc = crc32fast::hash(&bytes[..28]).to_be_bytes();
        bytes[28..32].copy_from_slice(&crc);
    });
    let error = Spool::open(folder.path(), SMALL).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().contains("version 2"), "{error}");
    assert_eq!(segment_files(folder.path()).len(), 3);
}

#[test]
fn a_reset_interrupted_before_it_deleted_is_finished() {
    for position in [0, 25, 40, 500] {
        let folder = written(&tens(6));
        let old: Vec<_> =
            segment_files(folder.path()).iter().map(|p| (p.clone(), fs::read(p).unwrap())).collect();
        Spool::open(folder.path(), SMALL).unwrap().reset(position).unwrap();
        for (path, bytes) in old.iter().filter(|(path, _)| !path.exists()) {
            fs::write(path, bytes).unwrap();
        }
        fs::write(folder.path().join("segment.tmp"), b"begun").unwrap();
        let spool = Spool::open(folder.path(), SMALL).unwrap();
        assert_eq!((spool.start(), spool.end()), (Some(position), Some(position)));
        assert_eq!(spool.recovered(), &Recovered::default());
        assert_eq!(segment_files(folder.path()).len(), 1);
        assert!(!folder.path().join("segment.tmp").exists());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn flipped_bytes_leave_a_prefix(frames in some_frames(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1u8..), 1..4)) {
        let folder = written(&frames);
        let files = segment_files(folder.path());
        let mut earliest = u64::MAX;
        for (file, at, mask) in flips {
            let file = file.get(&files);
            change(file, |bytes| {
                let at = at.index(bytes.len());
                bytes[at] ^= mask;
            });
            earliest = earliest.min(file.file_stem().unwrap().to_str().unwrap().parse().unwrap());
        }
        let (left, _) = check_prefix(folder.path(), &frames);
        // Nothing before the first changed segment is lost.
        prop_assert!(frames[..left].iter().map(|frame| frame.to).max().unwrap_or(frames[0].from) >= earliest);
    }

    #[test]
    fn a_file_changed_under_a_reader_gives_an_error_or_sound_frames(frames in some_frames(), at: prop::sample::Index, mask in 1u8.., cut: bool) {
        let folder = TempDir::new().unwrap();
        let mut spool = Spool::open(folder.path(), SMALL).unwrap();
        append_all(&mut spool, &frames);
        let mut reader = spool.reader(frames[0].from).unwrap();
        for file in segment_files(folder.path()) {
            change(&file, |bytes| {
                let at = at.index(bytes.len());
                bytes[at] ^= mask;
                if cut {
                    bytes.truncate(at);
                }
            });
        }
        let mut read = Vec::new();
        while let Ok(Some(frame)) = reader.next() {
            read.push(frame);
        }
        prop_assert!(frames.starts_with(&read));
    }

    #[test]
    fn arbitrary_bytes_as_segments_never_panic(
        files in prop::collection::vec((0u64..3, any::<bool>(), prop::collection::vec(any::<u8>(), 0..200)), 1..4),
        magics in any::<bool>(),
    ) {
        let folder = TempDir::new().unwrap();
        for (start, with_header, mut bytes) in files {
            if magics {
                bytes.chunks_mut(40).for_each(|chunk| chunk.iter_mut().zip(b"FRM1\0\0\0").for_each(|(to, from)| *to = *from));
            }
            let header = segment::SegmentHeader { generation: 0, start }.encode();
            let bytes = if with_header { [&header[..], &bytes].concat() } else { bytes };
            fs::write(segment::path_of(folder.path(), start), bytes).unwrap();
        }
        let mut spool = Spool::open(folder.path(), SMALL).unwrap();
        let from = spool.start().unwrap_or(0);
        let read = drain(&mut spool.reader(from).unwrap());
        prop_assert_eq!(read, vec![]);
        let end = spool.end().unwrap_or(0);
        append(&mut spool, &frame(end, end + 1, b"goes on")).unwrap();
    }
}
