//! Damaged logs and wrong directories: each has a clear error, and nothing is half-committed.

use std::path::Path;
use std::process::Command;

use mqlake::error::Error;

use crate::support::rocketmq::{
    BROKERS, LOG_FILE_BYTES, When, end_log_at, import, import_with, log_files, messages, write_beginning,
    write_store,
};
use crate::support::{self, rows};

/// Offset and size of each message of the first broker in its first two log files, in the log's order.
fn records() -> Vec<(u64, u64)> {
    let is_there = |row: &usize| {
        messages().get("broker", *row) == BROKERS[0]
            && messages().number("commit_log_offset", *row) < 2 * LOG_FILE_BYTES as i64
    };
    let number = |name: &str, row: usize| u64::try_from(messages().number(name, row)).unwrap();
    let rows = (0..messages().rows).filter(is_there);
    let mut records: Vec<(u64, u64)> =
        rows.map(|row| (number("commit_log_offset", row), number("store_size", row))).collect();
    records.sort_unstable();
    records
}

/// The file of a store that has an offset, and the place in it.
fn place(store: &Path, offset: u64) -> (std::path::PathBuf, usize) {
    let file = log_files(store)[usize::try_from(offset / LOG_FILE_BYTES).unwrap()].clone();
    (file, usize::try_from(offset % LOG_FILE_BYTES).unwrap())
}

async fn messages_in(data: &Path) -> usize {
    rows::table(data, "message").await.len()
}

#[tokio::test]
async fn a_flipped_byte_stops_with_file_offset_and_reason_or_is_passed_over() {
    let records = records();
    let middle = records.len() / 2;
    let ((offset, _), (next, _)) = (records[middle], records[middle + 1]);
    for (byte, reason) in [(0, "total size"), (4, "magic"), (30, "physical offset"), (92, "body CRC")] {
        let home = tempfile::tempdir().unwrap();
        let (store, data) = (home.path().join("store"), home.path().join("data"));
        write_beginning(When::Before, BROKERS[0], 2, &store);
        let (file, at) = place(&store, offset + byte);
        let mut log = std::fs::read(&file).unwrap();
        log[at] ^= 0xff;
        std::fs::write(&file, log).unwrap();
        let config = support::config(&data);
        let error = import(&config, &store, BROKERS[0]).await.unwrap_err();
        assert!(
            matches!(error, Error::Corrupt { offset: at, next: Some(then), .. } if (at, then) == (offset, next)),
            "byte {byte}: {error}"
        );
        let text = error.to_string();
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(text.contains(name) && text.contains(reason) && text.contains("--skip-corrupt"), "{text}");
        assert_eq!(messages_in(&data).await, 0);

        let summary = import_with(&config, &store, BROKERS[0], true).await.unwrap();
        assert_eq!(summary.skipped.len(), 1, "{summary:?}");
        assert_eq!((summary.skipped[0].from, summary.skipped[0].to), (offset, next));
        assert_eq!(messages_in(&data).await, records.len() - 1, "byte {byte}");
    }
}

#[tokio::test]
async fn a_torn_tail_is_the_normal_end_and_is_imported_once_it_is_whole() {
    let records = records();
    let last_three = &records[records.len() - 3..];
    let (last, size) = last_three[0];
    // the copy ends in the middle of a record, or the broker had written no more of it
    for zeros in [false, true] {
        let home = tempfile::tempdir().unwrap();
        let (whole, torn, data) =
            (home.path().join("whole"), home.path().join("torn"), home.path().join("data"));
        write_beginning(When::Before, BROKERS[0], 2, &whole);
        write_beginning(When::Before, BROKERS[0], 2, &torn);
        // without them nothing says how far the log went
        std::fs::remove_dir_all(torn.join("consumequeue")).unwrap();
        let (file, at) = place(&torn, last + size / 4);
        let mut log = std::fs::read(&file).unwrap();
        log.truncate(at);
        if zeros {
            log.resize(usize::try_from(LOG_FILE_BYTES).unwrap(), 0);
        }
        std::fs::write(&file, log).unwrap();
        let config = support::config(&data);
        let summary = import(&config, &torn, BROKERS[0]).await.unwrap();
        assert!(summary.skipped.is_empty() && summary.end.contains(&last.to_string()), "{summary:?}");
        assert_eq!(messages_in(&data).await, records.len() - 3);
        import(&config, &whole, BROKERS[0]).await.unwrap();
        assert_eq!(messages_in(&data).await, records.len());
    }
}

#[tokio::test]
async fn a_missing_file() {
    let home = tempfile::tempdir().unwrap();
    let (store, data) = (home.path().join("store"), home.path().join("data"));
    write_beginning(When::Before, BROKERS[0], 3, &store);
    std::fs::remove_file(&log_files(&store)[1]).unwrap();
    let config = support::config(&data);
    let error = import(&config, &store, BROKERS[0]).await.unwrap_err().to_string();
    assert!(error.contains("files of the commit log are missing"), "{error}");
    assert_eq!(messages_in(&data).await, 0);
    let summary = import_with(&config, &store, BROKERS[0], true).await.unwrap();
    assert_eq!(summary.skipped.len(), 1, "{summary:?}");
    assert_eq!((summary.skipped[0].from, summary.skipped[0].to), (LOG_FILE_BYTES, 2 * LOG_FILE_BYTES));
}

/// A log that is another one than the one before, wherever the earlier import ended: the broker was made anew, or it is
/// that of another broker. All of it is imported beside what was there, and a warning says so.
#[tokio::test]
async fn another_log_is_reported_and_imported() {
    for (end_of_first, end_of_other) in [(Some(600_000), Some(100_000)), (None, None)] {
        let home = tempfile::tempdir().unwrap();
        let (first, other) = (home.path().join("first"), home.path().join("other"));
        write_beginning(When::Before, BROKERS[0], 2, &first);
        write_beginning(When::Before, BROKERS[1], if end_of_other.is_some() { 2 } else { 3 }, &other);
        for (store, end) in [(&first, end_of_first), (&other, end_of_other)] {
            if let Some(end) = end {
                end_log_at(store, 1, end);
            }
        }
        let data = home.path().join("data");
        let config = support::config(&data);
        import(&config, &first, "one").await.unwrap();
        let before = messages_in(&data).await;
        let summary = import(&config, &other, "one").await.unwrap();
        assert_eq!((summary.replaced.len(), summary.replaced[0].from), (1, 0), "{summary:?}");
        assert!(summary.warnings.iter().any(|reported| reported.contains("another broker")), "{summary:?}");
        let alone = support::config(&home.path().join("alone"));
        import(&alone, &other, "one").await.unwrap();
        let of_other = messages_in(&home.path().join("alone")).await;
        assert_eq!(messages_in(&data).await, before + of_other);
        // and neither comes twice
        for store in [&first, &other] {
            import(&config, store, "one").await.unwrap();
            assert_eq!(messages_in(&data).await, before + of_other);
        }
    }
}

/// Of a log that has another record at the last place, although it begins at the same offset, that record is imported.
#[tokio::test]
async fn another_record_at_the_last_place_is_imported() {
    let home = tempfile::tempdir().unwrap();
    let (store, data) = (home.path().join("store"), home.path().join("data"));
    write_beginning(When::Before, BROKERS[0], 1, &store);
    let config = support::config(&data);
    import(&config, &store, BROKERS[0]).await.unwrap();
    let before = messages_in(&data).await;
    let statement = "SELECT physical_offset FROM message ORDER BY physical_offset DESC LIMIT 1";
    let last = crate::support::rows::query(&data, statement).await[0]["physical_offset"].as_u64().unwrap();
    let (file, at) = (&log_files(&store)[0], last as usize);
    let mut bytes = std::fs::read(file).unwrap();
    // a later store time
    bytes[at + 56..at + 64].copy_from_slice(&1_794_999_999_000_i64.to_be_bytes());
    std::fs::write(file, bytes).unwrap();
    let summary = import(&config, &store, BROKERS[0]).await.unwrap();
    assert_eq!((summary.replaced.len(), summary.replaced[0].from), (1, last), "{summary:?}");
    assert_eq!(messages_in(&data).await, before + 1);
}

#[test]
fn wrong_directories_and_names_on_the_command_line() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    write_store(When::After, BROKERS[0], &store);
    let path = |name: &str| home.path().join(name);
    std::fs::create_dir_all(path("empty")).unwrap();
    std::fs::write(path("file"), b"no store").unwrap();
    for (directory, says) in [
        (path("nothing"), "is not a directory"),
        (path("file"), "is not a directory"),
        (path("empty"), "holds no `commitlog` folder"),
        (store.join("commitlog"), "is a folder inside a store; pass the store root above it"),
        (store.join("config"), "is a folder inside a store; pass the store root above it"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_mqlake"))
            .args(["import", "--system", "rocketmq", "--broker", "broker-a", "--store"])
            .arg(&directory)
            .env("MQLAKE_DATA", path("data"))
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{}: {error}", directory.display());
        assert!(error.contains(says), "{}: {error}", directory.display());
        assert!(!path("data").exists(), "{}: something was made", directory.display());
    }
    let nameless = Command::new(env!("CARGO_BIN_EXE_mqlake"))
        .args(["import", "--system", "rocketmq", "--store"])
        .arg(&store)
        .env("MQLAKE_DATA", path("data"))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&nameless.stderr);
    assert_eq!(nameless.status.code(), Some(2));
    assert_eq!(error, "error: a RocketMQ store needs --broker NAME, the name of its broker\n");
    for (arguments, says) in [
        (
            &["--system", "rocketmq", "--broker-group", "a"][..],
            "--broker-group is for QMQ; name the RocketMQ broker",
        ),
        (&["--system", "rocketmq", "--broker-group", "a", "--broker", "a"], "--broker-group is for QMQ"),
        (&["--system", "qmq"], "add --system rocketmq and --broker NAME"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_mqlake"))
            .arg("import")
            .args(arguments)
            .arg("--store")
            .arg(&store)
            .env("MQLAKE_DATA", path("data"))
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && error.contains(says), "{arguments:?}: {error}");
    }
    std::fs::create_dir_all(path("qmq/messagelog")).unwrap();
    for (arguments, says) in [
        (
            &["--broker-group", "a", "--broker", "a"][..],
            "a QMQ store needs --broker-group NAME; --broker is for",
        ),
        (&[], "a QMQ store needs --broker-group NAME"),
        (
            &["--system", "rocketmq", "--broker", "a"],
            "is the store of a QMQ broker; leave out --system rocketmq",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_mqlake"))
            .arg("import")
            .args(arguments)
            .arg("--store")
            .arg(path("qmq"))
            .env("MQLAKE_DATA", path("data"))
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && error.contains(says), "{arguments:?}: {error}");
    }
    let of_qmq = Command::new(env!("CARGO_BIN_EXE_mqlake"))
        .args(["import", "--broker-group", "broker-a", "--store"])
        .arg(&store)
        .env("MQLAKE_DATA", path("data"))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&of_qmq.stderr);
    assert!(of_qmq.status.code() == Some(2) && error.contains("add --system rocketmq"), "{error}");
}
