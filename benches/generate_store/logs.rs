//! The logs on disk: encodes records and lays them out in segment files as QMQ does.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use mqlake::brokers::qmq::format::{action_log, index_log, message_log, payload};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;

use crate::{MessageLog, Options};

const BUFFER_BYTES: usize = 1 << 20;
/// Length of the text that attributes are cut from: large, so that compression does not find repeated pieces.
const TEXT_BYTES: usize = 8 << 20;
/// Maximum length of an attribute's value.
const MAX_VALUE_BYTES: usize = 60_000;
const EXPIRY_MS: i64 = 900_000;
const TAGS: [&str; 4] = ["vip", "web", "app", "partner"];

/// Bytes written to each log, padding of full segments included.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Bytes {
    /// Index or message log.
    pub(crate) messages: u64,
    /// Action log.
    pub(crate) actions: u64,
}

/// A message about to be stored.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    /// Full name of the queue.
    pub(crate) queue: &'a str,
    /// Position in the queue.
    pub(crate) sequence: i64,
    /// Id of the message.
    pub(crate) id: &'a str,
    /// Producer's clock.
    pub(crate) create_ms: i64,
    /// Broker's clock.
    pub(crate) store_ms: i64,
}

/// The two logs of a store.
#[derive(Debug)]
pub(crate) struct Logs {
    messages: Segments,
    actions: Segments,
    contents: Option<Contents>,
    record: Vec<u8>,
}

impl Logs {
    /// Prepares the logs; files appear with their first record.
    pub(crate) fn create(options: &Options) -> Logs {
        let (messages, contents) = match options.log {
            MessageLog::Index => (Segments::new(options, Format::Index), None),
            MessageLog::Message => (Segments::new(options, Format::Message), Some(Contents::new(options))),
        };
        let actions = Segments::new(options, Format::Action);
        Logs { messages, actions, contents, record: Vec::new() }
    }

    /// Appends a message.
    pub(crate) fn message(&mut self, message: &Message<'_>) -> io::Result<()> {
        let Message { queue, sequence, id, create_ms, store_ms } = *message;
        self.record.clear();
        match &mut self.contents {
            None => index_log::encode(&mut self.record, sequence, create_ms, queue.as_bytes(), id.as_bytes()),
            Some(contents) => {
                let payload = contents.payload(message);
                message_log::encode(&mut self.record, 3, store_ms, sequence, queue, &payload);
            }
        }
        self.messages.append(&self.record, store_ms)
    }

    /// Appends an action.
    pub(crate) fn action(&mut self, action: &action_log::Action<'_>) -> io::Result<()> {
        self.record.clear();
        action_log::encode(&mut self.record, action);
        self.actions.append(&self.record, action.timestamp_ms)
    }

    /// Flushes the buffers and returns the sizes.
    pub(crate) fn finish(mut self) -> io::Result<Bytes> {
        Ok(Bytes { messages: self.messages.finish()?, actions: self.actions.finish()? })
    }
}

#[derive(Debug, Clone, Copy)]
enum Format {
    Index,
    Message,
    Action,
}

impl Format {
    fn folder(self) -> &'static str {
        match self {
            Format::Index => "indexlog",
            Format::Message => "messagelog",
            Format::Action => "actionlog",
        }
    }

    fn segment_bytes(self) -> usize {
        match self {
            Format::Index => index_log::SEGMENT_BYTES,
            Format::Message => message_log::SEGMENT_BYTES,
            Format::Action => action_log::SEGMENT_BYTES,
        }
    }

    /// Bytes reserved after a record, unless it fills the segment exactly.
    fn marker_bytes(self) -> usize {
        match self {
            Format::Index => 0,
            Format::Message => message_log::MIN_RECORD_BYTES,
            Format::Action => action_log::MIN_RECORD_BYTES,
        }
    }

    /// The bytes that QMQ writes into the `free` bytes of a segment if the `next` record does not fit, without the
    /// zeros.
    fn rest(self, next: &[u8], now_ms: i64, free: usize) -> Vec<u8> {
        let mut rest = Vec::new();
        match self {
            Format::Index => {}
            Format::Message => message_log::encode_end_of_segment(&mut rest, now_ms, self.marker_bytes()),
            Format::Action => {
                // the writer's buffer still has the record that did not fit, after the marker
                let left = next.iter().skip(self.marker_bytes()).copied().cycle();
                let padding: Vec<u8> = left.take(free - self.marker_bytes()).collect();
                action_log::encode_end_of_segment(&mut rest, &padding);
            }
        }
        rest
    }
}

/// The segment files of a log.
#[derive(Debug)]
struct Segments {
    folder: PathBuf,
    format: Format,
    /// Offset of the segment being written.
    base: u64,
    /// Bytes used in that segment.
    used: usize,
    file: Option<BufWriter<File>>,
}

impl Segments {
    fn new(options: &Options, format: Format) -> Segments {
        Segments { folder: options.out.join(format.folder()), format, base: 0, used: 0, file: None }
    }

    fn append(&mut self, record: &[u8], now_ms: i64) -> io::Result<()> {
        let free = self.format.segment_bytes() - self.used;
        if record.len() != free && record.len() + self.format.marker_bytes() > free {
            self.end_segment(record, now_ms, free)?;
        }
        if self.file.is_none() {
            fs::create_dir_all(&self.folder)?;
            let file = File::create_new(self.folder.join(format!("{:020}", self.base)))?;
            self.file = Some(BufWriter::with_capacity(BUFFER_BYTES, file));
        }
        if let Some(file) = &mut self.file {
            file.write_all(record)?;
            self.used += record.len();
        }
        Ok(())
    }

    /// Extends the segment to its full size and closes it.
    fn end_segment(&mut self, next: &[u8], now_ms: i64, free: usize) -> io::Result<()> {
        if let Some(mut file) = self.file.take() {
            if free > 0 {
                file.write_all(&self.format.rest(next, now_ms, free))?;
            }
            file.flush()?;
            file.get_ref().set_len(self.format.segment_bytes() as u64)?;
        }
        self.base += self.format.segment_bytes() as u64;
        self.used = 0;
        Ok(())
    }

    fn finish(&mut self) -> io::Result<u64> {
        if let Some(mut file) = self.file.take() {
            file.flush()?;
        }
        Ok(self.base + self.used as u64)
    }
}

/// Makes up the contents of messages.
#[derive(Debug)]
struct Contents {
    rng: SmallRng,
    mean_bytes: f64,
    text: String,
}

impl Contents {
    fn new(options: &Options) -> Contents {
        let mut rng = SmallRng::seed_from_u64(options.seed ^ 0x626f_6479);
        let wanted = if options.body_bytes == 0 { 0 } else { TEXT_BYTES };
        let mut text = String::with_capacity(wanted + 100);
        while text.len() < wanted {
            let (number, price, state) =
                (rng.random::<u32>(), rng.random_range(100..100_000), rng.random_range(0..9));
            // writing to a string cannot fail
            let _ = fmt::Write::write_fmt(
                &mut text,
                format_args!("{{\"orderNo\":\"{number:010}\",\"price\":{price},\"state\":{state}}},"),
            );
        }
        Contents { rng, mean_bytes: f64::from(options.body_bytes), text }
    }

    fn payload(&mut self, message: &Message<'_>) -> Vec<u8> {
        let created = message.create_ms.to_string();
        let expires = (message.create_ms + EXPIRY_MS).to_string();
        let app = message.queue.trim_start_matches('%').split(['.', '%']).next().unwrap_or_default();
        let value = self.value();
        let mut attributes =
            vec![("qmq_createTime", created.as_str()), ("qmq_expireTime", &expires), ("qmq_appCode", app)];
        if !value.is_empty() {
            attributes.push(("data", value));
        }
        let body = payload::encode_attributes(&attributes);
        let tags: &[&str] = match self.rng.random_range(0..40) {
            number @ 0..4 => TAGS.get(number..=number).unwrap_or_default(),
            _ => &[],
        };
        let sent_ms = message.create_ms + 1;
        payload::encode_with_body(0, message.create_ms, sent_ms, message.queue, message.id, tags, &body)
    }

    /// A piece of text with exponentially distributed size.
    fn value(&mut self) -> &str {
        let bytes = (-self.mean_bytes * (1.0 - self.rng.random::<f64>()).ln()) as usize;
        let start = self.rng.random_range(0..=self.text.len().saturating_sub(MAX_VALUE_BYTES));
        self.text.get(start..start + bytes.min(MAX_VALUE_BYTES)).unwrap_or_default()
    }
}
