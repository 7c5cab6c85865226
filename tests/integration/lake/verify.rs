//! `mqlake verify` finds what is wrong and says where.

use std::path::{Path, PathBuf};

use crate::support::{self, week};

async fn fresh() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let (store, data) = (home.path().join("store"), home.path().join("data"));
    week::write_store("bg2", &store);
    support::import(&support::config(&data), &store, "bg2").await.unwrap();
    (home, data)
}

async fn findings(data: &Path) -> Vec<String> {
    let report = support::open(&support::config(data)).await.verify().await.unwrap();
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
