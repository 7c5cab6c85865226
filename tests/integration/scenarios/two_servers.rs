//! Several processes at one lake: both take posted traces, one imports what the other follows, both keep the tables in
//! shape. That both follow one broker is a scenario of `brokers/`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mqlake::brokers::qmq::import::ImportRequest;
use mqlake::brokers::rocketmq::RocketMqImport;
use mqlake::config::{Config, ContentPolicy, RocketMqSource};
use mqlake::error::ErrorKind;
use mqlake::follow::Follow;
use mqlake::lake::{Lake, Owner};
use mqlake::query::{Catalog, SqlEngine};
use mqlake::stream::Progress;
use tokio::time::Instant;

use super::posted::posted;
use super::{Place, over_every_store};
use crate::follow::rocketmq::COMPARED;
use crate::rocketmq_peer::{Cluster, ClusterSettings};
use crate::support::rocketmq::{BROKERS, When, end, write_beginning};
use crate::support::{generate, week_end};

/// Bound of every wait; reached only by a defect.
const PATIENCE: Duration = Duration::from_secs(120);

over_every_store!(
    two_servers_that_take_traces_lose_none,
    an_import_beside_a_server_that_follows_doubles_nothing,
    two_processes_that_keep_tables_in_shape_lose_nothing,
);

async fn two_servers_that_take_traces_lose_none(place: Place) {
    let settings = mqlake::config::Lake::default();
    let (a, b) = (place.lake(&settings).await, place.lake(&settings).await);
    let mut wanted = Vec::new();
    for number in 0..25 {
        let (a_body, b_body) = (posted(&format!("A{number}")), posted(&format!("B{number}")));
        let (a_done, b_done) = tokio::join!(a.append_posted(&a_body), b.append_posted(&b_body));
        assert_eq!((a_done.unwrap(), b_done.unwrap()), (vec![(1, 0)], vec![(1, 0)]));
        wanted.extend([format!("A{number}"), format!("B{number}")]);
    }
    wanted.sort();
    let ids = |rows: Vec<String>, column: &str| -> Vec<String> {
        let value = |row: String| serde_json::from_str::<serde_json::Value>(&row).unwrap();
        let mut ids: Vec<String> =
            rows.into_iter().map(|row| value(row)[column].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(place.rows("SELECT msg_id FROM trace").await, "msg_id"), wanted);
    assert_eq!(ids(place.rows("SELECT key FROM message_key").await, "key"), wanted);
    for table in ["trace", "message_key"] {
        assert_eq!(place.glob_rows(table).await, 0, "no file is settled before a commit names it");
    }
    place.assert_sound().await;
}

/// One broker with the beginning of a real log.
async fn broker(store: &Path) -> Cluster {
    write_beginning(When::Before, BROKERS[0], 1, store);
    let settings =
        ClusterSettings { brokers: vec![BROKERS[0].to_owned()], system_topics: false, ..Default::default() };
    let cluster = Cluster::start(settings).await;
    cluster.load_store(BROKERS[0], store);
    cluster.reveal_none();
    cluster
}

fn config(place: &Place, cluster: &Cluster, process: &str) -> Config {
    let mut config = Config::default();
    config.follow.spool = Some(place.own(process));
    config.follow.flush_every = Duration::from_millis(100);
    config.follow.visible_every = Duration::from_millis(20);
    config.follow.retry_min = Duration::from_millis(10);
    config.follow.retry_max = Duration::from_millis(200);
    config.import.flush_rows = 300;
    config.rocketmq.push(RocketMqSource {
        name_servers: vec![cluster.name_server_addr().to_string()],
        content: ContentPolicy::All,
        trace_topics: vec!["RMQ_SYS_TRACE_TOPIC".to_owned(), "trace-custom".to_owned()],
        discover_every: Duration::from_millis(100),
        progress_every: Duration::from_secs(1),
        suspend: Duration::from_secs(1),
        request_timeout: Duration::from_millis(2000),
        ..RocketMqSource::default()
    });
    config
}

/// A server that follows.
struct Server {
    follow: Follow,
    engine: SqlEngine,
}

impl Server {
    async fn start(place: &Place, config: &Config) -> Server {
        let lake = place.lake(&config.lake).await;
        let catalog = Arc::new(Catalog::open(lake.clone(), &config.cache).await.unwrap());
        let engine = SqlEngine::new(catalog.clone(), config.sql.clone()).unwrap();
        let follow = Follow::start(Arc::new(config.clone()), lake, catalog).unwrap();
        Server { follow, engine }
    }

    async fn count(&self, statement: &str) -> usize {
        let mut answer = self.engine.query(statement).await.unwrap();
        let mut rows = 0;
        while let Some(batch) = answer.next().await.unwrap() {
            rows += batch.num_rows();
        }
        rows
    }

    /// Waits until queries see this many rows.
    async fn wait_for(&self, statement: &str, rows: usize) {
        let begun = Instant::now();
        while self.count(statement).await < rows {
            assert!(begun.elapsed() < PATIENCE, "{rows}: {:#?}", self.follow.status());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn stop(self) {
        self.follow.stop(PATIENCE).await;
    }
}

async fn import(place: &Place, config: &Config, store: &Path) -> mqlake::error::Result<()> {
    let request = RocketMqImport {
        store: store.to_path_buf(),
        broker: BROKERS[0].to_owned(),
        trace_topics: Vec::new(),
        commit_logs: Vec::new(),
        skip_corrupt: false,
    };
    let lake = place.lake(&config.lake).await;
    lake.import_rocketmq(&request, config, Arc::new(Progress::default()), end()).await.map(drop)
}

/// The rows of a lake that only an import has written.
async fn truth(store: &Path, config: &Config) -> Vec<Vec<String>> {
    let alone = Place::memory();
    import(&alone, config, store).await.unwrap();
    let mut rows = Vec::new();
    for (_, statement) in COMPARED {
        rows.push(alone.rows(statement).await);
    }
    rows
}

async fn assert_rows(place: &Place, wanted: &[Vec<String>]) {
    for ((table, statement), wanted) in COMPARED.iter().zip(wanted) {
        let found = place.rows(statement).await;
        let difference = found.iter().zip(wanted).find(|(found, wanted)| found != wanted);
        assert_eq!((difference, found.len()), (None, wanted.len()), "{table}");
    }
}

async fn an_import_beside_a_server_that_follows_doubles_nothing(place: Place) {
    let store = place.own("store");
    let cluster = broker(&store).await;
    let config = config(&place, &cluster, "spool");
    let wanted = truth(&store, &config).await;
    let server = Server::start(&place, &config).await;
    cluster.reveal(0.2);
    server.wait_for(COMPARED[0].1, 1).await;
    let growing = async {
        for step in 3..=10 {
            cluster.reveal(f64::from(step) / 10.0);
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    };
    let (imported, ()) = tokio::join!(import(&place, &config, &store), growing);
    if let Err(error) = imported {
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        let advice = if place.has_locks() { "wait for it to end" } else { "run the import again" };
        assert!(error.to_string().contains(advice), "{error}");
    }
    server.wait_for(COMPARED[0].1, wanted[0].len()).await;
    server.stop().await;
    import(&place, &config, &store).await.unwrap();
    assert_rows(&place, &wanted).await;
    place.assert_sound().await;
}

/// Every table of a lake as sorted rows.
async fn all_rows(place: &Place) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for def in mqlake::lake::schema::TABLES {
        rows.push(place.rows(&format!("SELECT * FROM {}", def.name)).await);
    }
    rows
}

async fn keep_in_shape(lake: &Lake, turns: usize) {
    let owner = Owner::of("qmq", "(upkeep)");
    for turn in 0..turns {
        // where there are locks another process has this turn
        let Ok(_lock) = lake.become_writer(&owner).await else { continue };
        let now = if turn % 2 == 0 { week_end() - chrono::TimeDelta::days(6) } else { week_end() };
        lake.compact(now, 2, &owner).await.unwrap();
        lake.settle(now, &owner).await.unwrap();
        lake.vacuum().await.unwrap();
    }
}

async fn two_processes_that_keep_tables_in_shape_lose_nothing(place: Place) {
    let store = place.own("store");
    generate::store(&store, 600, 3);
    let mut config = Config::default();
    config.import.flush_rows = 100;
    config.lake.settled_rows = 60;
    let lake = place.lake(&config.lake).await;
    let request = ImportRequest { store, broker_group: "gen".to_owned(), skip_corrupt: false };
    // before any of its days is over: nothing is settled by the import itself
    let now = week_end() - chrono::TimeDelta::days(7);
    lake.import(&request, &config, Arc::new(Progress::default()), now).await.unwrap();
    let before = all_rows(&place).await;
    let other = place.lake(&config.lake).await;
    tokio::join!(keep_in_shape(&lake, 4), keep_in_shape(&other, 4), async {
        // a commit of rows has its turn meanwhile
        assert_eq!(other.append_posted(&posted("beside")).await.unwrap(), [(1, 0)]);
    });
    let after = all_rows(&place).await;
    for ((def, before), after) in mqlake::lake::schema::TABLES.iter().zip(&before).zip(&after) {
        match def.name {
            "trace" | "message_key" => assert_eq!(after.len(), before.len() + 1, "{}", def.name),
            _ => assert_eq!(after, before, "{}", def.name),
        }
    }
    keep_in_shape(&*place.lake(&config.lake).await, 2).await;
    for def in mqlake::lake::schema::TABLES.iter().filter(|def| !["trace", "message_key"].contains(&def.name))
    {
        let rows = place.rows(&format!("SELECT * FROM {}", def.name)).await.len() as i64;
        assert_eq!(place.glob_rows(def.name).await, rows, "GLOB-ONCE: {}", def.name);
    }
    place.assert_sound().await;
}
