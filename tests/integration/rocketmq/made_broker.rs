//! A broker's store made record by record, that can lose its end, be made anew, lose its clock and make topics anew.
//!
//! It knows what its log holds; what an import makes of the files is for tests to say.

use std::collections::BTreeMap;
use std::path::Path;

use mqlake::brokers::rocketmq::format::properties::Properties;
use mqlake::brokers::rocketmq::format::record::Record;
use mqlake::brokers::rocketmq::format::record_encode::{encode, encode_blank};

/// Bytes of a file of the log.
pub const FILE_BYTES: u64 = 2048;
/// Store time of the first record.
pub const FIRST_MS: i64 = 1_764_489_600_000;

/// A record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub id: String,
    pub body: String,
    pub topic: String,
    pub queue: i32,
    pub queue_offset: i64,
    pub offset: u64,
    pub size: u64,
}

/// A broker.
pub struct MadeBroker {
    /// Bytes of each file by its start, without the zeros that fill it.
    files: BTreeMap<u64, Vec<u8>>,
    /// What stands behind the end of the log: what the last cut left.
    remains: BTreeMap<u64, Vec<u8>>,
    /// What the log holds.
    pub log: Vec<Stored>,
    /// Next offset of each queue.
    ends: BTreeMap<(String, i32), i64>,
    /// The broker's clock.
    pub now_ms: i64,
    /// Records made so far, those that were lost included.
    made: usize,
}

impl MadeBroker {
    pub fn new() -> MadeBroker {
        MadeBroker {
            files: BTreeMap::from([(0, Vec::new())]),
            remains: BTreeMap::new(),
            log: Vec::new(),
            ends: BTreeMap::new(),
            now_ms: FIRST_MS,
            made: 0,
        }
    }

    /// Appends a message with a body of about `body_bytes` bytes; its key is `k` and its number.
    pub fn append(&mut self, topic: &str, queue: i32, body_bytes: usize) {
        let id = format!("0A0101011A2B18B4AAC251C7{:08X}", self.made);
        let body = format!("{:<body_bytes$}", format!("body-{}", self.made));
        let properties = format!("KEYS\u{1}k{}\u{2}UNIQ_KEY\u{1}{id}\u{2}", self.made);
        self.made += 1;
        let end = self.ends.entry((topic.to_owned(), queue)).or_default();
        let queue_offset = *end;
        *end += 1;
        let mut record = Record {
            queue_id: queue,
            queue_offset,
            born_timestamp: self.now_ms,
            store_timestamp: self.now_ms,
            body: body.as_bytes(),
            topic: topic.as_bytes(),
            properties: Properties::new(properties.as_bytes()),
            ..Record::default()
        };
        let mut bytes = Vec::new();
        encode(&mut bytes, &record);
        let (mut start, mut written) =
            self.files.last_key_value().map(|(s, b)| (*s, b.len() as u64)).unwrap();
        if written + bytes.len() as u64 + 8 > FILE_BYTES {
            let file = self.files.get_mut(&start).unwrap();
            encode_blank(file, (FILE_BYTES - written) as usize);
            (start, written) = (start + FILE_BYTES, 0);
            self.files.insert(start, Vec::new());
        }
        record.position = (start + written) as i64;
        bytes.clear();
        encode(&mut bytes, &record);
        let (offset, size) = (start + written, bytes.len() as u64);
        self.files.get_mut(&start).unwrap().extend_from_slice(&bytes);
        let topic = topic.to_owned();
        self.log.push(Stored { id, body, topic, queue, queue_offset, offset, size });
    }

    /// Loses the last records in a crash. What stood there remains behind the end of the log, or is zeros.
    pub fn lose(&mut self, records: usize, leaves_remains: bool) {
        let kept = self.log.len().saturating_sub(records);
        let Some(cut) = self.log.get(kept).map(|stored| stored.offset) else { return };
        self.log.truncate(kept);
        self.ends.clear();
        for Stored { topic, queue, queue_offset, .. } in &self.log {
            self.ends.insert((topic.clone(), *queue), queue_offset + 1);
        }
        let start = cut / FILE_BYTES * FILE_BYTES;
        self.files.retain(|file, _| *file <= start);
        self.remains.clear();
        let file = self.files.get_mut(&start).unwrap();
        if leaves_remains {
            self.remains.insert(start, file.clone());
        }
        file.truncate((cut - start) as usize);
    }

    /// Loses its disk and begins anew.
    pub fn rebuild(&mut self) {
        let (made, now_ms) = (self.made, self.now_ms);
        *self = MadeBroker { made, now_ms, ..MadeBroker::new() };
    }

    /// A topic is deleted; its next message has offset 0 again.
    pub fn delete_topic(&mut self, topic: &str) {
        self.ends.retain(|(of, _), _| of != topic);
    }

    /// Retention removes the oldest file, unless it is the only one.
    pub fn remove_oldest_file(&mut self) {
        if self.files.len() > 1
            && let Some((start, _)) = self.files.pop_first()
        {
            self.log.retain(|stored| stored.offset >= start + FILE_BYTES);
        }
    }

    /// Writes the store directory anew.
    pub fn write(&self, store: &Path, with_queues: bool) {
        if store.exists() {
            std::fs::remove_dir_all(store).unwrap();
        }
        std::fs::create_dir_all(store.join("commitlog")).unwrap();
        for (start, written) in &self.files {
            let mut bytes = written.clone();
            if let Some(remains) = self.remains.get(start).and_then(|remains| remains.get(bytes.len()..)) {
                bytes.extend_from_slice(remains);
            }
            bytes.resize(FILE_BYTES as usize, 0);
            std::fs::write(store.join(format!("commitlog/{start:020}")), bytes).unwrap();
        }
        if !with_queues {
            return;
        }
        let mut queues: BTreeMap<(&str, i32), Vec<u8>> = BTreeMap::new();
        for Stored { topic, queue, queue_offset, offset, size, .. } in &self.log {
            let items = queues.entry((topic, *queue)).or_default();
            let at = *queue_offset as usize * 20;
            // a topic that was made anew has a new queue
            items.truncate(at);
            items.resize(at, 0);
            items.extend_from_slice(&(*offset as i64).to_be_bytes());
            items.extend_from_slice(&(*size as i32).to_be_bytes());
            items.extend_from_slice(&[0; 8]);
        }
        for ((topic, queue), mut items) in queues {
            let folder = store.join(format!("consumequeue/{topic}/{queue}"));
            std::fs::create_dir_all(&folder).unwrap();
            items.resize(items.len() + 200, 0);
            std::fs::write(folder.join(format!("{:020}", 0)), items).unwrap();
        }
    }
}
