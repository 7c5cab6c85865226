//! A server that follows, in this process, and what has to be true of the rows it brings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mqlake::config::Config;
use mqlake::follow::Follow;
use mqlake::lake::{Lake, Store};
use mqlake::query::{Catalog, SqlEngine};
use mqlake::stream::{SourceStatus, StreamState};
use serde_json::Value;
use tokio::time::Instant;

use super::Broker;
use crate::support::rows;

/// Bound of every wait; reached only by a defect.
pub(super) const PATIENCE: Duration = Duration::from_secs(240);
/// Time between two looks at the status.
const LOOK: Duration = Duration::from_millis(10);
/// Time between two statements, which cost more than what they wait for.
const STATEMENT: Duration = Duration::from_millis(80);

/// Sorted lines by table.
pub(super) type Rows = BTreeMap<&'static str, Vec<String>>;

/// The rows that these messages make. A number that is there twice makes its rows twice.
pub(super) fn truth<B: Broker>(broker: &B, messages: &[u32]) -> Rows {
    let mut rows: Rows = B::COMPARED.iter().map(|(table, _)| (*table, Vec::new())).collect();
    for message in messages {
        for (table, row) in broker.rows(*message) {
            rows.get_mut(table).unwrap_or_else(|| panic!("{table} is not compared")).push(row.to_string());
        }
    }
    rows.values_mut().for_each(|lines| lines.sort());
    rows
}

async fn lines(engine: &SqlEngine, statement: &str) -> Vec<String> {
    let lines = rows::sorted_lines(engine, statement).await;
    let plain = |line: String| serde_json::from_str::<Value>(&line).unwrap().to_string();
    let mut lines: Vec<String> = lines.into_iter().map(plain).collect();
    lines.sort();
    lines
}

fn assert_same(what: &str, table: &str, found: &[String], wanted: &[String]) {
    let difference = found.iter().zip(wanted).find(|(found, wanted)| found != wanted);
    assert!(difference.is_none(), "{what}: table {table}: found and wanted {difference:#?}");
    assert_eq!(found.len(), wanted.len(), "{what}: rows of table {table}");
}

/// Compares what is committed with the truth, verifies the lake, and asks the broker whether it was only read.
pub(super) async fn check<B: Broker>(what: &str, store: Store, broker: &B, messages: &[u32]) {
    broker.assert_only_read();
    let settings = Config::default();
    let lake = Arc::new(Lake::open_existing(store, settings.lake.clone()).await.unwrap());
    let report = lake.verify(mqlake::brokers::streams_of).await.unwrap();
    assert!(report.findings.is_empty(), "{what}: {:?}", report.findings);
    let engine = rows::engine(lake, &settings).await;
    let truth = truth(broker, messages);
    for (table, statement) in B::COMPARED {
        assert_same(what, table, &lines(&engine, statement).await, &truth[table]);
    }
}

/// The lake that settings name.
pub(super) fn store(config: &Config) -> Store {
    Store::open(&config.data, &config.storage).unwrap()
}

/// A server.
pub(super) struct Server {
    pub(super) follow: Follow,
    engine: SqlEngine,
}

impl Server {
    /// Over the lake that the settings name.
    pub(super) async fn start(config: &Config) -> Server {
        Server::over(store(config), config).await
    }

    /// Over a store.
    pub(super) async fn over(store: Store, config: &Config) -> Server {
        let lake = Arc::new(Lake::open(store, config.lake.clone()).await.unwrap());
        let catalog = Arc::new(Catalog::open(lake.clone(), &config.cache).await.unwrap());
        let engine = SqlEngine::new(catalog.clone(), config.sql.clone()).unwrap();
        let follow = Follow::start(Arc::new(config.clone()), lake, catalog).unwrap();
        Server { follow, engine }
    }

    /// The source, once there is one.
    pub(super) fn source(&self) -> Option<SourceStatus> {
        self.follow.status().into_iter().find(|source| source.broker_group.is_some())
    }

    /// Waits for a state of the source.
    pub(super) async fn wait(&self, what: &str, mut is_so: impl FnMut(&SourceStatus) -> bool) {
        let begun = Instant::now();
        while !self.source().is_some_and(|source| is_so(&source)) {
            assert!(begun.elapsed() < PATIENCE, "{what}: {:#?}", self.follow.status());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until queries see the rows of these messages, committed or not, and asserts that they see no others.
    pub(super) async fn wait_for<B: Broker>(&self, what: &str, broker: &B, messages: &[u32]) {
        let begun = Instant::now();
        let truth = truth(broker, messages);
        for (table, statement) in B::COMPARED {
            let wanted = &truth[table];
            loop {
                let found = lines(&self.engine, statement).await;
                if found.len() >= wanted.len() {
                    assert_same(what, table, &found, wanted);
                    break;
                }
                assert!(
                    begun.elapsed() < PATIENCE,
                    "{what}: {} of {} rows of table {table}: {:#?}",
                    found.len(),
                    wanted.len(),
                    self.follow.status()
                );
                tokio::time::sleep(STATEMENT).await;
            }
        }
    }

    /// Waits until queries see as many rows as these messages make. Where another server commits the same rows there may
    /// be more for a moment.
    pub(super) async fn wait_for_as_many<B: Broker>(&self, what: &str, broker: &B, messages: &[u32]) {
        let begun = Instant::now();
        let truth = truth(broker, messages);
        for (table, statement) in B::COMPARED {
            while lines(&self.engine, statement).await.len() < truth[table].len() {
                assert!(begun.elapsed() < PATIENCE, "{what}: {table}: {:#?}", self.follow.status());
                tokio::time::sleep(STATEMENT).await;
            }
        }
    }

    /// Waits until everything that was received is committed and nothing is wrong.
    pub(super) async fn wait_until_committed(&self) {
        // samples of what is received anyway go on coming
        let received: Vec<Option<u64>> = self.streams().map(|stream| stream.received).collect();
        let is_committed = |source: &SourceStatus| {
            let committed = source.streams.iter().map(|stream| stream.committed);
            source.alarms.is_empty()
                && committed.zip(&received).all(|(committed, received)| committed >= *received)
        };
        self.wait("everything committed", is_committed).await;
    }

    fn streams(&self) -> impl Iterator<Item = StreamState> {
        self.source().into_iter().flat_map(|source| source.streams)
    }

    /// Commits what was received, and stops.
    pub(super) async fn stop(self) {
        self.follow.stop(PATIENCE).await;
    }
}
