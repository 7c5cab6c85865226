//! `mqlake verify` finds what is wrong and says where.

use std::path::{Path, PathBuf};

use mqlake::lake::schema::MESSAGE_KEY;

use crate::support::{self, rocketmq, week};

async fn fresh() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let (store, data) = (home.path().join("store"), home.path().join("data"));
    week::write_store("bg2", &store);
    support::import(&support::config(&data), &store, "bg2").await.unwrap();
    (home, data)
}

async fn findings(data: &Path) -> Vec<String> {
    let report =
        support::open(&support::config(data)).await.verify(mqlake::brokers::streams_of).await.unwrap();
    report.findings.iter().map(|f| format!("{} {} {}", f.table, f.place, f.problem)).collect()
}

fn live_file(data: &Path, table: &str) -> PathBuf {
    let day = data.join(table).join("dt=2024-05-22");
    std::fs::read_dir(day).unwrap().next().unwrap().unwrap().path()
}

#[tokio::test]
async fn an_untouched_lake_is_well() {
    let (_home, data) = fresh().await;
    assert_eq!(findings(&data).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_missing_a_cut_and_a_swapped_file_are_found() {
    let (_home, data) = fresh().await;
    let record = live_file(&data, "record");
    std::fs::remove_file(&record).unwrap();
    let content = live_file(&data, "content");
    let bytes = std::fs::read(&content).unwrap();
    std::fs::write(&content, &bytes[..bytes.len() - 10]).unwrap();
    let message = live_file(&data, "message");
    let other = data.join("message/dt=2024-05-23");
    let other = std::fs::read_dir(other).unwrap().next().unwrap().unwrap().path();
    std::fs::copy(&other, &message).unwrap();
    let found = findings(&data).await;
    let says = |path: &Path, what: &str| {
        let name = path.file_name().unwrap().to_str().unwrap();
        found.iter().any(|finding| finding.contains(name) && finding.contains(what))
    };
    assert!(says(&record, "the file is missing"), "{found:#?}");
    assert!(says(&content, "its commit says") && says(&content, "cannot be read"), "{found:#?}");
    assert!(says(&message, "rows of other days") && says(&message, "statistics"), "{found:#?}");
}

#[tokio::test]
async fn a_lost_ack_state_is_found() {
    let (_home, data) = fresh().await;
    std::fs::remove_dir_all(data.join("_mqlake/acks")).unwrap();
    let found = findings(&data).await;
    assert!(found.iter().any(|finding| finding.contains("ack state")), "{found:#?}");
}

/// An import that is interrupted before its first commit of a table leaves that table without a position.
#[tokio::test]
async fn a_table_without_a_position_beside_others_is_found() {
    let home = tempfile::tempdir().unwrap();
    let (data, empty) = (home.path().join("data"), home.path().join("empty"));
    rocketmq::copy_directory(&rocketmq::lake(), &data);
    support::open(&support::config(&empty)).await;
    for table in ["message", "message_key"] {
        std::fs::remove_dir_all(data.join(table)).unwrap();
        rocketmq::copy_directory(&empty.join(table), &data.join(table));
    }
    let report =
        support::open(&support::config(&data)).await.verify(mqlake::brokers::streams_of).await.unwrap();
    let found: Vec<(&str, &str)> =
        report.findings.iter().map(|finding| (&*finding.table, &*finding.place)).collect();
    let place = |broker: &str| format!("rocketmq/{broker}/commitlog");
    let places = rocketmq::BROKERS.map(place);
    let tables = "message, message_key";
    assert_eq!(found, [(tables, &*places[0]), (tables, &*places[1])], "{:?}", report.findings);
    assert!(report.findings[0].problem.contains("run it again"), "{:?}", report.findings);
}

/// Each message of RocketMQ has an offset id: fewer ids than messages are lost rows.
#[tokio::test]
async fn messages_whose_ids_are_lost_are_found() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    rocketmq::copy_directory(&rocketmq::lake(), &data);
    let lake = support::open(&support::config(&data)).await;
    let keys = lake.table(&MESSAGE_KEY).unwrap();
    let mut files = keys.refresh().await.unwrap().files;
    files.sort_by_key(|file| file.day);
    let newest = files.pop().unwrap();
    keys.expire(std::slice::from_ref(&newest), 3).await.unwrap();
    drop(lake);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_mqlake"))
        .args(["verify", "--json"])
        .env("MQLAKE_DATA", &data)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    assert!(!findings.is_empty());
    for finding in findings {
        assert_eq!(finding["table"], "message, message_key");
        assert!(finding["place"].as_str().unwrap().ends_with(&newest.day.to_string()), "{finding}");
        assert!(finding["problem"].as_str().unwrap().contains("rows were lost"), "{finding}");
    }
}
