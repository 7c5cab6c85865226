//! Tests of the store directory over made-up stores in a temporary directory.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;

use tempfile::TempDir;

use super::*;

const LOG_BYTES: usize = 1000;

/// A store with log files of [`LOG_BYTES`] zeros at these offsets.
fn store_with(log: &[usize]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("commitlog")).unwrap();
    for base in log {
        put(&root, &format!("commitlog/{base:020}"), &[0; LOG_BYTES]);
    }
    root
}

fn put(root: &TempDir, name: &str, bytes: &[u8]) {
    let path = root.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn open(root: &TempDir) -> StoreDirectory {
    StoreDirectory::open(root.path()).unwrap()
}

fn refused(root: &Path) -> String {
    StoreDirectory::open(root).unwrap_err().to_string().replace(root.to_str().unwrap(), "ROOT")
}

/// A file of a consume queue: items of offset and size, then zeros up to 10 items.
fn queue_file(items: &[(i64, i32)]) -> Vec<u8> {
    let fields =
        |(offset, size): &(i64, i32)| [&offset.to_be_bytes()[..], &size.to_be_bytes(), &[0; 8]].concat();
    let mut bytes: Vec<u8> = items.iter().flat_map(fields).collect();
    bytes.resize(200, 0);
    bytes
}

fn batch_queue_file(items: &[(i64, i32)]) -> Vec<u8> {
    let fields = |(offset, size): &(i64, i32)| {
        [&offset.to_be_bytes()[..], &size.to_be_bytes(), &[0; 24], &2_i16.to_be_bytes(), &[0; 8]].concat()
    };
    let mut bytes: Vec<u8> = items.iter().flat_map(fields).collect();
    bytes.resize(460, 0);
    bytes
}

#[test]
fn what_is_no_store_is_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    assert!(refused(root.path()).starts_with("ROOT: holds no `commitlog` folder"));
    assert_eq!(refused(&root.path().join("none")), "ROOT: is not a directory");
    put(&root, "dledger-n0/data/00000000000000000000", b"");
    assert!(refused(root.path()).starts_with("ROOT/dledger-n0/data: is a log of DLedger"));
    let store = store_with(&[0]);
    assert!(refused(&store.path().join("commitlog")).starts_with("ROOT: is a folder inside a store"));
}

#[test]
fn an_empty_store_has_nothing() {
    let store = open(&store_with(&[]));
    assert!(store.commit_log_files().unwrap().is_empty() && store.consume_queues().unwrap().is_empty());
    assert!(store.index_files().unwrap().is_empty() && store.features().is_empty());
    assert!(store.checkpoint().unwrap().is_none() && store.topics().unwrap().is_none());
    assert_eq!(store.confirmed_end().unwrap(), None);
}

#[test]
fn files_are_listed_in_order_and_other_names_left_out() {
    let root = store_with(&[1000, 0, 2000]);
    put(&root, "commitlog/0000", b"");
    put(&root, "commitlog/99999999999999999999", b"");
    put(&root, "index/20220316210637815", &[0; 480]);
    put(&root, "index/20220101000000000", b"");
    put(&root, "index/20220101000000000.tmp", b"");
    for queue in ["b/1", "b/0", "a/10", "a/2", "a/x"] {
        put(&root, &format!("consumequeue/{queue}/00000000000000000000"), b"");
    }
    put(&root, "batchconsumequeue/b/0/00000000000000000000", b"");
    let store = open(&root);
    let log: Vec<(i64, u64)> =
        store.commit_log_files().unwrap().iter().map(|file| (file.base, file.bytes)).collect();
    assert_eq!(log, [(0, 1000), (1000, 1000), (2000, 1000)]);
    let index: Vec<i64> = store.index_files().unwrap().iter().map(|file| file.base).collect();
    assert_eq!(index, [20_220_101_000_000_000, 20_220_316_210_637_815]);
    let queues = store.consume_queues().unwrap();
    let names: Vec<(&str, i32, bool)> =
        queues.iter().map(|queue| (queue.topic.as_str(), queue.queue_id, queue.is_batch)).collect();
    assert_eq!(names, [("a", 2, false), ("a", 10, false), ("b", 0, false), ("b", 0, true), ("b", 1, false)]);
}

#[test]
fn a_log_over_several_directories_is_merged() {
    let (root, more) = (store_with(&[0, 2000]), store_with(&[1000, 2000]));
    let more_logs = [more.path().join("commitlog"), root.path().join("commitlog")];
    let store = StoreDirectory::open_with(root.path(), &more_logs).unwrap();
    assert_eq!(store.commit_log_directories().len(), 2);
    let bases: Vec<i64> = store.commit_log_files().unwrap().iter().map(|file| file.base).collect();
    assert_eq!(bases, [0, 1000, 2000]);
    // of two files of one name the longer one
    put(&more, "commitlog/00000000000000002000", b"other");
    let files = store.commit_log_files().unwrap();
    assert_eq!((files.len(), files[2].bytes), (3, LOG_BYTES as u64));
    let bare = tempfile::tempdir().unwrap();
    assert!(StoreDirectory::open_with(bare.path(), &more_logs[1..]).is_ok());
    assert!(StoreDirectory::open_with(bare.path(), &[bare.path().join("none")]).is_err());
}

#[test]
fn backups_stand_in_for_missing_empty_and_damaged_files() {
    let root = store_with(&[]);
    let store = open(&root);
    let good = b"{\"offsetTable\":{1:7}}";
    put(&root, "config/delayOffset.json.bak", good);
    let level_1 = |store: &StoreDirectory| store.delay_offsets().unwrap().unwrap()[&1];
    assert_eq!(level_1(&store), 7);
    for damaged in [&b""[..], b"{\"offsetTable\":{1:", b"\0\0\0", b"[]"] {
        put(&root, "config/delayOffset.json", damaged);
        assert_eq!(level_1(&store), 7);
    }
    put(&root, "config/delayOffset.json", b"{\"offsetTable\":{1:8}}");
    assert_eq!(level_1(&store), 8);
    put(&root, "config/delayOffset.json", b"{");
    for backup in [&b""[..], b"}"] {
        put(&root, "config/delayOffset.json.bak", backup);
        let error = store.delay_offsets().unwrap_err().to_string();
        assert!(error.ends_with("config/delayOffset.json: no key at byte 1 of the JSON"), "{error}");
    }
    put(&root, "config/delayOffset.json", b"");
    let error = store.delay_offsets().unwrap_err().to_string();
    assert!(error.ends_with("config/delayOffset.json.bak: no value at byte 0 of the JSON"), "{error}");
}

#[test]
fn spoiled_json_files_are_reported() {
    let root = store_with(&[]);
    let problems = || open(&root).config_problems().unwrap();
    assert_eq!(problems(), [""; 0]);
    put(&root, "config/topics.json", b"{}");
    put(&root, "config/topics.json.bak", b"\0\0");
    put(&root, "config/readme.txt", b"\0");
    assert_eq!(problems(), [""; 0]);
    put(&root, "config/timermetrics", b"\0\0\0");
    put(&root, "config/delayOffset.json", b"");
    put(&root, "config/consumerOffset.json", b"{\"offsetTable\":{");
    put(&root, "config/subscriptionGroup.json.bak", b"{}");
    let found = problems();
    let begins = [
        "config/consumerOffset.json is damaged: no key at byte 16 of the JSON; there is no usable backup, so how far",
        "config/delayOffset.json is empty; there is no usable backup, but an import does not need it",
        "config/subscriptionGroup.json is missing; its backup subscriptionGroup.json.bak is used",
        "config/timermetrics holds nothing but NUL bytes; there is no usable backup",
    ];
    assert_eq!(found.len(), begins.len(), "{found:#?}");
    for (found, begin) in found.iter().zip(begins) {
        assert!(found.starts_with(begin), "{found}");
    }
}

#[test]
fn other_storage_modes_are_named() {
    let root = store_with(&[0]);
    put(&root, "consumequeue/CURRENT", b"MANIFEST-000001");
    put(&root, "config/topics/CURRENT", b"MANIFEST-000001");
    put(&root, "config/tieredStoreMetadata.json", b"{}");
    put(&root, "dledger-n0/data/00000000000000000000", b"");
    let path = |name: &str| root.path().join(name);
    let expected = [
        Feature::RocksDbQueues(path("consumequeue")),
        Feature::RocksDbConfig(path("config/topics")),
        Feature::Tiered(path("config/tieredStoreMetadata.json")),
        Feature::DLedger(path("dledger-n0/data")),
    ];
    assert_eq!(open(&root).features(), expected);
    assert!(
        expected[0].to_string().ends_with("consumequeue: consume queues are in RocksDB and are not read")
    );
}

#[test]
fn a_log_with_headers_of_dledger_is_named() {
    let magic = 0xDAA3_20A7_u32.to_be_bytes();
    let mut head = [0; 60];
    head[52..56].copy_from_slice(&magic);
    let root = store_with(&[0]);
    put(&root, "commitlog/00000000000000001000", &head);
    let log = root.path().join("commitlog/00000000000000001000");
    assert_eq!(open(&root).features(), [Feature::DLedger(log)]);
    // Files are created in advance.
    put(&root, "commitlog/00000000000000002000", &[0; 60]);
    assert_eq!(open(&root).features().len(), 1);
    // A record whose contents look the same at that place.
    head[4..8].copy_from_slice(&magic);
    put(&root, "commitlog/00000000000000001000", &head);
    assert_eq!(open(&root).features(), []);
    put(&root, "commitlog/00000000000000001000", &head[..55]);
    assert_eq!(open(&root).features(), []);
}

#[test]
fn the_end_is_that_of_the_last_record_within_the_log() {
    let root = store_with(&[1000, 2000]);
    let store = open(&root);
    let queue =
        |name: &str, items: &[(i64, i32)]| put(&root, &format!("consumequeue/{name}"), &queue_file(items));
    // Its records are deleted.
    queue("a/0/00000000000000000000", &[(0, 100), (900, 100)]);
    assert_eq!(store.confirmed_end().unwrap(), None);
    queue("a/1/00000000000000000000", &[(0, 100), (1000, 100), (1200, 91)]);
    assert_eq!(store.confirmed_end().unwrap(), Some(1291));
    // The newest file is created in advance.
    queue("b/0/00000000000000000000", &[(1291, 100)]);
    queue("b/0/00000000000000000200", &[]);
    assert_eq!(store.confirmed_end().unwrap(), Some(1391));
    // Begins in the middle; goes beyond the copy of the log.
    let filler = (0, i32::MAX);
    queue(
        "c/0/00000000000000000000",
        &[filler, filler, filler, (2100, 100), (2950, 50), (2951, 50), (9000, 91)],
    );
    assert_eq!(store.confirmed_end().unwrap(), Some(3000));
    queue("c/0/00000000000000000000", &[filler; 10]);
    put(&root, "batchconsumequeue/d/0/00000000000000000000", &batch_queue_file(&[(1500, 100), (1600, 200)]));
    assert_eq!(store.confirmed_end().unwrap(), Some(1800));
}

#[test]
fn a_torn_queue_file_counts_up_to_its_last_whole_item() {
    let root = store_with(&[0]);
    put(&root, "consumequeue/a/0/00000000000000000000", &queue_file(&[(0, 100), (100, 100)])[..39]);
    assert_eq!(open(&root).confirmed_end().unwrap(), Some(100));
}

#[test]
fn a_checkpoint_is_read_if_it_is_whole() {
    let root = store_with(&[]);
    let store = open(&root);
    let mut bytes = [0; 4096];
    bytes[7] = 9;
    put(&root, "checkpoint", &bytes);
    assert_eq!(store.checkpoint().unwrap().unwrap().commit_log_time_ms, 9);
    put(&root, "checkpoint", &bytes[..39]);
    assert_eq!(store.checkpoint().unwrap(), None);
}
