//! Properties of a message: the text `name U+0001 value U+0002 …` of a record (RocketMQ formats: properties).
//!
//! Parsing equals that of RocketMQ's own clients: pieces that are not pairs are dropped without an error, and the last
//! value of a repeated name wins. Names and values stay raw bytes until they are requested as text; the separators are
//! ASCII, so bytes that are not UTF-8 do not move them. Values are never interpreted.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

/// Byte that ends a name.
const NAME_END: u8 = 0x01;
/// Byte that ends a pair. It may be missing behind the last pair.
const PAIR_END: u8 = 0x02;

/// Longest property text of a record in bytes.
pub const MAX_PROPERTIES_BYTES: usize = 32_767;

/// Names that RocketMQ itself uses.
pub mod names {
    /// Unique id given by the client.
    pub const UNIQUE_KEY: &str = "UNIQ_KEY";
    /// Keys of the application, separated by spaces.
    pub const KEYS: &str = "KEYS";
    /// The tag.
    pub const TAGS: &str = "TAGS";
    /// Whether the sender waited for the flush.
    pub const WAIT: &str = "WAIT";
    /// Delay level.
    pub const DELAY: &str = "DELAY";
    /// Topic to deliver a parked message to.
    pub const REAL_TOPIC: &str = "REAL_TOPIC";
    /// Queue to deliver a parked message to.
    pub const REAL_QUEUE_ID: &str = "REAL_QID";
    /// Original topic of a message in a retry or dead-letter topic.
    pub const RETRY_TOPIC: &str = "RETRY_TOPIC";
    /// Offset id of the first copy of a message that went through retry.
    pub const ORIGIN_MESSAGE_ID: &str = "ORIGIN_MESSAGE_ID";
    /// Reconsume count, set by a client that resends a failed message itself.
    pub const RECONSUME_TIME: &str = "RECONSUME_TIME";
    /// Limit of reconsumes, set by that client.
    pub const MAX_RECONSUME_TIMES: &str = "MAX_RECONSUME_TIMES";
    /// Added by clients at pull time, never stored.
    pub const MIN_OFFSET: &str = "MIN_OFFSET";
    /// Added by clients at pull time, never stored.
    pub const MAX_OFFSET: &str = "MAX_OFFSET";
    /// `true` on half messages.
    pub const TRANSACTION_PREPARED: &str = "TRAN_MSG";
    /// Producer group of a transaction message or recall order; the topic if it came through the gRPC proxy.
    pub const PRODUCER_GROUP: &str = "PGROUP";
    /// Transaction id.
    pub const TRANSACTION_ID: &str = "__transactionId__";
    /// How often a half message was checked.
    pub const TRANSACTION_CHECK_TIMES: &str = "TRANSACTION_CHECK_TIMES";
    /// Queue offset of the first copy of a half message that was put back.
    pub const TRANSACTION_PREPARED_QUEUE_OFFSET: &str = "TRAN_PREPARED_QUEUE_OFFSET";
    /// Cluster of the broker.
    pub const CLUSTER: &str = "CLUSTER";
    /// Region id of the broker.
    pub const REGION: &str = "MSG_REGION";
    /// `false` disables the client trace of the message.
    pub const TRACE_ON: &str = "TRACE_ON";
    /// Kind of a request/reply message.
    pub const MESSAGE_TYPE: &str = "MSG_TYPE";
    /// Joins request and reply.
    pub const CORRELATION_ID: &str = "CORRELATION_ID";
    /// Ordering key.
    pub const SHARDING_KEY: &str = "__SHARDINGKEY";
    /// Number of messages of an inner batch.
    pub const INNER_NUM: &str = "INNER_NUM";
    /// Queue offset of the first message of an inner batch.
    pub const INNER_BASE: &str = "INNER_BASE";
    /// Light queues that the message is also in, separated by commas.
    pub const INNER_MULTI_DISPATCH: &str = "INNER_MULTI_DISPATCH";
    /// Queue offset in each of them.
    pub const INNER_MULTI_QUEUE_OFFSET: &str = "INNER_MULTI_QUEUE_OFFSET";
    /// When the message was first popped.
    pub const FIRST_POP_TIME: &str = "1ST_POP_TIME";
    /// Host name of a gRPC client.
    pub const BORN_HOST: &str = "__BORNHOST";
    /// Born time given by a gRPC client.
    pub const BORN_TIMESTAMP: &str = "BORN_TIMESTAMP";
    /// Topic a dead letter came from.
    pub const DLQ_ORIGIN_TOPIC: &str = "DLQ_ORIGIN_TOPIC";
    /// Offset id of the message a dead letter came from.
    pub const DLQ_ORIGIN_MESSAGE_ID: &str = "DLQ_ORIGIN_MESSAGE_ID";
    /// Requested delay in seconds.
    pub const TIMER_DELAY_SEC: &str = "TIMER_DELAY_SEC";
    /// Requested delay in milliseconds.
    pub const TIMER_DELAY_MS: &str = "TIMER_DELAY_MS";
    /// Requested delivery time.
    pub const TIMER_DELIVER_MS: &str = "TIMER_DELIVER_MS";
    /// Delivery time chosen by the broker.
    pub const TIMER_OUT_MS: &str = "TIMER_OUT_MS";
    /// The record cancels the timer message with this unique key.
    pub const TIMER_DELETE_UNIQUE_KEY: &str = "TIMER_DEL_UNIQKEY";
    /// Checksum of the whole record.
    pub const RECORD_CRC: &str = "__CRC32#";
    /// Start of names that are never stored.
    pub const TRANSIENT_PREFIX: &str = "__RMQ.TRANSIENT.";

    /// Every name but those with [`TRANSIENT_PREFIX`], in byte order.
    pub(super) const ALL: [&str; 60] = [
        "1ST_POP_TIME",
        "ARRIVE_TIME",
        "BORN_TIMESTAMP",
        "BUYER_ID",
        "CHECK_IMMUNITY_TIME_IN_SECONDS",
        "CLUSTER",
        "CONSUME_START_TIME",
        "CORRECTION_FLAG",
        "CORRELATION_ID",
        "DELAY",
        "DLQ_ORIGIN_MESSAGE_ID",
        "DLQ_ORIGIN_TOPIC",
        "DUP_INFO",
        "EXTEND_UNIQ_INFO",
        "INNER_BASE",
        "INNER_MULTI_DISPATCH",
        "INNER_MULTI_QUEUE_OFFSET",
        "INNER_NUM",
        "INSTANCE_ID",
        "KEYS",
        "MAX_OFFSET",
        "MAX_RECONSUME_TIMES",
        "MIN_OFFSET",
        "MQ2_FLAG",
        "MSG_REGION",
        "MSG_TYPE",
        "ORIGIN_MESSAGE_ID",
        "PGROUP",
        "POP_CK",
        "POP_CK_OFFSET",
        "PUSH_REPLY_TIME",
        "REAL_QID",
        "REAL_TOPIC",
        "RECONSUME_TIME",
        "REPLY_TO_CLIENT",
        "RETRY_TOPIC",
        "TAGS",
        "TIMER_DELAY_LEVEL",
        "TIMER_DELAY_MS",
        "TIMER_DELAY_SEC",
        "TIMER_DELIVER_MS",
        "TIMER_DEL_UNIQKEY",
        "TIMER_DEQUEUE_MS",
        "TIMER_ENQUEUE_MS",
        "TIMER_OUT_MS",
        "TIMER_ROLL_TIMES",
        "TRACE_CONTEXT",
        "TRACE_ON",
        "TRANSACTION_CHECK_TIMES",
        "TRANSFER_FLAG",
        "TRAN_MSG",
        "TRAN_PREPARED_QUEUE_OFFSET",
        "TTL",
        "UNIQ_KEY",
        "WAIT",
        "__BORNHOST",
        "__CRC32#",
        "__SHARDINGKEY",
        "__STARTDELIVERTIME",
        "__transactionId__",
    ];
}

/// Whether RocketMQ itself uses this name; all others belong to the application.
#[must_use]
pub fn is_system(name: &str) -> bool {
    names::ALL.binary_search(&name).is_ok() || name.starts_with(names::TRANSIENT_PREFIX)
}

/// The property text of a message, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Properties<'a> {
    bytes: &'a [u8],
}

impl<'a> Properties<'a> {
    /// The properties in this text.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The text as stored.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The pairs in the order of the text, repeated names included.
    #[must_use]
    pub const fn pairs(&self) -> Pairs<'a> {
        Pairs { rest: self.bytes, dropped: 0 }
    }

    /// The last value of this name, which is the one that counts.
    #[must_use]
    pub fn get_bytes(&self, name: &str) -> Option<&'a [u8]> {
        self.pairs().filter(|pair| pair.0 == name.as_bytes()).last().map(|pair| pair.1)
    }

    /// As [`Self::get_bytes`], as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        self.get_bytes(name).map(String::from_utf8_lossy)
    }

    /// The first value of this name.
    ///
    /// The records of a classic batch repeat `UNIQ_KEY`: the first value is the message's own id, the last that of the
    /// batch.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<Cow<'a, str>> {
        self.pairs().find(|pair| pair.0 == name.as_bytes()).map(|pair| String::from_utf8_lossy(pair.1))
    }

    /// The last value of this name as a decimal number; `None` if it is anything else.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        std::str::from_utf8(self.get_bytes(name)?).ok()?.parse().ok()
    }

    /// All names with the value that counts, by name.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<&'a [u8], &'a [u8]> {
        self.pairs().collect()
    }

    /// The application's keys, each once, in the order of the text.
    #[must_use]
    pub fn keys(&self) -> Vec<Cow<'a, str>> {
        let text = self.get_bytes(names::KEYS).unwrap_or_default();
        let mut seen = HashSet::new();
        text.split(|byte| *byte == b' ')
            .filter(|key| !key.is_empty() && seen.insert(*key))
            .map(String::from_utf8_lossy)
            .collect()
    }
}

/// The pairs of a property text, in order.
#[derive(Debug, Clone)]
pub struct Pairs<'a> {
    rest: &'a [u8],
    dropped: usize,
}

impl Pairs<'_> {
    /// How many pieces without a name, separator or value were skipped so far.
    #[must_use]
    pub const fn dropped(&self) -> usize {
        self.dropped
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let (piece, rest) = split_at_byte(self.rest, PAIR_END).unwrap_or((self.rest, &[]));
            self.rest = rest;
            match split_at_byte(piece, NAME_END) {
                Some((name, value)) if !name.is_empty() && !value.is_empty() => return Some((name, value)),
                _ => self.dropped += 1,
            }
        }
        None
    }
}

fn split_at_byte(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(separator, bytes)?;
    let (head, tail) = bytes.split_at_checked(at)?;
    Some((head, tail.get(1..)?))
}

/// Appends pairs, each with both separators.
///
/// A name or value that contains a separator is not read back as it was.
pub fn encode<'a>(out: &mut Vec<u8>, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) {
    for (name, value) in pairs {
        out.extend_from_slice(name.as_bytes());
        out.push(NAME_END);
        out.extend_from_slice(value.as_bytes());
        out.push(PAIR_END);
    }
}

#[cfg(test)]
#[path = "properties_tests.rs"]
mod tests;
