//! Small stores made for one test: records as a broker writes them, imported into a lake of their own.

use std::path::PathBuf;
use std::time::Duration;

use mqlake::brokers::rocketmq::format::properties::Properties;
use mqlake::brokers::rocketmq::format::record::Record;
use mqlake::brokers::rocketmq::format::record_encode::encode;
use mqlake::brokers::rocketmq::format::sys_flag::SysFlag;
use mqlake::config::Config;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::http::Server;
use crate::support::{self, rocketmq, rows};

/// 2025-11-30T08:00Z.
pub const T: i64 = 1_764_489_600_000;
/// Bytes of a commit log file.
const FILE_BYTES: usize = 1 << 20;

/// A unique id.
pub fn id(number: u32) -> String {
    format!("0A0101011A2B18B4AAC251C70673{number:04X}")
}

/// A record to be stored.
#[derive(Debug, Clone, Default)]
pub struct Stored<'a> {
    pub topic: &'a str,
    pub queue: i32,
    pub offset: i64,
    /// Milliseconds after [`T`].
    pub after: i64,
    pub body: &'a str,
    pub properties: &'a [(&'a str, &'a str)],
    pub sys_flag: i32,
}

/// The store of one broker, and a lake that it is imported into.
pub struct Made {
    home: TempDir,
    log: Vec<u8>,
    broker: String,
}

impl Made {
    pub fn new() -> Made {
        Made { home: tempfile::tempdir().unwrap(), log: Vec::new(), broker: "broker-a".to_owned() }
    }

    /// Appends a record, with a unique id of its own.
    pub fn put(&mut self, unique: &str, stored: &Stored<'_>) {
        let mut properties = format!("UNIQ_KEY\u{1}{unique}\u{2}");
        for (name, value) in stored.properties {
            properties.push_str(&format!("{name}\u{1}{value}\u{2}"));
        }
        let record = Record {
            queue_id: stored.queue,
            queue_offset: stored.offset,
            position: self.log.len() as i64,
            sys_flag: SysFlag(stored.sys_flag),
            born_timestamp: T + stored.after - 5,
            store_timestamp: T + stored.after,
            body: stored.body.as_bytes(),
            topic: stored.topic.as_bytes(),
            properties: Properties::new(properties.as_bytes()),
            ..Record::default()
        };
        encode(&mut self.log, &record);
    }

    /// Appends a message of topic `Orders` with a key.
    pub fn order(&mut self, number: u32, key: &str) {
        let (offset, after) = (i64::from(number), i64::from(number) * 1000);
        let properties = [("KEYS", key)];
        self.put(
            &id(number),
            &Stored { topic: "Orders", offset, after, properties: &properties, ..Stored::default() },
        );
    }

    /// Appends a trace message; `^A` and `^B` stand for the separators.
    pub fn trace(&mut self, number: u32, after: i64, text: &str) {
        let body = text.replace("^A", "\u{1}").replace("^B", "\u{2}");
        let offset = i64::from(number);
        let stored = Stored { topic: "RMQ_SYS_TRACE_TOPIC", offset, after, body: &body, ..Stored::default() };
        self.put(&id(0xF000 + number), &stored);
    }

    /// Where what is written lies.
    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Imports what was appended since the last call; `offsets` are those of `consumerOffset.json`.
    pub async fn import(&self, offsets: &str) {
        let store = self.home.path().join(&self.broker);
        std::fs::create_dir_all(store.join("commitlog")).unwrap();
        std::fs::create_dir_all(store.join("config")).unwrap();
        let mut file = self.log.clone();
        assert!(file.len() < FILE_BYTES);
        file.resize(FILE_BYTES, 0);
        std::fs::write(store.join("commitlog/00000000000000000000"), file).unwrap();
        let offsets = format!("{{\"offsetTable\":{{{offsets}}}}}");
        std::fs::write(store.join("config/consumerOffset.json"), offsets).unwrap();
        rocketmq::import(&support::config(&self.data()), &store, &self.broker).await.unwrap();
    }

    pub async fn server(&self) -> Server {
        // these tests are about answers, however busy the machine is
        let patience = Duration::from_secs(600);
        let patient = |config: &mut Config| (config.http.timeout, config.sql.timeout) = (patience, patience);
        Server::over(&self.data(), patient).await
    }

    /// The answer to a request that succeeds.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.server().await.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    pub async fn sql(&self, statement: &str) -> Vec<Value> {
        rows::query(&self.data(), statement).await
    }
}
