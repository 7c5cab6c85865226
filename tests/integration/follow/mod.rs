//! Following a running cluster, over real sockets, against the test peer.

mod alarms;
mod edges;
mod life;
mod losses;
mod memory;
mod refusals;
pub(crate) mod rocketmq;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mqlake::config::{Config, QmqSource};
use mqlake::follow::Follow;
use mqlake::lake::{Lake, Store};
use mqlake::query::Catalog;
use mqlake::stream::SourceStatus;
use tokio::time::Instant;

use crate::peer::{GroupLogs, Peer};
use crate::support::http::Server;
use crate::support::{self, rows, week};

/// Bound of every wait; reached only by a defect.
const PATIENCE: Duration = Duration::from_secs(120);

/// Settings that follow every group of a peer, quick enough for tests.
pub fn config(home: &Path, peer: &Peer) -> Config {
    let mut config = support::config(&home.join("data"));
    config.follow.spool = Some(home.join("spool"));
    config.follow.flush_every = Duration::from_secs(1);
    config.follow.visible_every = Duration::from_millis(20);
    config.follow.retry_min = Duration::from_millis(10);
    config.follow.retry_max = Duration::from_millis(200);
    config.follow.idle_pause_min = Duration::from_millis(5);
    config.follow.idle_pause_max = Duration::from_millis(20);
    for group in peer.groups() {
        config.qmq.push(source(peer, &group));
    }
    config
}

fn source(peer: &Peer, group: &str) -> QmqSource {
    let (host, port) = peer.identity(group);
    let mut source = QmqSource::new(peer.meta_url().parse().unwrap());
    source.acquire_server_meta_url = Some(peer.slave_meta_url().parse().unwrap());
    source.host_name = Some(host);
    source.broker_port = port;
    source.request_timeout = Duration::from_millis(500);
    source
}

/// A server that follows, in this process.
pub struct Following {
    follow: Arc<Follow>,
    server: Server,
}

impl Following {
    pub async fn start(config: &Config) -> Following {
        let store = Store::open(&config.data, &config.storage).unwrap();
        let lake = Arc::new(Lake::open(store, config.lake.clone()).await.unwrap());
        let catalog = Arc::new(Catalog::open(lake.clone(), &config.cache).await.unwrap());
        let follow = Arc::new(Follow::start(Arc::new(config.clone()), lake, catalog.clone()).unwrap());
        let server = Server::following(catalog, config.clone(), follow.clone());
        Following { follow, server }
    }

    /// The source of a group, or the first one while no group is known.
    fn source(&self, group: &str) -> SourceStatus {
        let mut all = self.follow.status();
        let place = all.iter().position(|source| source.broker_group.as_deref() == Some(group)).unwrap_or(0);
        all.swap_remove(place)
    }

    async fn wait(&self, what: &str, mut is_so: impl FnMut(&Following) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(begun.elapsed() < PATIENCE, "{what}: {:#?}", self.follow.status());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn has_seen(&self, group: &str, ends: (u64, u64)) -> bool {
        let source = self.source(group);
        source.broker_group.as_deref() == Some(group)
            && [("message", ends.0), ("action", ends.1)].into_iter().all(|(log, end)| {
                let has_seen =
                    |position: Option<u64>| position == Some(end) || (end == 0 && position.is_none());
                source.streams.iter().any(|stream| stream.log == log && has_seen(stream.visible))
            })
    }

    /// Waits until queries see everything that the peer shows.
    pub async fn wait_until_caught_up(&self, peer: &Peer) {
        for group in peer.groups() {
            self.wait("caught up", |following| following.has_seen(&group, peer.visible(&group))).await;
        }
    }

    pub async fn stop(self) {
        self.follow.stop(PATIENCE).await;
    }

    /// Rows of a statement, hot ones included.
    async fn sql(&self, statement: &str) -> Vec<serde_json::Value> {
        let answer = self.server.sql(statement, "application/x-ndjson").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn count(&self, table: &str) -> u64 {
        let rows = self.sql(&format!("SELECT count(*) AS n FROM {table}")).await;
        rows[0]["n"].as_u64().unwrap()
    }
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/qmq-week-a")
}

fn week_logs() -> Vec<GroupLogs> {
    GroupLogs::all_from_fixture(&fixture())
}

/// What both ways of reading the sample week give: the index stream has no store times and no tags, and contents are
/// kept of dead letters only.
const COMPARED: [(&str, &str); 5] = [
    (
        "message",
        "SELECT subject, kind, consumer_group, broker_group, sequence, message_id, create_time FROM message",
    ),
    (
        "dead_message",
        "SELECT subject, consumer_group, broker_group, sequence, message_id, create_time FROM dead_message",
    ),
    ("record", "SELECT * FROM record"),
    ("unresolved_ack", "SELECT * FROM unresolved_ack"),
    (
        "content",
        "SELECT subject, consumer_group, broker_group, sequence, message_id, create_time, payload_subject, flags, \
         expire_time, schedule_time, tags, attributes, body_size, body FROM content WHERE kind = 2",
    ),
];

/// The tables equal those of an import of the same logs, which the truth files prove.
pub async fn assert_equals_import(data: &Path) {
    assert_equal(data, &week::lake()).await;
    let lake = support::open(&support::config(data)).await;
    let report = lake.verify(mqlake::brokers::streams_of).await.unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

async fn assert_equal(data: &Path, reference: &Path) {
    let mut both = [Vec::new(), Vec::new()];
    for (side, place) in both.iter_mut().zip([data, reference]) {
        let config = support::config(place);
        let engine = rows::engine(support::open(&config).await, &config).await;
        for (name, statement) in COMPARED {
            side.push((name.to_owned(), rows::sorted_lines(&engine, statement).await));
        }
    }
    let [got, wanted] = both;
    rows::assert_equal(&got, &wanted);
}
