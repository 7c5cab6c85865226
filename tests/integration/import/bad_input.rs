//! Bad input: each has a clear error, and nothing is half-committed.

use std::path::Path;

use mqlake::error::Error;

use crate::support::{self, generate, rows, week};

const FIRST: &str = "00000000000000000000";

async fn import_error(store: &Path) -> (Error, Vec<(String, Vec<String>)>) {
    let home = tempfile::tempdir().unwrap();
    let config = support::config(&home.path().join("data"));
    let error = support::import(&config, store, "bg").await.unwrap_err();
    (error, rows::all(&home.path().join("data")).await)
}

async fn assert_refused(store: &Path, says: &str) {
    let (error, tables) = import_error(store).await;
    assert!(error.to_string().contains(says), "{error}");
    assert!(tables.iter().all(|(_, rows)| rows.is_empty()), "rows were committed");
}

#[tokio::test]
async fn wrong_directories_and_foreign_files() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    assert_refused(&store, "is not a directory").await;
    std::fs::create_dir_all(&store).unwrap();
    assert_refused(&store, "neither messagelog/ nor actionlog/").await;
    std::fs::create_dir_all(store.join("messagelog")).unwrap();
    assert_refused(&store, "holds no segment files").await;
    assert_refused(&store.join("messagelog"), "pass the store root above").await;
    std::fs::write(store.join("messagelog").join(FIRST), b"PK\x03\x04 not a log").unwrap();
    assert_refused(&store, "begins with 504b0304").await;
    std::fs::remove_file(store.join("messagelog").join(FIRST)).unwrap();
    std::fs::write(store.join("messagelog/00000000000000000017"), b"").unwrap();
    assert_refused(&store, "is not a multiple of").await;
}

#[tokio::test]
async fn a_folder_in_place_of_a_segment() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join("messagelog").join(FIRST)).unwrap();
    assert_refused(home.path(), "messagelog").await;
}

#[tokio::test]
async fn a_missing_segment() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    generate::store(&store, 900, 2);
    let middle = format!("{:020}", 6_u64 << 30);
    std::fs::remove_file(store.join("messagelog").join(middle)).unwrap();
    assert_refused(&store, "segments are missing").await;
    let config = support::config(&home.path().join("data"));
    let summary = support::import_with(&config, &store, "bg", true).await.unwrap();
    assert_eq!(summary.skipped.len(), 1, "{:?}", summary.skipped);
    assert_eq!((summary.skipped[0].from, summary.skipped[0].to), (6 << 30, 7 << 30));
}

/// Offset of a message in the middle of the sample's first group, and of the one after it.
fn middle_message() -> (u64, u64) {
    let messages = week::lines("truth/messages.jsonl.gz");
    let offsets: Vec<u64> = messages
        .iter()
        .filter(|message| message["broker_group"] == "bg1")
        .map(|message| message["log_offset"].as_u64().unwrap())
        .collect();
    (offsets[3000], offsets[3001])
}

fn damage(store: &Path, folder: &str, at: u64) {
    let path = store.join(folder).join(FIRST);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[usize::try_from(at).unwrap()] ^= 0xff;
    std::fs::write(&path, bytes).unwrap();
}

#[tokio::test]
async fn a_damaged_payload_stops_with_file_offset_and_reason() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    week::write_store("bg1", &store);
    let (offset, next) = middle_message();
    damage(&store, "messagelog", next - 3);
    let (error, tables) = import_error(&store).await;
    assert!(
        matches!(error, Error::Corrupt { offset: at, next: Some(then), .. } if (at, then) == (offset, next)),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains(FIRST) && text.contains("checksum") && text.contains("--skip-corrupt"), "{text}");
    assert!(tables.iter().all(|(_, rows)| rows.is_empty()));

    let data = home.path().join("data");
    let summary = support::import_with(&support::config(&data), &store, "bg1", true).await.unwrap();
    assert_eq!(summary.skipped.len(), 1);
    assert_eq!((summary.skipped[0].from, summary.skipped[0].to), (offset, next));
    assert_eq!(summary.messages.normal + summary.messages.retry + summary.messages.dead, 6908);
    assert_eq!(summary.actions.records, 23_478);
}

#[tokio::test]
async fn a_damaged_magic_or_length_is_skipped_to_the_next_provable_record() {
    // the magic, and the length of the subject (the header itself has no checksum)
    for byte in [0, 21] {
        let home = tempfile::tempdir().unwrap();
        let store = home.path().join("store");
        week::write_store("bg1", &store);
        let (offset, _) = middle_message();
        damage(&store, "messagelog", offset + byte);
        let data = home.path().join("data");
        let config = support::config(&data);
        assert!(support::import(&config, &store, "bg1").await.is_err(), "byte {byte}");
        let summary = support::import_with(&config, &store, "bg1", true).await.unwrap();
        let messages = summary.messages;
        assert_eq!(messages.normal + messages.retry + messages.dead, 6908, "byte {byte}");
    }
}

#[tokio::test]
async fn a_damaged_action_is_skipped() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    week::write_store("bg1", &store);
    let actions = week::lines("truth/actions.jsonl.gz");
    let offsets: Vec<u64> = actions
        .iter()
        .filter(|action| action["broker_group"] == "bg1")
        .map(|action| action["log_offset"].as_u64().unwrap())
        .collect();
    damage(&store, "actionlog", offsets[5000]);
    let data = home.path().join("data");
    let config = support::config(&data);
    let error = support::import(&config, &store, "bg1").await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { offset, .. } if offset == offsets[5000]), "{error}");
    let summary = support::import_with(&config, &store, "bg1", true).await.unwrap();
    let counts = summary.actions;
    assert_eq!(counts.pulls + counts.acks + counts.forever_offline, offsets.len() as u64 - 1);
}

#[tokio::test]
async fn a_torn_tail_and_stale_bytes_are_the_normal_end() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    week::write_store("bg1", &store);
    let path = store.join("messagelog").join(FIRST);
    let whole = std::fs::read(&path).unwrap();
    // a broker that crashed went on behind a cut: what follows the new end is of its earlier life
    let (cut, _) = middle_message();
    let cut = usize::try_from(cut).unwrap();
    let mut torn = whole[..cut + 40].to_vec();
    torn.extend_from_slice(&whole[..2000]);
    torn.resize(torn.len() + 4096, 0);
    std::fs::write(&path, &torn).unwrap();
    let config = support::config(&home.path().join("data"));
    let summary = support::import(&config, &store, "bg1").await.unwrap();
    let messages = summary.messages;
    assert_eq!(messages.normal + messages.retry + messages.dead, 3000);
    assert!(summary.skipped.is_empty());
}

#[tokio::test]
async fn a_store_of_another_group_is_noticed() {
    let home = tempfile::tempdir().unwrap();
    let (first, second) = (home.path().join("first"), home.path().join("second"));
    week::write_store("bg1", &first);
    week::write_store("bg2", &second);
    let config = support::config(&home.path().join("data"));
    support::import(&config, &second, "bg").await.unwrap();
    let error = support::import(&config, &first, "bg").await.unwrap_err().to_string();
    assert!(error.contains("another broker group"), "{error}");
}

#[tokio::test]
async fn a_gap_left_by_the_brokers_retention_is_reported() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    generate::store(&store, 900, 3);
    let config = support::config(&home.path().join("data"));
    let hidden = home.path().join("hidden");
    std::fs::create_dir_all(&hidden).unwrap();
    for segment in [6_u64, 7] {
        let name = format!("{:020}", segment << 30);
        std::fs::rename(store.join("messagelog").join(&name), hidden.join(&name)).unwrap();
    }
    support::import(&config, &store, "gen").await.unwrap();
    // the broker has removed segments 5 and 6 before the next import
    std::fs::remove_file(store.join(format!("messagelog/{:020}", 5_u64 << 30))).unwrap();
    let name = format!("{:020}", 7_u64 << 30);
    std::fs::rename(hidden.join(&name), store.join("messagelog").join(&name)).unwrap();
    let summary = support::import(&config, &store, "gen").await.unwrap();
    assert_eq!(summary.gaps.len(), 1);
    assert_eq!((summary.gaps[0].from, summary.gaps[0].to), (6 << 30, 7 << 30));
}

#[tokio::test]
async fn unusable_group_names() {
    let home = tempfile::tempdir().unwrap();
    let config = support::config(&home.path().join("data"));
    for name in ["", "a/b", "a\nb"] {
        let error = support::import(&config, home.path(), name).await.unwrap_err().to_string();
        assert!(error.contains("--broker-group"), "{error}");
    }
}
