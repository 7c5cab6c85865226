//! The object store behind the tables fails, stalls, tears writes, loses answers and runs full.

use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use mqlake::brokers::qmq::logs;
use mqlake::lake::{Lake, Store};
use object_store::ObjectStore;

use super::edges::message;
use super::{COMPARED, Following, config, week_logs};
use crate::peer::{GroupLogs, Peer, PeerSettings};
use crate::support::faulty::{Fault, Faulty};
use crate::support::{rows, week};

/// Rows of the compared statements, straight from the store.
async fn stored(objects: Arc<dyn ObjectStore>, home: &FilePath) -> Vec<(String, Vec<String>)> {
    let settings = crate::support::config(home);
    let store = Store::with_objects(objects, "memory:///lake/".parse().unwrap()).unwrap();
    let lake = Arc::new(Lake::open_existing(store, settings.lake.clone()).await.unwrap());
    assert!(lake.verify(mqlake::brokers::streams_of).await.unwrap().findings.is_empty());
    compared(&rows::engine(lake, &settings).await).await
}

async fn compared(engine: &mqlake::query::SqlEngine) -> Vec<(String, Vec<String>)> {
    let mut tables = Vec::new();
    for (name, statement) in COMPARED {
        tables.push((name.to_owned(), rows::sorted_lines(engine, statement).await));
    }
    tables
}

/// The same rows of an import.
async fn imported() -> Vec<(String, Vec<String>)> {
    let config = crate::support::config(&week::lake());
    compared(&rows::engine(crate::support::open(&config).await, &config).await).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_store_loses_and_doubles_nothing() {
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(week_logs(), PeerSettings::default()).await;
    peer.reveal_fraction(0.2);
    let mut config = config(home.path(), &peer);
    config.follow.flush_every = Duration::from_millis(50);
    config.follow.commit_timeout = Duration::from_secs(2);
    let objects = Arc::new(Faulty::default());
    let following = Following::with_objects(objects.clone(), &config).await;
    following.wait_until_caught_up(&peer).await;
    following.wait("a first commit", |f| f.source("bg1").streams.iter().all(|s| s.committed.is_some())).await;

    let faults = [
        Fault::Refuse,
        Fault::LoseAnswer,
        Fault::Tear,
        Fault::Stall,
        Fault::Full,
        Fault::Down,
        Fault::Refuse,
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        objects.set(fault);
        peer.reveal_fraction(0.3 + 0.1 * number as f64);
        // receiving goes on, and rows are visible, whatever the store does
        following.wait_until_caught_up(&peer).await;
        let answer = following.server.get("/api/status").await;
        assert_eq!(answer.status, 200);
        if fault == Fault::Full {
            following.wait("an alarm", |f| !f.source("bg1").alarms.is_empty()).await;
        }
        if fault == Fault::Down {
            // hot rows are answered from memory; where files are needed the answer is an honest 503
            let answer = following
                .server
                .sql("SELECT count(DISTINCT message_id) FROM message", "application/json")
                .await;
            assert!(answer.status == 200 || answer.status == 503, "{} {}", answer.status, answer.text());
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        objects.set(Fault::None);
    }
    peer.reveal_all();
    following.wait_until_caught_up(&peer).await;
    following
        .wait("all committed", |f| {
            f.follow.status().iter().all(|source| {
                source.alarms.is_empty()
                    && source.streams.iter().all(|s| s.committed == s.broker_end && s.committed.is_some())
            })
        })
        .await;
    following.stop().await;

    rows::assert_equal(&stored(objects, home.path()).await, &imported().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_and_spool_stay_within_their_limits_while_the_store_is_full() {
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(week_logs(), PeerSettings { batch_size: 20_000, ..PeerSettings::default() }).await;
    let mut config = config(home.path(), &peer);
    config.follow.hot_bytes = bytesize::ByteSize::kib(64);
    config.follow.flush_bytes = bytesize::ByteSize::kib(64);
    config.follow.spool_max = bytesize::ByteSize::mib(1);
    config.follow.spool_segment = bytesize::ByteSize::kib(64);
    let objects = Arc::new(Faulty::default());
    let following = Following::with_objects(objects.clone(), &config).await;
    following.wait("following", |f| f.follow.status().iter().all(|s| s.state == "following")).await;
    objects.set(Fault::Full);
    peer.reveal_all();
    let is_full = |f: &Following| {
        f.follow.status().iter().any(|source| source.alarms.keys().any(|about| about.starts_with("spool of")))
    };
    following.wait("the spool is full", is_full).await;
    for source in following.follow.status() {
        let most = config.follow.spool_max.as_u64();
        assert!(source.streams.iter().all(|stream| stream.spooled_bytes <= most));
    }
    objects.set(Fault::None);
    following.wait_until_caught_up(&peer).await;
    following.stop().await;
    rows::assert_equal(&stored(objects, home.path()).await, &imported().await);
}

/// Tables of one stream stand at different positions and the spool with the frames' boundaries is gone: an index answer
/// that reaches across such a position cannot be divided, so the stretch is received from the message log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spool_lost_while_tables_stand_apart_loses_and_doubles_nothing() {
    let home = tempfile::tempdir().unwrap();
    // every second record is a dead letter; an answer has room for nine records
    let record = |n: i64| {
        let queue = if n % 2 == 0 { "order" } else { "%DEAD_RETRY%order%g" };
        message(queue, n / 2, queue, &format!("id{}", n / 2))
    };
    let log: Vec<u8> = (0..40).flat_map(record).collect();
    let logs = GroupLogs::from_bytes("g1", vec![(0, log)], vec![(0, Vec::new())]);
    let peer = Peer::start(vec![logs], PeerSettings { batch_size: 330, ..PeerSettings::default() }).await;
    let mut config = config(home.path(), &peer);
    config.qmq[0].content = mqlake::config::ContentPolicy::None;
    let objects = Arc::new(Faulty::default());
    peer.reveal_none();
    peer.reveal_records("g1", 10);
    let following = Following::with_objects(objects.clone(), &config).await;
    following.wait_until_caught_up(&peer).await;
    let end = Some(peer.visible("g1").0);
    following.wait("a first commit", |f| f.source("g1").streams.iter().any(|s| s.committed == end)).await;
    objects.set(Fault::NoMessages);
    peer.reveal_records("g1", 10);
    following.wait_until_caught_up(&peer).await;
    following.wait("tables apart", |f| f.source("g1").alarms.contains_key("committing messages")).await;
    following.follow.stop(Duration::from_millis(200)).await;
    drop(following);
    std::fs::remove_dir_all(home.path().join("spool")).unwrap();
    objects.set(Fault::None);

    let store = Store::with_objects(objects.clone(), "memory:///lake/".parse().unwrap()).unwrap();
    let lake = Lake::open_existing(store, config.lake.clone()).await.unwrap();
    let stream = logs::stream("g1", logs::MESSAGE);
    let [dead, real] = [&mqlake::lake::schema::DEAD_MESSAGE, &mqlake::lake::schema::MESSAGE];
    let ahead = lake.table(dead).unwrap().position(&stream).await.unwrap();
    let behind = lake.table(real).unwrap().position(&stream).await.unwrap();
    assert!(ahead > behind, "{ahead:?} {behind:?}");

    peer.reveal_all();
    let following = Following::with_objects(objects.clone(), &config).await;
    following.wait_until_caught_up(&peer).await;
    for table in ["message", "dead_message", "record"] {
        let rows = following.sql(&format!("SELECT sequence FROM {table} ORDER BY sequence")).await;
        let sequences: Vec<i64> = rows.iter().map(|row| row["sequence"].as_i64().unwrap()).collect();
        assert_eq!(sequences, (0..20).collect::<Vec<i64>>(), "{table}");
    }
    following.stop().await;
}
