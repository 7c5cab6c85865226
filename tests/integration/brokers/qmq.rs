//! QMQ: one broker group over the peer in `tests/integration/peer`, and its store directory with the same bytes.
//!
//! Of five messages three are normal, one is a retry and one a dead letter. Each normal one is pulled and acknowledged.
//! After every fifty messages both logs begin a new segment.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use mqlake::brokers::qmq::follow::{SeekTarget, seek};
use mqlake::brokers::qmq::format::action_log::{Action, ActionKind};
use mqlake::brokers::qmq::format::{action_log, message_log, payload};
use mqlake::brokers::qmq::import::ImportRequest;
use mqlake::brokers::qmq::logs;
use mqlake::config::Config;
use mqlake::error::Result;
use mqlake::lake::schema::{DEAD_MESSAGE, TableDef};
use mqlake::lake::{Lake, StreamId};
use serde_json::{Value, json};

use crate::peer::{GroupLogs, Peer, PeerSettings};
use crate::support::{self, week_end};

const GROUP: &str = "g1";
/// Create time of message 0.
const FIRST_MS: i64 = 1_716_200_000_000;
/// Bytes of an answer: a few records, so that a position of a table seldom lies where an answer begins.
const BATCH_BYTES: usize = 700;
const MESSAGES_A_SEGMENT: usize = 50;
/// What a broker leaves behind the marker at the end of a segment of actions.
const GARBAGE: [u8; 12] = [0xC3, 0xB2, 0xA1, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x07, 0x07];

/// The queues, by number of the message modulo five.
const QUEUES: [&str; 5] = ["order", "order", "order", "%RETRY%order%g", "%DEAD_RETRY%order%g"];

super::over!(Qmq);

/// Bytes of a log by base of the segment.
#[derive(Debug, Clone)]
struct Segments {
    bytes: Vec<Vec<u8>>,
    size: usize,
}

impl Segments {
    fn new(size: usize) -> Segments {
        Segments { bytes: vec![Vec::new()], size }
    }

    fn base(&self, segment: usize) -> u64 {
        (segment * self.size) as u64
    }

    fn end(&self) -> u64 {
        self.base(self.bytes.len() - 1) + self.bytes[self.bytes.len() - 1].len() as u64
    }

    fn append(&mut self, bytes: &[u8]) {
        self.bytes.last_mut().unwrap().extend_from_slice(bytes);
    }

    /// Everything from an offset on is gone.
    fn truncate(&mut self, offset: u64) {
        let segment = offset as usize / self.size;
        self.bytes.truncate(segment + 1);
        self.bytes[segment].truncate(offset as usize % self.size);
    }

    fn with_bases(&self) -> Vec<(u64, Vec<u8>)> {
        (0..self.bytes.len()).map(|segment| (self.base(segment), self.bytes[segment].clone())).collect()
    }

    /// Files as a broker has them: full ones with a hole in place of what was not written, and what is written of the last.
    fn write(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        for (segment, bytes) in self.bytes.iter().enumerate() {
            let file = File::create(folder.join(format!("{:020}", self.base(segment)))).unwrap();
            if segment + 1 < self.bytes.len() {
                file.set_len(self.size as u64).unwrap();
            }
            file.write_all_at(bytes, 0).unwrap();
        }
    }
}

/// Where a message begins in both logs: end of the log before it.
#[derive(Debug, Clone, Copy)]
struct Begin {
    message: u64,
    action: u64,
}

/// A message that the logs hold.
#[derive(Debug, Clone, Copy)]
struct Held {
    number: u32,
    begin: Begin,
    /// Where it begins once a new segment has been begun for it.
    first: Begin,
}

/// A broker group.
pub(super) struct Qmq {
    peer: Peer,
    messages: Segments,
    actions: Segments,
    held: Vec<Held>,
    /// Rows of every message there ever was.
    rows: Vec<Vec<(&'static str, Value)>>,
    /// Next sequence of each queue.
    sequences: BTreeMap<&'static str, i64>,
}

impl Qmq {
    /// Appends one message with its actions to the logs; returns the bytes that are new in each.
    fn append(&mut self) -> [Vec<Vec<u8>>; 2] {
        let number = self.rows.len() as u32;
        let begin = Begin { message: self.messages.end(), action: self.actions.end() };
        let [mut new_messages, mut new_actions] = [Vec::new(), Vec::new()];
        if !self.held.is_empty() && self.held.len().is_multiple_of(MESSAGES_A_SEGMENT) {
            let (mut marker, mut action_marker) = (Vec::new(), Vec::new());
            message_log::encode_end_of_segment(&mut marker, created(number), message_log::MIN_RECORD_BYTES);
            action_log::encode_end_of_segment(&mut action_marker, &GARBAGE);
            for (log, marker, new) in [
                (&mut self.messages, marker, &mut new_messages),
                (&mut self.actions, action_marker, &mut new_actions),
            ] {
                log.append(&marker);
                log.bytes.push(Vec::new());
                new.push(marker);
            }
        }
        let first = Begin { message: self.messages.end(), action: self.actions.end() };
        let kind = number as usize % 5;
        let queue = QUEUES[kind];
        let next = self.sequences.entry(queue).or_default();
        let sequence = *next;
        *next += 1;
        let (id, time) = (format!("id{number}"), created(number));
        let content = payload::encode(0, time, time + 9000, queue, &id, &[], &[("k", &value(number))]);
        let mut record = Vec::new();
        message_log::encode(&mut record, 3, time + 10, sequence, queue, &content);
        self.messages.append(&record);
        new_messages.push(record);
        let mut rows = message_rows(number, kind, sequence);
        if kind < 3 {
            for (step, kind) in [pull(sequence), ack(sequence)].into_iter().enumerate() {
                let at = time + 20 + step as i64;
                let record = action(&consumer(number), at, kind);
                self.actions.append(&record);
                new_actions.push(record);
                rows.push(("record", record_row(0, sequence, &consumer(number), step as i64, at)));
            }
        }
        self.rows.push(rows);
        self.held.push(Held { number, begin, first });
        [new_messages, new_actions]
    }

    fn place(&self, message: u32) -> usize {
        self.held.iter().position(|held| held.number == message).expect("a message that the logs hold")
    }

    /// Appends messages that nobody sees before [`Qmq::replace`].
    fn append_unseen(&mut self, messages: u32) -> Range<u32> {
        let first = self.rows.len() as u32;
        (0..messages).for_each(|_| drop(self.append()));
        first..self.rows.len() as u32
    }

    /// The peer has the logs as they are now.
    fn replace(&self) {
        let logs = self.logs();
        self.peer.drop_connections();
        self.peer.replace_logs(GROUP, logs);
        self.peer.drop_connections();
    }

    fn logs(&self) -> GroupLogs {
        GroupLogs::from_bytes(GROUP, self.messages.with_bases(), self.actions.with_bases())
    }
}

fn created(number: u32) -> i64 {
    FIRST_MS + i64::from(number) * 1000
}

/// Value of the attribute of a message: of several sizes, so that records seldom begin where others began.
fn value(number: u32) -> String {
    format!("v{number}{}", "x".repeat(number as usize * 7 % 11))
}

/// Consumer of a message, of several sizes as well.
fn consumer(number: u32) -> String {
    format!("c{}", "x".repeat(number as usize * 5 % 7))
}

fn pull(sequence: i64) -> ActionKind {
    ActionKind::Pull {
        broadcast: false,
        first_sequence: sequence,
        last_sequence: sequence,
        first_message_sequence: sequence,
        last_message_sequence: sequence,
    }
}

fn ack(sequence: i64) -> ActionKind {
    ActionKind::RangeAck { first_sequence: sequence, last_sequence: sequence }
}

fn action(consumer: &str, at: i64, kind: ActionKind) -> Vec<u8> {
    let mut record = Vec::new();
    let action = Action {
        subject: b"order",
        consumer_group: b"g",
        consumer_id: consumer.as_bytes(),
        timestamp_ms: at,
        kind,
    };
    action_log::encode(&mut record, &action);
    record
}

fn record_row(kind: i64, sequence: i64, consumer: &str, action: i64, at: i64) -> Value {
    json!({
        "subject": "order", "kind": kind, "consumer_group": "g", "sequence": sequence,
        "consumer_id": consumer, "action": action, "ms": at,
    })
}

/// The rows of a message without those of its actions.
fn message_rows(number: u32, kind: usize, sequence: i64) -> Vec<(&'static str, Value)> {
    let (id, time) = (format!("id{number}"), created(number));
    let message = |kind: Option<i64>, group: Option<&str>| {
        let mut row = json!({"subject": "order", "sequence": sequence, "message_id": id, "ms": time});
        if let Some(kind) = kind {
            row["kind"] = kind.into();
        }
        if let Some(group) = group {
            row["consumer_group"] = group.into();
        }
        row
    };
    if kind < 3 {
        return vec![("message", message(Some(0), None))];
    }
    if kind == 3 {
        return vec![("message", message(Some(1), Some("g")))];
    }
    let mut content = message(None, Some("g"));
    content["attributes"] = json!({"k": value(number)});
    vec![
        ("dead_message", message(None, Some("g"))),
        ("content", content),
        // the mark of a dead letter
        ("record", record_row(2, sequence, "", -2, time + 500)),
    ]
}

impl super::Broker for Qmq {
    const GROUP: &'static str = GROUP;
    const COMPARED: &'static [(&'static str, &'static str)] = &[
        (
            "message",
            "SELECT subject, CAST(kind AS BIGINT) AS kind, consumer_group, sequence, message_id, \
             CAST(create_time AS BIGINT) AS ms FROM message WHERE broker_group = 'g1'",
        ),
        (
            "dead_message",
            "SELECT subject, consumer_group, sequence, message_id, CAST(create_time AS BIGINT) AS ms \
             FROM dead_message WHERE broker_group = 'g1'",
        ),
        (
            "record",
            "SELECT subject, CAST(kind AS BIGINT) AS kind, consumer_group, sequence, consumer_id, \
             CAST(action AS BIGINT) AS action, CAST(action_time AS BIGINT) AS ms \
             FROM record WHERE broker_group = 'g1'",
        ),
        // what is followed keeps those of dead letters only
        (
            "content",
            "SELECT subject, consumer_group, sequence, message_id, CAST(create_time AS BIGINT) AS ms, attributes \
             FROM content WHERE broker_group = 'g1' AND kind = 2",
        ),
        ("unresolved_ack", "SELECT * FROM unresolved_ack WHERE broker_group = 'g1'"),
    ];
    const ANOTHER_LOG: &'static [&'static [&'static str]] =
        &[&["message log", "message log reset"], &["action log", "action log reset"]];
    const ADVICE: &'static str = "mqlake seek --broker-group g1";
    const GAP_ALARM: Option<&'static str> = None;
    const GOES_ON_BY_ITSELF: bool = false;
    const COMMITTED_FIRST: &'static TableDef = &DEAD_MESSAGE;

    async fn start() -> Qmq {
        let logs = GroupLogs::from_bytes(GROUP, vec![(0, Vec::new())], vec![(0, Vec::new())]);
        let settings = PeerSettings { batch_size: BATCH_BYTES, ..PeerSettings::default() };
        let peer = Peer::start(vec![logs], settings).await;
        peer.reveal_all();
        Qmq {
            peer,
            messages: Segments::new(message_log::SEGMENT_BYTES),
            actions: Segments::new(action_log::SEGMENT_BYTES),
            held: Vec::new(),
            rows: Vec::new(),
            sequences: BTreeMap::new(),
        }
    }

    fn settings(&self, home: &Path) -> Config {
        crate::follow::config(home, &self.peer)
    }

    fn stream() -> StreamId {
        logs::stream(GROUP, logs::MESSAGE)
    }

    fn grow(&mut self, messages: u32) -> Range<u32> {
        let first = self.rows.len() as u32;
        for _ in 0..messages {
            let [messages, actions] = self.append();
            messages.iter().for_each(|bytes| self.peer.append_message(GROUP, bytes));
            actions.iter().for_each(|bytes| self.peer.append_action(GROUP, bytes));
        }
        first..self.rows.len() as u32
    }

    fn rows(&self, message: u32) -> Vec<(&'static str, Value)> {
        self.rows[message as usize].clone()
    }

    async fn restart(&mut self, messages: u32) -> Range<u32> {
        self.peer.move_slave(GROUP);
        self.grow(messages)
    }

    async fn lose(&mut self, lost: u32, messages: u32) -> Range<u32> {
        let kept = self.held.len() - lost as usize;
        let begin = self.held[kept].begin;
        self.messages.truncate(begin.message);
        self.actions.truncate(begin.action);
        // its sequences are used again
        for held in self.held.drain(kept..) {
            *self.sequences.get_mut(QUEUES[held.number as usize % 5]).unwrap() -= 1;
        }
        let new = self.append_unseen(messages);
        self.replace();
        new
    }

    async fn make_anew(&mut self, messages: u32) -> Range<u32> {
        self.messages = Segments::new(message_log::SEGMENT_BYTES);
        self.actions = Segments::new(action_log::SEGMENT_BYTES);
        self.held.clear();
        self.sequences.clear();
        let new = self.append_unseen(messages);
        self.replace();
        new
    }

    fn remove_before(&mut self, message: u32) {
        let first = self.held[self.place(message)].first;
        self.peer.set_minimum(GROUP, first.message, first.action);
    }

    fn gaps(&self, removed: Range<u32>) -> Vec<(String, u64, u64)> {
        let from = self.held[self.place(removed.start)].begin;
        let to = self.held[self.place(removed.end)].first;
        vec![
            ("qmq/g1/action".to_owned(), from.action, to.action),
            ("qmq/g1/message".to_owned(), from.message, to.message),
        ]
    }

    async fn accept(&self, config: &Config) {
        let lake = support::open(config).await;
        for log in [logs::MESSAGE, logs::ACTION] {
            let moved = seek(&lake, config, GROUP, log, SeekTarget::Start).await.unwrap();
            assert!(moved.is_some_and(|(_, to)| to == 0), "{moved:?}");
        }
    }

    fn write_store(&self, store: &Path) {
        self.messages.write(&store.join("messagelog"));
        self.actions.write(&store.join("actionlog"));
    }

    async fn import(lake: &Lake, config: &Config, store: &Path) -> Result<()> {
        let request =
            ImportRequest { store: store.to_path_buf(), broker_group: GROUP.to_owned(), skip_corrupt: false };
        lake.import(&request, config, std::sync::Arc::default(), week_end()).await.map(drop)
    }

    fn import_arguments() -> Vec<&'static str> {
        vec!["--broker-group", GROUP]
    }

    fn assert_nothing_received(&self) {
        assert_eq!(self.peer.counters(GROUP).index.bytes, 0, "bytes of index answers");
    }

    fn assert_only_read(&self) {
        let asked = self.peer.counters(GROUP);
        assert_eq!((asked.refused, asked.unknown), (0, 0), "{asked:?}");
    }
}
