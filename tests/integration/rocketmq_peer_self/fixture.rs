//! Loaded stores answer as the real brokers did.

use super::client::{Client, offsets};
use crate::rocketmq_peer::{Cluster, ClusterSettings, Frame, Record, offset_id};
use crate::support::rocketmq::{self, When};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use tempfile::TempDir;

fn golden(file: &str) -> Vec<Value> {
    rocketmq::lines(&format!("golden/{file}"))
}

/// A cluster with the stores `before` or `after` retention, and clients of its brokers.
async fn load(when: When) -> (Cluster, HashMap<String, Client>) {
    let cluster =
        Cluster::start(ClusterSettings { system_topics: false, ..ClusterSettings::default() }).await;
    let mut clients = HashMap::new();
    for broker in cluster.brokers() {
        let dir = TempDir::new().expect("a directory");
        rocketmq::write_store(when, &broker, dir.path());
        cluster.load_store(&broker, dir.path());
        clients.insert(broker.clone(), Client::broker(&cluster, &broker).await);
    }
    (cluster, clients)
}

struct Row<'a>(&'a Value);

impl Row<'_> {
    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_else(|| panic!("no text {name} in {}", self.0))
    }

    fn number(&self, name: &str) -> i64 {
        self.0[name].as_i64().unwrap_or_else(|| panic!("no number {name} in {}", self.0))
    }

    fn queue(&self) -> i32 {
        self.number("queue_id") as i32
    }
}

async fn compare_queues(clients: &mut HashMap<String, Client>, file: &str) {
    for row in &golden(file) {
        let row = Row(row);
        let (topic, queue) = (row.text("topic"), row.queue());
        // BenchmarkTest has a thousand queues, all empty.
        if queue > 20 {
            continue;
        }
        let client = clients.get_mut(row.text("broker")).unwrap();
        assert_eq!(client.offset(31, topic, queue, &[]).await, row.number("min_offset"), "{}", row.0);
        assert_eq!(client.offset(30, topic, queue, &[]).await, row.number("max_offset"), "{}", row.0);
        let earliest = client.call(32, &[("topic", topic), ("queueId", &queue.to_string())]).await;
        assert_eq!(earliest.number("timestamp"), row.number("earliest_store_time"), "{}", row.0);
        if row.number("last_update") != 0 {
            let stats = client.text(202, &[("topic", topic)]).await;
            let part = format!(
                r#""queueId":{queue},"topic":"{topic}"}}:{{"lastUpdateTimestamp":{},"maxOffset":"#,
                row.number("last_update")
            );
            assert!(stats.contains(&part), "{part} in {stats}");
        }
    }
}

async fn compare_searches(clients: &mut HashMap<String, Client>, file: &str) {
    for row in &golden(file) {
        let row = Row(row);
        let client = clients.get_mut(row.text("broker")).unwrap();
        let time = row.number("timestamp").to_string();
        for (name, boundary) in [("offset", None), ("lower", Some("LOWER")), ("upper", Some("UPPER"))] {
            let mut fields = vec![("timestamp", time.as_str())];
            fields.extend(boundary.map(|boundary| ("boundaryType", boundary)));
            let offset = client.offset(29, row.text("topic"), row.queue(), &fields).await;
            assert_eq!(offset, row.number(name), "{name} of {}", row.0);
        }
    }
}

fn has_key(record: &Record, topic: &str, key: &str) -> bool {
    record.topic == topic && record.index_keys().any(|of| of == key)
}

/// Offset id of a record with the address that the real broker had.
fn id(record: &Record) -> String {
    let host = &record.raw[record.raw.len().min(64)..][..8];
    let port = u16::try_from(i32::from_be_bytes(*host.last_chunk().unwrap())).unwrap();
    let ip: [u8; 4] = *host.first_chunk().unwrap();
    offset_id((ip, port).into(), record.physical)
}

async fn compare_keys(clients: &mut HashMap<String, Client>, file: &str) {
    let (mut compared, mut cut) = (0, 0);
    for row in &golden(file) {
        let row = Row(row);
        let (topic, key) = (row.text("topic"), row.text("key"));
        let (begin, end) = (row.number("begin").to_string(), row.number("end").to_string());
        let most = row.number("max").to_string();
        let fields = [
            ("topic", topic),
            ("key", key),
            ("maxNum", &most),
            ("beginTimestamp", &begin),
            ("endTimestamp", &end),
        ];
        let mut found = BTreeSet::new();
        let mut full = false;
        for client in clients.values_mut() {
            let answer = client.call(12, &fields).await;
            assert!(answer.code == 0 || answer.code == 22, "{answer:?}");
            let records = Record::parse_all(&answer.body);
            full |= records.len() == 64;
            found.extend(records.iter().filter(|record| has_key(record, topic, key)).map(id));
        }
        let expected: BTreeSet<_> =
            row.0["found"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
        assert_eq!(found, expected, "{}", row.0);
        compared += 1;
        cut += u32::from(full);
    }
    assert!(compared > 100, "{compared} queries, {cut} of them cut");
}

#[tokio::test]
async fn a_store_answers_as_the_brokers_did() {
    let (cluster, mut clients) = load(When::Before).await;
    compare_queues(&mut clients, "topics").await;
    compare_searches(&mut clients, "search_offset").await;
    compare_keys(&mut clients, "query_by_key").await;
    cluster.assert_read_only();
}

#[tokio::test]
async fn a_store_after_retention_answers_as_the_brokers_did() {
    let (_cluster, mut clients) = load(When::After).await;
    compare_queues(&mut clients, "after/topics").await;
    compare_searches(&mut clients, "after/search_offset").await;
    compare_keys(&mut clients, "after/query_by_key").await;
}

/// Retention played on the store from before gives the store from after.
#[tokio::test]
async fn played_retention_is_that_of_the_brokers() {
    let (cluster, mut clients) = load(When::Before).await;
    for broker in cluster.brokers() {
        cluster.drop_before(&broker, 6_291_456, true);
    }
    compare_queues(&mut clients, "after/topics").await;
}

#[tokio::test]
async fn messages_are_viewed_by_id() {
    let (_cluster, mut clients) = load(When::Before).await;
    for row in &golden("query_by_id") {
        // The Java client looks back three days only.
        let Some(found) = row["found"].as_str() else { continue };
        let physical = i64::from_str_radix(&found[16..], 16).unwrap();
        let broker = if &found[8..16] == "00002A9F" { "broker-a" } else { "broker-b" };
        let answer = clients.get_mut(broker).unwrap().call(33, &[("offset", &physical.to_string())]).await;
        assert_eq!(id(&Record::parse(&answer.body)), found);
    }
}

/// A reader that follows all queues while records appear gets every message once, in order.
#[tokio::test]
async fn a_follower_gets_every_message_once() {
    let (cluster, mut clients) = load(When::Before).await;
    cluster.reveal_none();
    let mut nexts: HashMap<(String, String, i32), i64> = HashMap::new();
    let mut messages = 0;
    for step in 0..=4 {
        cluster.reveal(f64::from(step) / 4.0);
        for broker in cluster.brokers() {
            let client = clients.get_mut(&broker).unwrap();
            for (topic, config) in cluster.topics(&broker) {
                // Some topics are for writing only.
                let readable = if config.perm & 4 == 0 { 0 } else { config.read_queues };
                for queue in 0..readable.min(18) {
                    let place = nexts.entry((broker.clone(), topic.clone(), queue)).or_default();
                    loop {
                        let answer = client.pull(&topic, queue, *place).await;
                        if answer.code != 0 {
                            assert_eq!(answer.code, 19);
                            break;
                        }
                        let offsets = offsets(&answer);
                        let next = *place + offsets.len() as i64;
                        assert_eq!(offsets, (*place..next).collect::<Vec<_>>());
                        *place = answer.number("nextBeginOffset");
                        assert_eq!(*place, next);
                        messages += offsets.len();
                    }
                }
            }
        }
    }
    assert_eq!(messages, rocketmq::messages().rows);
}

#[tokio::test]
async fn progress_of_groups_is_that_of_the_last_day() {
    let (_cluster, mut clients) = load(When::Before).await;
    let rows: Vec<_> = golden("consume_stats").into_iter().filter(|row| row["day"] == 3).collect();
    let mut compared = 0;
    for row in &rows {
        let row = Row(row);
        let request = Frame::request(208, 0, &[("consumerGroup", row.text("group"))], b"");
        let body = clients.get_mut(row.text("broker")).unwrap().ask(request).await.body;
        let part = format!(
            r#""queueId":{},"topic":"{}"}}:{{"brokerOffset":{},"consumerOffset":{},"lastTimestamp":{},"#,
            row.number("queue_id"),
            row.text("topic"),
            row.number("broker_offset"),
            row.number("consumer_offset"),
            row.number("last_timestamp"),
        );
        let body = String::from_utf8(body).unwrap();
        if body.contains(&part) {
            compared += 1;
        } else {
            println!("{part} not in {body}");
        }
    }
    assert_eq!(compared, rows.len());
}
