//! A generated broker store whose logs span several segments.
//!
//! Segments have their real sizes but are sparse: the free rest before an end marker is a hole. Retention has
//! removed the first ones, sequences do not begin at 0, the padding behind end markers of the action log is
//! garbage, bodies go up to 250 kB.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use mqlake::brokers::qmq::format::action_log::{Action, ActionKind};
use mqlake::brokers::qmq::format::{action_log, message_log, payload};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// What a generated store holds.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Expected {
    pub normal: u64,
    pub retry: u64,
    pub dead: u64,
    pub pulls: u64,
    pub acks: u64,
    pub records: u64,
}

/// First sequence of every subject.
pub const FIRST_SEQUENCE: i64 = 1_000_000;
const SUBJECTS: usize = 12;
const START_MS: i64 = 1_716_134_400_000;

/// Writes a store with `messages` messages; about as many end up in each of three message log segments and
/// three action log segments.
pub fn store(root: &Path, messages: u64, seed: u64) -> Expected {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut log = SegmentedLog::new(&root.join("messagelog"), message_log::SEGMENT_BYTES as u64, 5);
    let mut actions = SegmentedLog::new(&root.join("actionlog"), action_log::SEGMENT_BYTES as u64, 7);
    let mut expected = Expected::default();
    let mut sequences = [FIRST_SEQUENCE; SUBJECTS];
    let mut pulled = [0_i64; SUBJECTS];
    let mut queues = [0_i64; 2];
    for number in 0..messages {
        let now = START_MS + number as i64 * 40;
        let subject = (random.random_range(0..SUBJECTS) * random.random_range(0..SUBJECTS)) / SUBJECTS;
        let id = format!("240520.000000.10.0.0.1.77.{number}");
        let body_bytes = if number % 997 == 0 { 250_000 } else { random.random_range(0..200) };
        let name = format!("generated.{subject}");
        let sequence = sequences[subject];
        sequences[subject] += 1;
        expected.normal += 1;
        log.message(now, sequence, &name, &content(&name, &id, now, body_bytes));
        for (queue, prefix) in ["%RETRY%", "%DEAD_RETRY%"].into_iter().enumerate() {
            if number % 50 == 7 + queue as u64 * 10 {
                let name = format!("{prefix}generated.{subject}%workers");
                log.message(now, queues[queue], &name, &content(&name, &id, now + 1, 20));
                queues[queue] += 1;
                if queue == 0 { expected.retry += 1 } else { expected.dead += 1 }
            }
        }
        if number % 3 == 0 {
            let count = random.random_range(1..4);
            let first = pulled[subject];
            pulled[subject] += count;
            expected.pulls += 1;
            expected.acks += 1;
            expected.records += 2 * count as u64;
            let range = (first, first + count - 1);
            actions.action(
                &name,
                now,
                ActionKind::Pull {
                    broadcast: false,
                    first_sequence: range.0,
                    last_sequence: range.1,
                    first_message_sequence: FIRST_SEQUENCE + range.0,
                    last_message_sequence: FIRST_SEQUENCE + range.1,
                },
            );
            actions.action(
                &name,
                now + 5,
                ActionKind::RangeAck { first_sequence: range.0, last_sequence: range.1 },
            );
        }
        if number == messages / 3 || number == messages * 2 / 3 {
            log.end_message_segment(now);
            actions.end_action_segment();
        }
    }
    expected
}

/// Id of the message of that number in a store of [`store_at`].
pub fn id_at(number: usize) -> String {
    format!("240520.000000.10.0.0.1.78.{number}")
}

/// Writes a store with one message for each of these create times, all of subject `clocks`.
pub fn store_at(root: &Path, times: &[i64]) {
    let mut log = SegmentedLog::new(&root.join("messagelog"), message_log::SEGMENT_BYTES as u64, 0);
    for (number, time) in times.iter().enumerate() {
        let body = content("clocks", &id_at(number), *time, 20);
        log.message(*time, FIRST_SEQUENCE + number as i64, "clocks", &body);
    }
}

fn content(subject: &str, id: &str, now: i64, body_bytes: usize) -> Vec<u8> {
    let text = "x".repeat(body_bytes.min(60_000));
    let parts: Vec<(String, &str)> =
        (0..body_bytes.div_ceil(60_000)).map(|part| (format!("big#part{part}"), text.as_str())).collect();
    let mut attributes: Vec<(&str, &str)> = vec![("qmq_appCode", "test")];
    attributes.extend(parts.iter().map(|(name, value)| (name.as_str(), *value)));
    payload::encode(0, now, now + 1000, subject, id, &[], &attributes)
}

struct SegmentedLog {
    folder: std::path::PathBuf,
    segment_bytes: u64,
    base: u64,
    position: u64,
    file: File,
    buffer: Vec<u8>,
}

impl SegmentedLog {
    fn new(folder: &Path, segment_bytes: u64, first_segment: u64) -> SegmentedLog {
        std::fs::create_dir_all(folder).unwrap();
        let base = first_segment * segment_bytes;
        let file = SegmentedLog::create(folder, base, segment_bytes);
        let folder = folder.to_path_buf();
        SegmentedLog { folder, segment_bytes, base, position: 0, file, buffer: Vec::new() }
    }

    fn create(folder: &Path, base: u64, segment_bytes: u64) -> File {
        let file = File::create(folder.join(format!("{base:020}"))).unwrap();
        file.set_len(segment_bytes).unwrap();
        file
    }

    fn message(&mut self, now: i64, sequence: i64, subject: &str, payload: &[u8]) {
        self.buffer.clear();
        message_log::encode(&mut self.buffer, 3, now, sequence, subject, payload);
        self.append();
    }

    fn action(&mut self, subject: &str, timestamp_ms: i64, kind: ActionKind) {
        self.buffer.clear();
        let action = Action {
            subject: subject.as_bytes(),
            consumer_group: b"workers",
            consumer_id: b"worker@@1",
            timestamp_ms,
            kind,
        };
        action_log::encode(&mut self.buffer, &action);
        self.append();
    }

    fn append(&mut self) {
        self.file.write_all_at(&self.buffer, self.position).unwrap();
        self.position += self.buffer.len() as u64;
    }

    /// A marker far before the real end of the segment; readers must trust it, not the size of the rest.
    fn end_message_segment(&mut self, now: i64) {
        self.buffer.clear();
        message_log::encode_end_of_segment(&mut self.buffer, now, message_log::MIN_RECORD_BYTES);
        self.next();
    }

    fn end_action_segment(&mut self) {
        // what a broker leaves behind the marker: bytes of the record that did not fit
        let garbage = [0xC3, 0xB2, 0xA1, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x07, 0x07];
        self.buffer.clear();
        action_log::encode_end_of_segment(&mut self.buffer, &garbage);
        self.next();
    }

    fn next(&mut self) {
        self.append();
        self.base += self.segment_bytes;
        self.position = 0;
        self.file = SegmentedLog::create(&self.folder, self.base, self.segment_bytes);
    }
}
