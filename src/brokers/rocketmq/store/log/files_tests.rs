//! Tests of finding files: foreign names, several folders, and logs of other layouts.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::brokers::rocketmq::format::record::Record;
use crate::brokers::rocketmq::format::record_encode::encode;
use crate::brokers::rocketmq::store::log::commit_log::CommitLog;
use crate::brokers::rocketmq::store::log::made_log::{FILE_BYTES, MadeLog, records, walk};
use crate::brokers::rocketmq::store::log::walk_options::WalkOptions;

fn starts(folders: &[&Path]) -> Vec<u64> {
    let folders: Vec<PathBuf> = folders.iter().map(|folder| folder.to_path_buf()).collect();
    find(&folders).unwrap().iter().map(|file| file.start).collect()
}

#[test]
fn names() {
    assert_eq!(start_of("00000000001073741824"), Some(1_073_741_824));
    assert_eq!(start_of("09223372036854775807"), Some(i64::MAX as u64));
    for foreign in [
        "0000000000107374182",
        "000000000001073741824",
        "09223372036854775808",
        "99999999999999999999",
        "+0000000001073741824",
        "0000000000107374182x",
        "",
    ] {
        assert_eq!(start_of(foreign), None, "{foreign}");
    }
}

#[test]
fn foreign_names_and_an_empty_last_file_are_ignored() {
    let log = MadeLog::with_records(0, 12);
    log.save();
    for foreign in ["checkpoint", "00000000000000000000.tmp", ".nfs00000000000000000", "1000"] {
        std::fs::write(log.folder().join(foreign), b"x").unwrap();
    }
    std::fs::create_dir(log.path(7000)).unwrap();
    std::fs::write(log.path(3000), b"").unwrap();
    assert_eq!(starts(&[log.folder()]), [0, 1000, 2000]);
    assert!(matches!(find(&[log.folder().join("none")]), Err(Error::Io { .. })));
}

#[test]
fn the_same_name_in_two_folders() {
    let log = MadeLog::with_records(0, 12);
    log.save();
    let other = tempfile::tempdir().unwrap();
    let copy = other.path().join(format!("{:020}", 1000));
    std::fs::copy(log.path(1000), &copy).unwrap();
    assert_eq!(starts(&[log.folder(), other.path()]), [0, 1000, 2000]);
    let folders = [log.folder().to_owned(), other.path().to_owned()];
    assert_eq!(records(&walk(&folders, WalkOptions::default()).unwrap()), log.offsets);
    // zeros only, an older copy, a part of it: the one with more in it is read, in whichever folder it is
    let bytes = std::fs::read(&copy).unwrap();
    let older = [&bytes[..400], &[0; FILE_BYTES - 400]].concat();
    for lesser in [&[0; FILE_BYTES][..], &[0; 10], &[], &older, &bytes[..400]] {
        for [one, two] in [[log.path(1000), copy.clone()], [copy.clone(), log.path(1000)]] {
            std::fs::write(&one, lesser).unwrap();
            std::fs::write(&two, &bytes).unwrap();
            assert_eq!(records(&walk(&folders, WalkOptions::default()).unwrap()), log.offsets);
        }
    }
    // another content
    std::fs::write(log.path(1000), &bytes).unwrap();
    let mut other = bytes.clone();
    other[500] ^= 1;
    let longer = [&bytes[..], &[9]].concat();
    for other in [&other, &[&older[..], &[9]].concat(), &[&older[..900], &[9]].concat()] {
        std::fs::write(&copy, other).unwrap();
        assert!(matches!(find(&folders), Err(Error::Conflict { .. })));
    }
    // longer than the distance to the next
    std::fs::write(&copy, longer).unwrap();
    assert!(matches!(find(&folders), Err(Error::Overlap { .. })));
}

#[test]
fn files_that_overlap_are_refused() {
    let log = MadeLog::with_records(0, 7);
    log.save();
    std::fs::rename(log.path(1000), log.path(999)).unwrap();
    assert!(matches!(find(&[log.folder().to_owned()]), Err(Error::Overlap { .. })));
}

#[test]
fn files_of_zeros() {
    let folder = tempfile::tempdir().unwrap();
    let file = |bytes: &[u8]| {
        let path = folder.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        LogFile { start: 0, path, bytes: bytes.len() as u64 }
    };
    let mut bytes = vec![0; 3 * CHUNK_BYTES];
    assert!(!has_data(&file(&bytes)).unwrap());
    assert!(!has_data(&file(&[])).unwrap());
    for at in [0, CHUNK_BYTES - 1, CHUNK_BYTES, 3 * CHUNK_BYTES - 1] {
        bytes[at] = 1;
        assert!(has_data(&file(&bytes)).unwrap());
        bytes[at] = 0;
    }
    assert!(!has_data(&LogFile { path: folder.path().join("gone"), start: 0, bytes: 1 }).unwrap());
}

fn open(log: &MadeLog) -> Result<CommitLog, Error> {
    CommitLog::open(&[log.save().folder().to_owned()])
}

fn record(position: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&mut bytes, &Record { position, body: b"body", topic: b"T", ..Record::default() });
    bytes
}

#[test]
fn a_dledger_log_is_refused() {
    let mut log = MadeLog::with_records(0, 7);
    let entry_head = [1_i32, 144, 0, 0, 0, 1, 0, 0, 0, 0, 0, 96].map(i32::to_be_bytes).concat();
    *log.file(1000) = [entry_head, record(1048)].concat();
    assert!(matches!(open(&log), Err(Error::DLedger { path }) if path == log.path(1000)));
}

#[test]
fn tiered_storage_is_refused() {
    let mut log = MadeLog::new(0, FILE_BYTES);
    *log.file(0) = [record(71_000), record(83_000)].concat();
    assert!(matches!(open(&log), Err(Error::Tiered { .. })));
    // a file that was only renamed is damage
    *log.file(0) = [record(71_000), record(71_096)].concat();
    assert_eq!(record(0).len(), 96);
    assert!(open(&log).is_ok());
}

#[test]
fn damage_at_the_start_is_not_taken_for_another_layout() {
    for at in 0..FILE_BYTES {
        let mut log = MadeLog::with_records(0, 4);
        if let Some(byte) = log.file(0).get_mut(at) {
            *byte ^= 0xff;
        }
        assert!(open(&log).is_ok());
    }
}
