//! Logs of several segments, and the index log of a Java backup.

use mqlake::brokers::qmq::format::index_log;
use mqlake::brokers::qmq::format::subject::SubjectName;

use crate::support::{self, generate, rows, week};

#[tokio::test]
async fn a_store_of_several_segments() {
    let home = tempfile::tempdir().unwrap();
    let (store, data) = (home.path().join("store"), home.path().join("data"));
    let expected = generate::store(&store, 6000, 1);
    let mut config = support::config(&data);
    config.import.flush_rows = 700;
    config.import.flush_bytes = bytesize::ByteSize::kib(512);
    let summary = support::import(&config, &store, "gen").await.unwrap();
    assert_eq!(
        (summary.messages.normal, summary.messages.retry, summary.messages.dead),
        (expected.normal, expected.retry, expected.dead)
    );
    assert_eq!(
        (summary.actions.pulls, summary.actions.acks, summary.actions.records),
        (expected.pulls, expected.acks, expected.records)
    );
    assert_eq!((summary.actions.unresolved_acks, summary.unusable), (0, 0));
    assert!(summary.gaps.is_empty() && summary.skipped.is_empty());
    let per_subject = "SELECT subject, min(sequence) AS first, max(sequence) - min(sequence) + 1 AS wide, \
                       count(*) AS n, count(DISTINCT sequence) AS different \
                       FROM message WHERE kind = 0 GROUP BY subject";
    for row in rows::query(&data, per_subject).await {
        assert_eq!(row["first"], generate::FIRST_SEQUENCE, "{row}");
        assert_eq!((&row["n"], &row["wide"]), (&row["different"], &row["different"]), "{row}");
    }
}

#[tokio::test]
async fn the_index_log_of_a_java_backup() {
    let home = tempfile::tempdir().unwrap();
    let (store, data) = (home.path().join("store"), home.path().join("data"));
    let mut log = Vec::new();
    let mut wanted = 0;
    for message in week::lines("truth/messages.jsonl.gz") {
        if message["broker_group"] == "bg2" && message["header_subject"] == message["payload_subject"] {
            let text = |name: &str| message[name].as_str().unwrap().as_bytes().to_vec();
            let (sequence, created) = (message["sequence"].as_i64(), message["create_time_ms"].as_i64());
            index_log::encode(
                &mut log,
                sequence.unwrap(),
                created.unwrap(),
                &text("header_subject"),
                &text("message_id"),
            );
            wanted += usize::from(
                SubjectName::parse(message["header_subject"].as_str().unwrap()).kind
                    != mqlake::brokers::qmq::format::Kind::Dead,
            );
        }
    }
    // the rest of a preallocated file is zeros
    log.resize(log.len() + 5000, 0);
    std::fs::create_dir_all(store.join("indexlog")).unwrap();
    std::fs::write(store.join("indexlog/00000000000000000000"), &log).unwrap();
    let config = support::config(&data);
    support::import(&config, &store, "bg2").await.unwrap();
    assert_eq!(rows::table(&data, "message").await.len(), wanted);
    let known = rows::query(&data, "SELECT count(store_time) + count(tags) AS n FROM message").await;
    assert_eq!(known[0]["n"], 0, "an index log has neither store times nor tags");
    let again = support::import(&config, &store, "bg2").await.unwrap();
    assert_eq!(again.commits, 0);
}
