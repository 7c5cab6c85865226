//! The store behind the tables: it is away for a while, it takes some tables only, two servers write to it.

use std::sync::Arc;
use std::time::Duration;

use mqlake::lake::schema::MESSAGE;
use mqlake::lake::{Lake, Store};
use mqlake::stream::SourceStatus;

use crate::brokers::Broker;
use crate::brokers::server::{PATIENCE, Server, check};
use crate::scenarios::Place;
use crate::scenarios::posted::posted;
use crate::support::faulty::{Fault, Faulty};

fn over(objects: &Arc<Faulty>) -> Store {
    Store::with_objects(objects.clone(), "memory:///lake/".parse().unwrap()).unwrap()
}

/// Receiving goes on and rows are visible whatever the store does to writes; once it works again everything is committed,
/// once.
pub(in crate::brokers) async fn a_store_that_is_away<B: Broker>() {
    let home = tempfile::tempdir().unwrap();
    let mut broker = B::start().await;
    let mut config = broker.settings(home.path());
    config.follow.flush_every = Duration::from_millis(50);
    config.follow.commit_timeout = Duration::from_secs(2);
    let objects = Arc::new(Faulty::default());
    let mut all: Vec<u32> = broker.grow(20).collect();
    let server = Server::over(over(&objects), &config).await;
    server.wait_for("before", &broker, &all).await;
    let is_committed = |stream: &mqlake::stream::StreamState| stream.committed.is_some();
    server.wait("a first commit", |source| source.streams.iter().any(is_committed)).await;
    for fault in [Fault::Refuse, Fault::LoseAnswer, Fault::Tear, Fault::Stall, Fault::Full, Fault::Down] {
        let what = format!("{fault:?}");
        objects.set(fault);
        let writes = objects.writes();
        all.extend(broker.grow(20));
        if fault == Fault::Down {
            // files cannot be read, so what is visible cannot be asked
            server
                .wait(&what, |source| source.alarms.keys().any(|about| about.starts_with("committing")))
                .await;
        } else {
            server.wait_for(&what, &broker, &all).await;
        }
        if fault == Fault::Full {
            server.wait("an alarm", |source| !source.alarms.is_empty()).await;
        }
        // of three writes at most one is spared
        server.wait(&what, |_| objects.writes() > writes + 2).await;
        objects.set(Fault::None);
    }
    all.extend(broker.grow(20));
    server.wait_for("the store is back", &broker, &all).await;
    server.wait_until_committed().await;
    server.stop().await;
    check("a store that was away", over(&objects), &broker, &all).await;
}

/// While the store is full for long, receiving ends at the limits of spool and memory, with an alarm; then it goes on.
pub(in crate::brokers) async fn a_store_that_is_full_for_long<B: Broker>() {
    let home = tempfile::tempdir().unwrap();
    let mut broker = B::start().await;
    let mut config = broker.settings(home.path());
    config.follow.hot_bytes = bytesize::ByteSize::kib(64);
    config.follow.flush_bytes = bytesize::ByteSize::kib(64);
    config.follow.spool_max = bytesize::ByteSize::kib(64);
    config.follow.spool_segment = bytesize::ByteSize::kib(8);
    let objects = Arc::new(Faulty::default());
    let server = Server::over(over(&objects), &config).await;
    server.wait("following", |source| source.state == "following").await;
    objects.set(Fault::Full);
    let all: Vec<u32> = broker.grow(1200).collect();
    let is_reported = |source: &SourceStatus| {
        source
            .alarms
            .iter()
            .any(|(about, text)| about.starts_with("spool") && text.contains("follow.spool_max"))
    };
    server.wait("the spool is full", is_reported).await;
    let most = config.follow.spool_max.as_u64();
    let source = server.source().unwrap();
    assert!(source.streams.iter().all(|stream| stream.spooled_bytes <= most), "{source:#?}");
    objects.set(Fault::None);
    server.wait_for("the store is back", &broker, &all).await;
    server.stop().await;
    check("a store that was full", over(&objects), &broker, &all).await;
}

/// Tables of one stream stand at different positions, and the spool that knows what is missing in which is gone.
pub(in crate::brokers) async fn a_spool_lost_while_tables_stand_apart<B: Broker>() {
    let home = tempfile::tempdir().unwrap();
    let mut broker = B::start().await;
    let config = broker.settings(home.path());
    let objects = Arc::new(Faulty::default());
    let mut all: Vec<u32> = broker.grow(20).collect();
    let server = Server::over(over(&objects), &config).await;
    server.wait_for("before", &broker, &all).await;
    server.wait_until_committed().await;
    objects.set(Fault::NoMessages);
    all.extend(broker.grow(45));
    server.wait_for("in memory", &broker, &all).await;
    server.wait("tables apart", |source| source.alarms.contains_key("committing messages")).await;
    server.follow.stop(Duration::from_millis(200)).await;
    drop(server);
    std::fs::remove_dir_all(config.follow.spool.as_ref().unwrap()).unwrap();
    objects.set(Fault::None);

    let lake = Lake::open_existing(over(&objects), config.lake.clone()).await.unwrap();
    let ahead = lake.table(B::COMMITTED_FIRST).unwrap().position(&B::stream()).await.unwrap();
    let behind = lake.table(&MESSAGE).unwrap().position(&B::stream()).await.unwrap();
    assert!(ahead > behind, "{ahead:?} {behind:?}");

    all.extend(broker.grow(15));
    let server = Server::over(over(&objects), &config).await;
    server.wait_for("a new spool", &broker, &all).await;
    server.stop().await;
    check("a new spool", over(&objects), &broker, &all).await;
}

/// Two servers follow one broker, a third process commits to the same tables meanwhile: nothing comes twice. Where there
/// are locks the second waits for the first, and goes on when it ends.
pub(in crate::brokers) async fn two_writers<B: Broker>(place: Place) {
    let mut broker = B::start().await;
    let mut config = broker.settings(&place.own("a"));
    config.follow.flush_every = Duration::from_millis(50);
    let other = mqlake::config::Follow { spool: Some(place.own("b")), ..config.follow.clone() };
    let other = mqlake::config::Config { follow: other, ..config.clone() };
    let mut all: Vec<u32> = broker.grow(20).collect();
    let first = Server::over(place.store(), &config).await;
    first.wait_for("the first server", &broker, &all).await;
    let second = Server::over(place.store(), &other).await;
    for step in 0..3 {
        let what = format!("step {step}");
        all.extend(broker.grow(20));
        first.wait_for_as_many(&what, &broker, &all).await;
        if !place.has_locks() {
            second.wait_for_as_many(&what, &broker, &all).await;
        }
        if step == 1 {
            let lake = place.lake(&config.lake).await;
            assert_eq!(lake.append_posted(&posted("posted beside")).await.unwrap(), [(1, 0)]);
        }
    }
    tokio::time::timeout(PATIENCE, first.stop()).await.unwrap();
    all.extend(broker.grow(20));
    second.wait_for_as_many("the second server alone", &broker, &all).await;
    // what the first had committed is noticed by a commit that fails, and then read anew
    second.wait_until_committed().await;
    second.stop().await;
    check("two writers", place.store(), &broker, &all).await;
}
