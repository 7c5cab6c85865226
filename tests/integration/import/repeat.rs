//! Importing again: what was imported is not imported twice, what is new is added.

use mqlake::config::ContentPolicy;

use crate::support::{self, rows, week};

#[tokio::test]
async fn a_second_import_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (store, data) = (home.path().join("store"), home.path().join("data"));
    week::write_store("bg2", &store);
    let config = support::config(&data);
    support::import(&config, &store, "bg2").await.unwrap();
    let before = rows::all(&data).await;
    let again = support::import(&config, &store, "bg2").await.unwrap();
    assert_eq!((again.commits, again.messages.normal, again.actions.records), (0, 0, 0));
    rows::assert_equal(&before, &rows::all(&data).await);
}

#[tokio::test]
async fn a_grown_store_is_imported_for_its_new_part() {
    let home = tempfile::tempdir().unwrap();
    let (whole, growing) = (home.path().join("whole"), home.path().join("growing"));
    week::write_store("bg1", &whole);
    let config = support::config(&home.path().join("data"));
    for percent in [13, 14, 50, 99, 100] {
        for folder in ["messagelog", "actionlog"] {
            std::fs::create_dir_all(growing.join(folder)).unwrap();
            let bytes = std::fs::read(whole.join(folder).join("00000000000000000000")).unwrap();
            // cuts fall inside records, as a slave's tail does
            let cut = bytes.len() * percent / 100;
            std::fs::write(growing.join(folder).join("00000000000000000000"), &bytes[..cut]).unwrap();
        }
        support::import(&config, &growing, "bg1").await.unwrap();
    }
    let reference = support::config(&home.path().join("reference"));
    support::import(&reference, &whole, "bg1").await.unwrap();
    let (grown, wanted) =
        (rows::all(&home.path().join("data")).await, rows::all(&home.path().join("reference")).await);
    rows::assert_equal(&grown, &wanted);
}

#[tokio::test]
async fn small_batches_give_the_same_rows() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    week::write_store("bg2", &store);
    let reference = support::config(&home.path().join("reference"));
    support::import(&reference, &store, "bg2").await.unwrap();
    let mut config = support::config(&home.path().join("small"));
    config.import.flush_rows = 501;
    config.acks.settled_ranges_per_consumer = 64;
    support::import(&config, &store, "bg2").await.unwrap();
    let (small, wanted) =
        (rows::all(&home.path().join("small")).await, rows::all(&home.path().join("reference")).await);
    rows::assert_equal(&small, &wanted);
}

#[tokio::test]
async fn contents_are_kept_as_set() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    week::write_store("bg2", &store);
    for (policy, rows_kept) in [(ContentPolicy::None, 0), (ContentPolicy::Dead, 58)] {
        let data = home.path().join(format!("{policy:?}"));
        let mut config = support::config(&data);
        config.import.content = policy;
        support::import(&config, &store, "bg2").await.unwrap();
        assert_eq!(rows::table(&data, "content").await.len(), rows_kept, "{policy:?}");
    }
    let data = home.path().join("limited");
    let mut config = support::config(&data);
    config.import.max_body = bytesize::ByteSize::b(100);
    support::import(&config, &store, "bg2").await.unwrap();
    let over = "SELECT count(*) AS n FROM content WHERE body_size > 100 AND (attributes IS NOT NULL OR body IS NOT NULL)";
    assert_eq!(rows::query(&data, over).await[0]["n"], 0);
}

#[tokio::test]
async fn an_index_log_of_the_same_group_is_refused_after_its_message_log() {
    let home = tempfile::tempdir().unwrap();
    let (store, index) = (home.path().join("store"), home.path().join("index"));
    week::write_store("bg2", &store);
    let config = support::config(&home.path().join("data"));
    support::import(&config, &store, "bg2").await.unwrap();
    std::fs::create_dir_all(index.join("indexlog")).unwrap();
    std::fs::write(index.join("indexlog/00000000000000000000"), []).unwrap();
    let error = support::import(&config, &index, "bg2").await.unwrap_err().to_string();
    assert!(error.contains("would store each twice"), "{error}");
}
