//! RocketMQ: one broker over the cluster in `tests/integration/rocketmq_peer`, and a store directory with its records.
//!
//! Of ten messages seven are normal, in three queues, one is a retry, one a dead letter and one carries a trace.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;

use mqlake::brokers::rocketmq::format::record_encode::encode_blank;
use mqlake::brokers::rocketmq::{RocketMqImport, logs};
use mqlake::config::Config;
use mqlake::error::Result;
use mqlake::lake::schema::{CONTENT, TableDef};
use mqlake::lake::{Lake, StreamId};
use serde_json::{Value, json};

use crate::rocketmq_peer::{Cluster, ClusterSettings, Message, offset_id};
use crate::scenarios::posted::trace_text;
use crate::support::rocketmq::end;

const BROKER: &str = "broker-a";
const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";
/// Store time of message 0.
const FIRST_MS: i64 = 1_764_489_600_000;
/// Bytes of a file of the commit log: a few dozen messages.
const FILE_BYTES: i64 = 16 << 10;

/// Topic, queue and kind of a message, by its number modulo ten.
const PLACES: [(&str, i32, i64); 10] = [
    ("order", 0, 0),
    ("order", 1, 0),
    ("pay", 0, 0),
    ("%RETRY%g", 0, 1),
    ("order", 0, 0),
    (TRACE_TOPIC, 0, 8),
    ("order", 1, 0),
    ("%DLQ%g", 0, 2),
    ("pay", 0, 0),
    ("order", 0, 0),
];

super::over!(RocketMq);

/// A message that the log holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    number: u32,
    offset: i64,
    physical: i64,
}

/// A broker of a cluster of its own.
pub(super) struct RocketMq {
    cluster: Cluster,
    held: Vec<Held>,
    /// Rows of every message there ever was.
    rows: Vec<Vec<(&'static str, Value)>>,
    /// Whether retention removes entries from the queues as well, which it does some time later.
    is_trimmed: bool,
}

fn place(number: u32) -> (&'static str, i32, i64) {
    PLACES[number as usize % PLACES.len()]
}

fn store_host() -> SocketAddr {
    ([10, 0, 0, 9], 10_911).into()
}

fn stored(number: u32) -> i64 {
    FIRST_MS + i64::from(number) * 1000
}

fn message_id(number: u32) -> String {
    format!("7F0000010B7518B4AAC2{number:012X}")
}

/// The id of the message that a trace is about.
fn traced(number: u32) -> String {
    format!("traced-{number}")
}

fn message(number: u32) -> Message {
    let (topic, ..) = place(number);
    let body = if topic == TRACE_TOPIC { trace_text(&traced(number)) } else { format!("body {number}") };
    Message {
        keys: format!("order-{number}"),
        unique_key: message_id(number),
        tags: "paid".to_owned(),
        store_time: Some(stored(number)),
        store_host: Some(store_host()),
        ..Message::text(&body)
    }
}

fn rows(held: Held) -> Vec<(&'static str, Value)> {
    let Held { number, offset, physical } = held;
    let (topic, queue, kind) = place(number);
    let message = json!({
        "subject": topic, "kind": kind, "queue_id": queue, "sequence": offset, "message_id": message_id(number),
        "ms": stored(number), "physical_offset": physical, "keys": [format!("order-{number}")],
    });
    let mut rows = vec![("message", message)];
    if topic == TRACE_TOPIC {
        let trace = json!({
            "msg_id": traced(number), "carrier": offset_id(store_host(), physical), "carrier_subject": topic, "ms": stored(number),
        });
        rows.push(("trace", trace));
        return rows;
    }
    let content = json!({
        "subject": topic, "queue_id": queue, "sequence": offset, "message_id": message_id(number),
        "physical_offset": physical, "body": format!("body {number}"),
    });
    rows.push(("content", content));
    let keys =
        [(0, format!("order-{number}")), (1, message_id(number)), (3, offset_id(store_host(), physical))];
    rows.extend(keys.map(|(kind, key)| {
        let row = json!({
            "key": key, "key_kind": kind, "subject": topic, "message_id": message_id(number), "queue_id": queue,
            "sequence": offset,
        });
        ("message_key", row)
    }));
    rows
}

impl RocketMq {
    fn index(&self, message: u32) -> usize {
        self.held.iter().position(|held| held.number == message).expect("a message that the log holds")
    }
}

impl super::Broker for RocketMq {
    const GROUP: &'static str = BROKER;
    const COMPARED: &'static [(&'static str, &'static str)] = &[
        (
            "message",
            "SELECT subject, CAST(kind AS BIGINT) AS kind, queue_id, sequence, message_id, \
             CAST(store_time AS BIGINT) AS ms, physical_offset, keys FROM message WHERE broker_group = 'broker-a'",
        ),
        (
            "content",
            "SELECT subject, queue_id, sequence, message_id, physical_offset, CAST(body AS VARCHAR) AS body \
             FROM content WHERE broker_group = 'broker-a'",
        ),
        // ids of trace messages and keys within traces are left out
        (
            "message_key",
            "SELECT key, CAST(key_kind AS BIGINT) AS key_kind, subject, message_id, queue_id, sequence \
             FROM message_key WHERE broker_group = 'broker-a' AND subject <> 'RMQ_SYS_TRACE_TOPIC' AND key_kind < 4",
        ),
        (
            "trace",
            "SELECT msg_id, carrier, carrier_subject, CAST(store_time AS BIGINT) AS ms FROM trace \
             WHERE broker_group = 'broker-a'",
        ),
    ];
    const ANOTHER_LOG: &'static [&'static [&'static str]] = &[&["went back"]];
    const ADVICE: &'static str = "were read";
    const GAP_ALARM: Option<&'static str> = Some("holes");
    const GOES_ON_BY_ITSELF: bool = true;
    const COMMITTED_FIRST: &'static TableDef = &CONTENT;

    async fn start() -> RocketMq {
        let settings = ClusterSettings {
            brokers: vec![BROKER.to_owned()],
            file_bytes: FILE_BYTES,
            system_topics: false,
            ..ClusterSettings::default()
        };
        let cluster = Cluster::start(settings).await;
        for (topic, queue, _) in PLACES {
            let queues = cluster.topics(BROKER).get(topic).map_or(0, |config| config.read_queues);
            cluster.set_queues(topic, queues.max(queue + 1));
        }
        RocketMq { cluster, held: Vec::new(), rows: Vec::new(), is_trimmed: false }
    }

    fn settings(&self, home: &Path) -> Config {
        crate::follow::rocketmq::config(home, &self.cluster)
    }

    fn stream() -> StreamId {
        logs::stream(BROKER, logs::PULLED)
    }

    fn grow(&mut self, messages: u32) -> Range<u32> {
        let first = self.rows.len() as u32;
        for number in first..first + messages {
            let (topic, queue, _) = place(number);
            let (offset, physical) = self.cluster.append(BROKER, topic, queue, message(number));
            let held = Held { number, offset, physical };
            self.held.push(held);
            self.rows.push(rows(held));
        }
        first..first + messages
    }

    fn rows(&self, message: u32) -> Vec<(&'static str, Value)> {
        self.rows[message as usize].clone()
    }

    async fn restart(&mut self, messages: u32) -> Range<u32> {
        self.cluster.stop_broker(BROKER).await;
        let new = self.grow(messages / 2);
        self.cluster.start_broker(BROKER);
        self.cluster.move_broker(BROKER).await;
        new.start..self.grow(messages - messages / 2).end
    }

    async fn lose(&mut self, lost: u32, messages: u32) -> Range<u32> {
        self.cluster.stop_broker(BROKER).await;
        self.cluster.lose_tail(BROKER, lost as usize);
        self.held.truncate(self.held.len() - lost as usize);
        let new = self.grow(messages);
        self.cluster.start_broker(BROKER);
        new
    }

    async fn make_anew(&mut self, messages: u32) -> Range<u32> {
        self.cluster.stop_broker(BROKER).await;
        self.cluster.rebuild_broker(BROKER);
        self.held.clear();
        let new = self.grow(messages);
        self.cluster.start_broker(BROKER);
        new
    }

    fn remove_before(&mut self, message: u32) {
        let physical = self.held[self.index(message)].physical;
        self.cluster.drop_before(BROKER, physical, self.is_trimmed);
        self.is_trimmed = !self.is_trimmed;
    }

    fn gaps(&self, removed: Range<u32>) -> Vec<(String, u64, u64)> {
        let mut gaps: BTreeMap<(&str, i32), (u64, u64)> = BTreeMap::new();
        for held in &self.held[self.index(removed.start)..self.index(removed.end)] {
            let (topic, queue, _) = place(held.number);
            let offset = held.offset as u64;
            let gap = gaps.entry((topic, queue)).or_insert((offset, offset));
            gap.1 = offset + 1;
        }
        gaps.into_iter().map(|((topic, queue), (from, to))| (format!("/{topic}/{queue}"), from, to)).collect()
    }

    async fn accept(&self, _: &Config) {}

    fn write_store(&self, store: &Path) {
        let topics = PLACES.iter().map(|(topic, queue, _)| (*topic, *queue));
        let queues: std::collections::BTreeSet<(&str, i32)> = topics.collect();
        let records =
            queues.into_iter().flat_map(|(topic, queue)| self.cluster.queue_records(BROKER, topic, queue));
        let mut files: BTreeMap<i64, BTreeMap<i64, Vec<u8>>> = BTreeMap::new();
        for record in records {
            let file = record.physical / FILE_BYTES * FILE_BYTES;
            files.entry(file).or_default().insert(record.physical, record.raw);
        }
        let folder = store.join("commitlog");
        std::fs::create_dir_all(&folder).unwrap();
        let last = files.last_key_value().map(|(start, _)| *start);
        for (start, records) in files {
            let mut bytes: Vec<u8> = Vec::new();
            for (physical, raw) in records {
                assert_eq!(start + bytes.len() as i64, physical, "records without holes");
                bytes.extend(raw);
            }
            let left = FILE_BYTES as usize - bytes.len();
            if Some(start) == last {
                bytes.resize(FILE_BYTES as usize, 0);
            } else {
                encode_blank(&mut bytes, left);
            }
            std::fs::write(folder.join(format!("{start:020}")), bytes).unwrap();
        }
    }

    async fn import(lake: &Lake, config: &Config, store: &Path) -> Result<()> {
        let request = RocketMqImport {
            store: store.to_path_buf(),
            broker: BROKER.to_owned(),
            trace_topics: Vec::new(),
            commit_logs: Vec::new(),
            skip_corrupt: false,
        };
        lake.import_rocketmq(&request, config, std::sync::Arc::default(), end()).await.map(drop)
    }

    fn import_arguments() -> Vec<&'static str> {
        vec!["--system", "rocketmq", "--broker", BROKER]
    }

    fn assert_nothing_received(&self) {
        // the last message of each queue is looked at once more: it shows whether the queue is the same
    }

    fn assert_only_read(&self) {
        self.cluster.assert_read_only();
    }
}
