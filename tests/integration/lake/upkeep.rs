//! Compaction and retention: fewer files with the same rows, and days that are gone as a whole.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use mqlake::lake::schema::MESSAGE_KEY;
use mqlake::lake::{Level, Owner};

use crate::support::{self, generate, rocketmq, rows};

/// A store imported in many small commits; nothing of it is settled at the clock's time.
async fn many_commits(home: &std::path::Path) -> (mqlake::config::Config, DateTime<Utc>) {
    let store = home.join("store");
    generate::store(&store, 6000, 9);
    let mut config = support::config(&home.join("data"));
    config.import.flush_rows = 300;
    let lake = support::open(&config).await;
    let request = mqlake::brokers::qmq::import::ImportRequest {
        store,
        broker_group: "gen".to_owned(),
        skip_corrupt: false,
    };
    // the generated messages begin on 2024-05-19, 16:00
    let now = DateTime::from_timestamp_millis(1_716_134_400_000).unwrap() + TimeDelta::hours(1);
    lake.import(&request, &config, std::sync::Arc::default(), now).await.unwrap();
    (config, now)
}

#[tokio::test]
async fn compaction_merges_small_files_and_keeps_every_row() {
    let home = tempfile::tempdir().unwrap();
    let (config, now) = many_commits(home.path()).await;
    let data = home.path().join("data");
    let before = rows::all(&data).await;
    let lake = support::open(&config).await;
    let owner = Owner::of("qmq", "(upkeep)");
    let compacted = lake.compact(now, 4, &owner).await.unwrap();
    assert!(
        compacted.files_before >= 20 && compacted.files_after * 4 <= compacted.files_before,
        "{compacted:?}"
    );
    rows::assert_equal(&rows::all(&data).await, &before);
    let report = lake.verify(mqlake::brokers::streams_of).await.unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    for table in lake.tables() {
        let files = table.refresh().await.unwrap().files;
        assert!(files.iter().all(|file| file.level != Level::Hot));
    }
    let again = lake.compact(now, 4, &owner).await.unwrap();
    assert!(again.files_before < compacted.files_before, "rows are not rewritten at every turn: {again:?}");
}

/// ONE-RUN: a day of more files than one merge may hold ends in one run all the same.
#[tokio::test]
async fn a_key_lies_in_one_place_per_day_however_many_files_the_day_had() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    rocketmq::write_beginning(rocketmq::When::Before, "broker-a", 1, &store);
    let request = mqlake::brokers::rocketmq::RocketMqImport {
        store,
        broker: "broker-a".to_owned(),
        trace_topics: Vec::new(),
        commit_logs: Vec::new(),
        skip_corrupt: false,
    };
    let mut counts = Vec::new();
    // row groups of some 20 kB, so one merge holds those of a few files, or of all
    for memory in [bytesize::ByteSize::kib(300), bytesize::ByteSize::mib(256)] {
        let data = home.path().join(memory.to_string());
        let mut config = support::config(&data);
        config.import.flush_rows = 250;
        config.lake.row_group_rows = 200;
        config.lake.settle_memory = memory;
        let lake = support::open(&config).await;
        lake.import_rocketmq(&request, &config, std::sync::Arc::default(), rocketmq::end()).await.unwrap();
        let files = lake.table(&MESSAGE_KEY).unwrap().refresh().await.unwrap().files;
        assert!(files.iter().all(|file| file.level == Level::Settled), "all days are closed");
        let days: std::collections::BTreeSet<_> = files.iter().map(|file| file.day).collect();
        assert_eq!(files.len(), days.len(), "a file for each day");
        assert!(lake.verify(mqlake::brokers::streams_of).await.unwrap().findings.is_empty());
        let statement =
            "SELECT key, subject, queue_id, sequence, key_kind FROM message_key ORDER BY 1, 2, 3, 4, 5";
        counts.push(rows::query(&data, statement).await);
    }
    assert_eq!(counts[0], counts[1]);
}

#[tokio::test]
async fn retention_drops_whole_days_of_the_tables_that_have_one() {
    let home = tempfile::tempdir().unwrap();
    let (config, now) = many_commits(home.path()).await;
    let data = home.path().join("data");
    let lake = support::open(&config).await;
    let keep = |table: &str| (table == "record").then_some(Duration::from_secs(24 * 3600));
    let early = lake.expire(now + TimeDelta::hours(20), keep).await.unwrap();
    assert_eq!(early.files, 0, "the day ended less than a day ago");
    let messages = rows::table(&data, "message").await.len();
    let expired = lake.expire(now + TimeDelta::hours(60), keep).await.unwrap();
    assert!(expired.rows > 0, "{expired:?}");
    assert!(rows::table(&data, "record").await.is_empty());
    assert_eq!(rows::table(&data, "message").await.len(), messages, "kept for ever");
    let report = lake.verify(mqlake::brokers::streams_of).await.unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}
