//! Store directories of real brokers: the commit log, the heads of the index files and the tables in `config`.
//!
//! The log is walked from record to record and believed; consume queues are not read, they follow from the log.

use super::broker::Broker;
use super::json;
use super::record::Record;
use super::topics::TopicConfig;
use serde_json::{Map, Value};
use std::path::Path;

const BLANK_MAGIC: u32 = 0xCBD4_3194;

/// Fills a broker that has no records yet.
pub(super) fn load(broker: &mut Broker, dir: &Path) {
    assert_eq!(broker.log.len(), 0, "a broker without records");
    broker.log.index_files =
        files(&dir.join("index")).into_iter().map(|(_, bytes)| index_head(&bytes)).collect();
    let files = files(&dir.join("commitlog"));
    if let Some((_, first)) = files.first() {
        broker.log.file_bytes = first.len() as i64;
    }
    for (name, bytes) in &files {
        load_file(broker, name.parse().expect("an offset as name"), bytes);
    }
    load_config(broker, &dir.join("config"));
}

/// Files with only digits in their names, in order.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
    let mut names: Vec<_> = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).collect();
    names.sort();
    let read = |name: String| {
        let bytes = std::fs::read(dir.join(&name)).expect("a readable file");
        (name, bytes)
    };
    names.into_iter().map(read).collect()
}

/// First physical offset and first store time of an index file.
fn index_head(bytes: &[u8]) -> (i64, i64) {
    let number = |at: usize| i64::from_be_bytes(*bytes[at..].first_chunk().expect("a head of 40 bytes"));
    (number(16), number(0))
}

fn load_file(broker: &mut Broker, base: i64, bytes: &[u8]) {
    let mut at = 0;
    while let Some(head) = bytes.get(at..at + 8) {
        let size = i32::from_be_bytes(*head.first_chunk().expect("4 bytes"));
        let magic = u32::from_be_bytes(*head.last_chunk().expect("4 bytes"));
        // Zeros are the end of the log, which is in the last file.
        if magic == BLANK_MAGIC || size == 0 {
            break;
        }
        let end = at + usize::try_from(size).expect("a size");
        let record = Record::parse(&bytes[at..end]);
        assert_eq!(record.physical, base + at as i64, "physical offset");
        broker.add(&record);
        at = end;
    }
}

fn load_config(broker: &mut Broker, dir: &Path) {
    for (topic, config) in table(dir, "topics.json", "topicConfigTable") {
        broker.set_topic(&topic, TopicConfig::from_json(&config));
    }
    for (group, _) in table(dir, "subscriptionGroup.json", "subscriptionGroupTable") {
        broker.groups.insert(group);
    }
    for (name, queues) in table(dir, "consumerOffset.json", "offsetTable") {
        let (topic, group) = name.split_once('@').expect("topic@group");
        broker.offsets.insert((topic.to_owned(), group.to_owned()), numbers(&queues));
    }
    broker.delay_offsets = numbers(&table(dir, "delayOffset.json", "offsetTable").into());
}

/// A table of a file; an empty one without the file.
fn table(dir: &Path, file: &str, member: &str) -> Map<String, Value> {
    let Ok(text) = std::fs::read_to_string(dir.join(file)) else { return Map::new() };
    json::read(&text)[member].as_object().cloned().unwrap_or_default()
}

fn numbers<C: FromIterator<(i32, i64)>>(table: &Value) -> C {
    let rows = table.as_object().into_iter().flatten();
    rows.map(|(key, value)| (key.parse().expect("a number"), value.as_i64().expect("a number"))).collect()
}
