//! Every fixed bug of importing leaves a test here, named after what went wrong.

use std::os::unix::fs::FileExt;

use mqlake::brokers::qmq::format::{message_log, payload};
use mqlake::brokers::qmq::logs;
use mqlake::lake::schema::MESSAGE;
use mqlake::lake::{Move, Outcome};

use crate::support::{self, generate, rows, week};

const FIRST: &str = "00000000000000000000";

#[tokio::test]
async fn a_checkpoint_that_fails_after_the_commit_does_not_undo_it() {
    let home = tempfile::tempdir().unwrap();
    let (store, data) = (home.path().join("store"), home.path().join("data"));
    week::write_store("bg2", &store);
    let mut config = support::config(&data);
    let lake = support::open(&config).await;
    // nearly as many commits as lead to the first checkpoint
    let table = lake.table(&MESSAGE).unwrap();
    let stream = logs::stream("other", logs::MESSAGE);
    for to in 1..45 {
        let moves = [Move { stream: stream.clone(), from: (to > 1).then_some(to - 1), to }];
        assert_eq!(table.append(&[], &moves, 1).await.unwrap(), Outcome::Committed);
    }
    // a folder in its place
    for version in 45..=55 {
        let name = format!("{version:020}.checkpoint.parquet/x");
        std::fs::create_dir_all(data.join("message/_delta_log").join(name)).unwrap();
    }
    config.import.flush_rows = 300;
    support::import(&config, &store, "bg2").await.unwrap();
    let lake = support::open(&config).await;
    assert!(lake.verify(mqlake::brokers::streams_of).await.unwrap().findings.is_empty());
    let version = lake.table(&MESSAGE).unwrap().refresh().await.unwrap().version;
    assert!(version > 50, "the first checkpoint comes with version 50, and this is {version}");
    assert_eq!(rows::table(&data, "message").await.len(), 3616);
}

#[tokio::test]
async fn nulls_of_a_row_group_without_values_are_counted() {
    let home = tempfile::tempdir().unwrap();
    let (store, data) = (home.path().join("store"), home.path().join("data"));
    week::write_store("bg2", &store);
    let mut config = support::config(&data);
    config.lake.row_group_rows = 100;
    config.lake.page_rows = 20;
    support::import(&config, &store, "bg2").await.unwrap();
    assert!(
        support::open(&config).await.verify(mqlake::brokers::streams_of).await.unwrap().findings.is_empty()
    );
    let statement = "SELECT count(*) AS n FROM message WHERE consumer_group IS NULL";
    assert_eq!(rows::query(&data, statement).await[0]["n"], 3199);
}

#[tokio::test]
async fn a_log_that_was_recreated_shorter_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    week::write_store("bg1", &store);
    let config = support::config(&home.path().join("data"));
    support::import(&config, &store, "bg1").await.unwrap();
    let path = store.join("messagelog").join(FIRST);
    let whole = std::fs::read(&path).unwrap();
    let second_message = week::lines("truth/messages.jsonl.gz")[1]["log_offset"].as_u64().unwrap();
    std::fs::write(&path, &whole[..usize::try_from(second_message).unwrap()]).unwrap();
    let error = support::import(&config, &store, "bg1").await.unwrap_err().to_string();
    assert!(error.contains("was recreated"), "{error}");
}

#[tokio::test]
async fn a_segment_that_is_missing_right_after_the_position_is_reported() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    generate::store(&store, 900, 5);
    let config = support::config(&home.path().join("data"));
    let hidden = home.path().join("hidden");
    std::fs::create_dir_all(&hidden).unwrap();
    for segment in [6_u64, 7] {
        let name = format!("{:020}", segment << 30);
        std::fs::rename(store.join("messagelog").join(&name), hidden.join(&name)).unwrap();
    }
    support::import(&config, &store, "gen").await.unwrap();
    let name = format!("{:020}", 7_u64 << 30);
    std::fs::rename(hidden.join(&name), store.join("messagelog").join(&name)).unwrap();
    let summary = support::import_with(&config, &store, "gen", true).await.unwrap();
    assert_eq!(summary.skipped.len(), 1, "{:?}", summary.skipped);
    assert_eq!((summary.skipped[0].from, summary.skipped[0].to), (6 << 30, 7 << 30));
}

/// A slave that joins in mid-segment leaves zeros before its first record; anywhere else they are a loss.
#[tokio::test]
async fn zeros_at_the_start_of_a_later_segment_are_damage() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    generate::store(&store, 900, 5);
    let base = 7_u64 << 30;
    let path = store.join("messagelog").join(format!("{base:020}"));
    let file = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    let mut start = vec![0; 64 * 1024];
    file.read_exact_at(&mut start, 0).unwrap();
    let magic = start[..4].to_vec();
    let second = 4 + start[4..].windows(4).position(|bytes| bytes == magic).unwrap();
    file.write_all_at(&vec![0; second], 0).unwrap();

    let config = support::config(&home.path().join("data"));
    let error = support::import(&config, &store, "gen").await.unwrap_err().to_string();
    assert!(error.contains(&base.to_string()), "{error}");
    let summary = support::import_with(&config, &store, "gen", true).await.unwrap();
    let places: Vec<(u64, u64)> = summary.skipped.iter().map(|skipped| (skipped.from, skipped.to)).collect();
    assert_eq!(places, [(base, base + second as u64)]);

    std::fs::remove_file(store.join("messagelog").join(format!("{:020}", 6_u64 << 30))).unwrap();
    std::fs::remove_file(store.join("messagelog").join(format!("{:020}", 5_u64 << 30))).unwrap();
    let joined = support::config(&home.path().join("joined"));
    let summary = support::import(&joined, &store, "gen").await.unwrap();
    assert!(summary.skipped.is_empty(), "{:?}", summary.skipped);
}

#[tokio::test]
async fn damage_that_was_skipped_does_not_stop_later_imports() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    week::write_store("bg1", &store);
    let path = store.join("messagelog").join(FIRST);
    let mut bytes = std::fs::read(&path).unwrap();
    let offset = week::lines("truth/messages.jsonl.gz")[100]["log_offset"].as_u64().unwrap();
    bytes[usize::try_from(offset).unwrap()] ^= 0xff;
    std::fs::write(&path, bytes).unwrap();
    let config = support::config(&home.path().join("data"));
    assert_eq!(support::import_with(&config, &store, "bg1", true).await.unwrap().skipped.len(), 1);
    let again = support::import(&config, &store, "bg1").await.unwrap();
    assert_eq!((again.skipped.len(), again.commits), (0, 0));
}

#[tokio::test]
async fn clocks_that_are_far_off_keep_their_rows_in_a_readable_day() {
    let home = tempfile::tempdir().unwrap();
    let (store, data) = (home.path().join("store"), home.path().join("data"));
    std::fs::create_dir_all(store.join("messagelog")).unwrap();
    let mut log = Vec::new();
    for (sequence, created) in [i64::MIN, -1, 0, 724_776_623_999_999, i64::MAX].into_iter().enumerate() {
        let body = payload::encode(0, created, 1, "clock", &format!("id-{sequence}"), &[], &[]);
        message_log::encode(&mut log, 3, 1_716_134_400_000, sequence as i64, "clock", &body);
    }
    std::fs::write(store.join("messagelog").join(FIRST), log).unwrap();
    let config = support::config(&data);
    support::import(&config, &store, "bg").await.unwrap();
    assert!(
        support::open(&config).await.verify(mqlake::brokers::streams_of).await.unwrap().findings.is_empty()
    );
    let days = rows::query(&data, "SELECT CAST(dt AS VARCHAR) AS dt FROM message ORDER BY sequence").await;
    let days: Vec<&str> = days.iter().map(|row| row["dt"].as_str().unwrap()).collect();
    // such rows lie in the day on which they came
    let came = support::week_end().date_naive().to_string();
    assert_eq!(days, [&*came; 5]);
}

/// Bodies of 240 kB in every file of a day that is settled: no batch may hold thousands of them.
#[tokio::test]
async fn large_bodies_settle_in_small_batches() {
    let home = tempfile::tempdir().unwrap();
    let (store, data) = (home.path().join("store"), home.path().join("data"));
    std::fs::create_dir_all(store.join("messagelog")).unwrap();
    let text = "x".repeat(60_000);
    let attributes = [("a", text.as_str()), ("b", &text), ("c", &text), ("d", &text)];
    let mut log = Vec::new();
    for sequence in 0..60 {
        let body = payload::encode(
            0,
            1_716_134_400_000 + sequence,
            1,
            "large",
            &format!("id-{sequence}"),
            &[],
            &attributes,
        );
        message_log::encode(&mut log, 3, 1_716_134_400_000, sequence, "large", &body);
    }
    std::fs::write(store.join("messagelog").join(FIRST), log).unwrap();
    let mut config = support::config(&data);
    config.import.flush_bytes = bytesize::ByteSize::mib(1);
    config.lake.settle_memory = bytesize::ByteSize::mib(8);
    let summary = support::import(&config, &store, "bg").await.unwrap();
    assert!(summary.settled.files_before > 10, "{:?}", summary.settled);
    let kept =
        rows::query(&data, "SELECT count(*) AS n FROM content WHERE attributes['d'] IS NOT NULL").await;
    assert_eq!(kept[0]["n"], 60);
}

#[tokio::test]
async fn two_imports_of_one_group_at_once_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    week::write_store("bg2", &store);
    let config = support::config(&home.path().join("data"));
    let lake = support::open(&config).await;
    let owner = mqlake::lake::Owner::of("qmq", "bg2");
    let held = lake.become_writer(&owner).await.unwrap();
    let error = support::import(&config, &store, "bg2").await.unwrap_err().to_string();
    assert!(error.contains("another process (an import, or a server that follows it)"), "{error}");
    drop(held);
    support::import(&config, &store, "bg2").await.unwrap();
    let stream = logs::stream("bg2", logs::MESSAGE);
    let table = lake.table(&mqlake::lake::schema::MESSAGE).unwrap();
    assert!(table.position(&stream).await.unwrap().is_some());
}

/// The broker lost the end of its log in a crash and wrote others there, at the same places: without a look at what stands
/// before the position the new ones would be passed over silently.
#[tokio::test]
async fn an_end_that_was_written_anew_before_the_position_is_noticed() {
    let home = tempfile::tempdir().unwrap();
    let (store, data) = (home.path().join("store"), home.path().join("data"));
    week::write_store("bg1", &store);
    let config = support::config(&data);
    support::import(&config, &store, "bg1").await.unwrap();
    let before = rows::all(&data).await;
    let path = store.join("messagelog").join(FIRST);
    let mut bytes = std::fs::read(&path).unwrap();
    let messages = week::lines("truth/messages.jsonl.gz");
    let of_group = messages.iter().filter(|message| message["broker_group"] == "bg1");
    let last = of_group.filter_map(|message| message["log_offset"].as_u64()).max().unwrap();
    // another store time, which no checksum covers
    let at = usize::try_from(last).unwrap() + 5 + 7;
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = support::import(&config, &store, "bg1").await.unwrap_err().to_string();
    assert!(error.contains("are not those that were imported there"), "{error}");
    assert!(error.contains("mqlake seek --broker-group … --stream message --to start"), "{error}");
    rows::assert_equal(&rows::all(&data).await, &before);
}
