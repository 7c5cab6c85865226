//! Keys of 30 kB: found by their whole text only, and without being written into every page index, footer and commit.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use mqlake::config::{Config, ContentPolicy, RocketMqSource};
use mqlake::follow::Follow;
use mqlake::lake::schema::MESSAGE_KEY;
use mqlake::query::Catalog;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::Place;
use crate::rocketmq_peer::{Cluster, ClusterSettings, Message};
use crate::support::http::Server;

const LONG: usize = 30_000;

/// Keys that begin alike, that cannot be cut between bytes, and that have no greater text of their length.
fn keys() -> Vec<String> {
    let alike = "k".repeat(LONG);
    vec![
        format!("{alike}1"),
        format!("{alike}2"),
        "订".repeat(LONG / 3),
        format!("{}x", "\u{10FFFF}".repeat(LONG / 4)),
        "short".to_owned(),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_keys_are_found_and_not_repeated() {
    let place = Place::memory();
    let cluster =
        Cluster::start(ClusterSettings { brokers: vec!["broker-a".to_owned()], ..Default::default() }).await;
    cluster.set_queues("order", 1);
    for (number, keys) in keys().into_iter().enumerate() {
        let unique_key = format!("7F0000010B7518B4AAC2{number:012X}");
        let message = Message { keys, unique_key, ..Message::text(&format!("body {number}")) };
        cluster.append(&cluster.brokers()[0], "order", 0, message);
    }
    let mut config = Config::default();
    config.follow.spool = Some(place.own("spool"));
    config.follow.flush_every = Duration::from_millis(100);
    config.rocketmq.push(RocketMqSource {
        name_servers: vec![cluster.name_server_addr().to_string()],
        content: ContentPolicy::All,
        discover_every: Duration::from_millis(100),
        ..RocketMqSource::default()
    });
    let lake = place.lake(&config.lake).await;
    let catalog = Arc::new(Catalog::open(lake.clone(), &config.cache).await.unwrap());
    let follow = Arc::new(Follow::start(Arc::new(config.clone()), lake.clone(), catalog.clone()).unwrap());
    let server = Server::following(catalog, config.clone(), follow.clone());
    let begun = tokio::time::Instant::now();
    while place.rows("SELECT key FROM message_key WHERE key_kind = 0").await.len() < keys().len() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:#?}", follow.status());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    follow.stop(Duration::from_secs(30)).await;
    for (number, key) in keys().into_iter().enumerate() {
        let rows = place.rows(&format!("SELECT sequence FROM message_key WHERE key = '{key}'")).await;
        assert_eq!(rows, [format!("{{\"sequence\":{number}}}")], "key {number}");
        if key.len() < 10_000 {
            let path = format!("/api/v1/messages?system=rocketmq&topic=order&key={key}");
            let found: serde_json::Value = serde_json::from_str(&server.get(&path).await.text()).unwrap();
            assert_eq!(found["messages"].as_array().unwrap().len(), 1, "{found}");
        }
    }
    for (key, rows) in [("k".repeat(LONG), 0), ("k".repeat(256), 0), ("shor".to_owned(), 0)] {
        let found = place.rows(&format!("SELECT sequence FROM message_key WHERE key = '{key}'")).await;
        assert_eq!(found.len(), rows, "{} bytes", key.len());
    }
    place.assert_sound().await;

    let folder = lake.store.table_folder(MESSAGE_KEY.name);
    let objects: Vec<_> = lake.store.objects.list(Some(&folder)).try_collect().await.unwrap();
    for object in objects {
        let bytes = lake.store.objects.get(&object.location).await.unwrap().bytes().await.unwrap();
        let name = object.location.to_string();
        if name.ends_with(".json") {
            assert!(bytes.len() < 20_000, "{name}: {} bytes", bytes.len());
        } else if name.ends_with(".parquet") && !name.contains("_delta_log") {
            let reader = SerializedFileReader::new(bytes).unwrap();
            for group in reader.metadata().row_groups() {
                for column in group.columns() {
                    let Some(parquet::file::statistics::Statistics::ByteArray(bounds)) = column.statistics()
                    else {
                        continue;
                    };
                    for bound in bounds.min_opt().into_iter().chain(bounds.max_opt()) {
                        // no text of the same length is greater, so there is nothing that it could be cut to
                        let is_greatest = bound.data().starts_with("\u{10FFFF}".as_bytes());
                        let bytes = bound.len();
                        assert!(bytes <= 256 || is_greatest, "{name} {}: {bytes}", column.column_path());
                    }
                }
            }
        }
    }
}
