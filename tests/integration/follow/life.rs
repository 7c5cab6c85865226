//! The whole life: first sync, live growth, faults on the way, restart, a replaced slave.

use std::time::Duration;

use super::{Following, assert_equals_import, config, week_logs};
use crate::api::golden::replay_on;
use crate::peer::{Peer, PeerSettings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_followed_through_its_whole_life() {
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(week_logs(), PeerSettings::default()).await;
    let config = config(home.path(), &peer);

    // first sync
    peer.reveal_fraction(0.3);
    let following = Following::start(&config).await;
    following.wait_until_caught_up(&peer).await;
    assert_eq!(following.server.get("/readyz").await.status, 200);

    // live growth, while connections break at random bytes and answers are slow, wrong or missing
    peer.set(|settings| {
        settings.torn = true;
        settings.cut = 0.02;
        settings.error = 0.02;
        settings.silent = 0.005;
        settings.delay = Duration::from_millis(2);
    });
    peer.reveal_at_rate(4000.0);
    following.wait("half of it", |_| peer.visible("bg1").0 > peer.ends("bg1").0 / 2).await;
    following.stop().await;

    // restart, and the slave is replaced while it grows on
    let following = Following::start(&config).await;
    following.wait("following again", |f| f.source("bg1").state == "following").await;
    for group in peer.groups() {
        peer.move_slave(&group);
    }
    peer.drop_connections();
    following.wait("all shown", |_| peer.is_all_visible()).await;
    peer.set(|settings| *settings = PeerSettings::default());
    peer.reveal_all();
    following.wait_until_caught_up(&peer).await;

    let failures = replay_on(&following.server, false).await;
    assert!(failures.is_empty(), "{} requests:\n{}", failures.len(), failures.join("\n"));
    assert!(following.source("bg1").gaps.is_empty() && following.source("bg2").gaps.is_empty());
    following.stop().await;
    assert_equals_import(&home.path().join("data")).await;

    // nothing is left to do for another start
    let following = Following::start(&config).await;
    following.wait_until_caught_up(&peer).await;
    following.stop().await;
    assert_equals_import(&home.path().join("data")).await;
}

/// How often the tables are looked at while rows come in.
const LOOKS: u32 = 12;

/// VISIBLE-ONCE: every row is in exactly one place at every moment, also while it moves from memory to the tables.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_is_seen_once_while_it_moves_from_memory_to_the_tables() {
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(week_logs(), PeerSettings::default()).await;
    let mut config = config(home.path(), &peer);
    config.follow.flush_every = Duration::from_millis(30);
    peer.reveal_fraction(0.1);
    let following = Following::start(&config).await;
    // the first statement starts the process that runs it
    following.sql("SELECT 1").await;
    let mut last = 0;
    // what comes depends on the looks, so that a slow machine sees as many states
    for looks in 1..=LOOKS {
        peer.reveal_fraction(0.1 + 0.9 * f64::from(looks) / f64::from(LOOKS));
        let rows = following
            .sql("SELECT count(*) AS n, count(DISTINCT concat(broker_group, '/', kind, '/', subject, '/', consumer_group, '/', sequence)) AS d FROM message")
            .await;
        let (all, distinct) = (rows[0]["n"].as_u64().unwrap(), rows[0]["d"].as_u64().unwrap());
        assert!(all >= last, "rows disappeared: {last} then {all}");
        last = all;
        let doubled = following
            .sql("SELECT subject, broker_group, sequence, count(*) AS n FROM message GROUP BY subject, kind, consumer_group, broker_group, sequence HAVING count(*) > 1 LIMIT 3")
            .await;
        assert!(doubled.is_empty(), "after {looks} looks, {all} rows, {distinct} distinct: {doubled:?}");
    }
    peer.reveal_all();
    following.wait_until_caught_up(&peer).await;
    following.stop().await;
    assert_equals_import(&home.path().join("data")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_write_the_same_tables_one_per_group() {
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(week_logs(), PeerSettings::default()).await;
    peer.reveal_all();
    let mut first = config(home.path(), &peer);
    let mut second = first.clone();
    second.qmq = first.qmq.split_off(1);
    second.follow.spool = Some(home.path().join("spool2"));
    let (a, b) = tokio::join!(Following::start(&first), Following::start(&second));
    a.wait("group 1", |f| f.has_seen("bg1", peer.ends("bg1"))).await;
    b.wait("group 2", |f| f.has_seen("bg2", peer.ends("bg2"))).await;
    tokio::join!(a.stop(), b.stop());
    assert_equals_import(&home.path().join("data")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_days_are_settled_beside_following() {
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(week_logs(), PeerSettings::default()).await;
    peer.reveal_all();
    let mut config = config(home.path(), &peer);
    config.background.settle_every = Duration::from_millis(100);
    let following = Following::start(&config).await;
    following.wait_until_caught_up(&peer).await;
    let begun = std::time::Instant::now();
    loop {
        let status = following.server.get("/api/status").await.json();
        let tables = status["tables"].as_array().unwrap();
        let sum = |name: &str| tables.iter().map(|table| table[name].as_u64().unwrap()).sum::<u64>();
        if sum("files") > 0 && sum("recent_files") == 0 && sum("hot_files") == 0 {
            break;
        }
        assert!(begun.elapsed() < super::PATIENCE, "{status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    following.stop().await;
    assert_equals_import(&home.path().join("data")).await;
}
