//! Importing again: what was imported is not imported twice, what is new is added.

use mqlake::brokers::rocketmq::RocketMqCounts;
use mqlake::config::ContentPolicy;

use crate::support::rocketmq::{
    BROKERS, When, copy_directory, import, lake, log_files, write_beginning, write_store,
};
use crate::support::{self, rows};

/// All rows but the samples of progress, of which each import of new messages adds some.
async fn rows_without_samples(data: &std::path::Path) -> Vec<(String, Vec<String>)> {
    let mut tables = rows::all(data).await;
    tables.retain(|(name, _)| name != "consumer_progress");
    tables
}

#[tokio::test]
async fn a_second_import_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    copy_directory(&lake(), &data);
    let config = support::config(&data);
    for broker in BROKERS {
        let store = home.path().join(broker);
        write_store(When::Before, broker, &store);
        let again = import(&config, &store, broker).await.unwrap();
        assert_eq!((again.commits, again.messages, again.lost_keys), (0, RocketMqCounts::default(), 0));
        assert!(again.gaps.is_empty() && again.skipped.is_empty(), "{again:?}");
    }
    let report = support::open(&config).await.verify(mqlake::brokers::streams_of).await.unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

#[tokio::test]
async fn a_growing_store_is_imported_for_its_new_part() {
    let home = tempfile::tempdir().unwrap();
    let (whole, growing) = (home.path().join("whole"), home.path().join("growing"));
    write_beginning(When::Before, BROKERS[1], 3, &whole);
    write_beginning(When::Before, BROKERS[1], 0, &growing);
    // without them nothing says how far the log goes
    std::fs::remove_dir_all(growing.join("consumequeue")).unwrap();
    let config = support::config(&home.path().join("data"));
    let files = log_files(&whole);
    // ends inside a file, with the file before it whole; in the middle of a record; at the end of a file
    for (file, bytes) in [(0, 300_000), (1, 700_001), (1, 1 << 20), (2, 5), (2, 1 << 20)] {
        for (number, path) in files.iter().enumerate().take(file + 1) {
            let mut log = std::fs::read(path).unwrap();
            if number == file {
                // the file in use has its full length, with zeros behind the last record
                let length = log.len();
                log.truncate(bytes);
                log.resize(length, 0);
            }
            std::fs::write(growing.join("commitlog").join(path.file_name().unwrap()), log).unwrap();
        }
        import(&config, &growing, BROKERS[1]).await.unwrap();
    }
    let reference = support::config(&home.path().join("reference"));
    import(&reference, &whole, BROKERS[1]).await.unwrap();
    let grown = rows_without_samples(&home.path().join("data")).await;
    rows::assert_equal(&grown, &rows_without_samples(&home.path().join("reference")).await);
}

#[tokio::test]
async fn small_batches_give_the_same_rows() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    write_beginning(When::Before, BROKERS[0], 2, &store);
    let reference = support::config(&home.path().join("reference"));
    import(&reference, &store, BROKERS[0]).await.unwrap();
    let mut config = support::config(&home.path().join("small"));
    config.import.flush_rows = 1501;
    let summary = import(&config, &store, BROKERS[0]).await.unwrap();
    assert!(summary.commits > 15, "{summary:?}");
    let small = rows::all(&home.path().join("small")).await;
    rows::assert_equal(&small, &rows::all(&home.path().join("reference")).await);
}

#[tokio::test]
async fn contents_are_kept_as_set() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    write_beginning(When::Before, BROKERS[0], 2, &store);
    for (policy, rows_kept) in
        [(ContentPolicy::None, 0), (ContentPolicy::Dead, 33), (ContentPolicy::All, 1904)]
    {
        let data = home.path().join(format!("{policy:?}"));
        let mut config = support::config(&data);
        config.import.content = policy;
        import(&config, &store, BROKERS[0]).await.unwrap();
        assert_eq!(rows::table(&data, "content").await.len(), rows_kept, "{policy:?}");
    }
}
