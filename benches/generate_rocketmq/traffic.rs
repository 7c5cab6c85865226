//! Makes the messages and trace messages one by one.

use std::borrow::Cow;
use std::fmt::Write;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use mqlake::brokers::rocketmq::format::properties;
use mqlake::brokers::rocketmq::format::properties::{Properties, names};
use mqlake::brokers::rocketmq::format::record::Record;
use mqlake::brokers::rocketmq::format::topics::TRACE_TOPIC;
use mqlake::brokers::rocketmq::trace::encode;
use mqlake::brokers::rocketmq::trace::event::TraceEvent;
use mqlake::brokers::rocketmq::trace::kind::Kind;
use mqlake::codec::host::Host;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::Options;
use crate::log::CommitLog;
use crate::names::Names;

/// Contexts of a trace message.
pub(crate) const CONTEXTS: u64 = 10;
/// Trace messages about the same messages: one of the producer, two of the consumer.
const TRACES_OF_GROUP: u64 = 3;
/// Queues of a topic.
const QUEUES: i64 = 4;
const DAY_MS: i64 = 86_400_000;
/// Length of the text that bodies are cut from: large, so that compression does not find repeated pieces.
const TEXT_BYTES: usize = 8 << 20;
const TAGS: [&str; 4] = ["created", "paid", "sent", "returned"];
const REGION: &str = "DefaultRegion";
const STORE_HOST: &str = "10.0.0.1:10911";

/// Makes up messages.
#[derive(Debug)]
pub(crate) struct Traffic {
    names: Names,
    rng: SmallRng,
    text: String,
    body_bytes: usize,
    start_ms: i64,
    length_ms: i64,
    /// Number of records in the log.
    places: u64,
    /// Number of messages, including those that only traces report.
    numbers: u64,
    /// Messages between the first of one group of traces and the first of the next.
    stride: u64,
    sent: u64,
    traced: u64,
    /// Next queue offset of each topic, over all its queues.
    offsets: Vec<i64>,
}

impl Traffic {
    /// Traffic before the first message.
    pub(crate) fn new(options: &Options) -> Traffic {
        let names = Names::new(options);
        let mut rng = SmallRng::seed_from_u64(options.seed);
        let text = text(&mut rng);
        let groups = options.traces.div_ceil(TRACES_OF_GROUP).max(1);
        Traffic {
            offsets: vec![0; names.topics().len()],
            names,
            rng,
            text,
            body_bytes: options.body_bytes as usize,
            start_ms: options.start_ms,
            length_ms: i64::from(options.days) * DAY_MS,
            places: options.messages + options.traces,
            numbers: options.messages.max(groups * CONTEXTS),
            stride: (options.messages / groups).max(CONTEXTS),
            sent: 0,
            traced: 0,
        }
    }

    /// The time at `place` of `places`, in milliseconds since the Unix epoch.
    fn time_ms(&self, place: u64, places: u64) -> i64 {
        let share = place as f64 / places.max(1) as f64;
        self.start_ms + (share * self.length_ms as f64) as i64
    }

    /// When the record at a place of the log is stored.
    fn stored_ms(&self, place: u64) -> i64 {
        self.time_ms(place, self.places)
    }

    /// When a message is made. Known for all numbers, so that traces can report later messages.
    fn born_ms(&self, number: u64) -> i64 {
        self.time_ms(number, self.numbers)
    }

    /// Appends the next message.
    pub(crate) fn message(&mut self, place: u64, log: &mut CommitLog) -> io::Result<()> {
        let number = self.sent;
        self.sent += 1;
        let topic = self.names.topic_of(number);
        let offset = self.offsets.get_mut(topic).map_or(0, |offset| std::mem::replace(offset, *offset + 1));
        let keys = self.keys(number);
        let born_ms = self.born_ms(number);
        let bytes = self.rng.random_range(self.body_bytes / 2..=self.body_bytes * 3 / 2);
        let start = self.rng.random_range(0..=self.text.len().saturating_sub(bytes));
        let record = Record {
            queue_id: (offset % QUEUES) as i32,
            queue_offset: offset / QUEUES,
            born_timestamp: born_ms,
            born_host: Host { ip: self.names.producer(number), port: 50_000 },
            store_timestamp: self.stored_ms(place),
            body: self.text.as_bytes().get(start..start + bytes).unwrap_or_default(),
            topic: self.names.topic(number).as_bytes(),
            ..Record::default()
        };
        let id = self.names.unique_key(number, born_ms);
        append(log, &record, &keys, &id, Some(tag(number)))
    }

    /// Appends the next trace message, in rotation: one about sends, then two about deliveries of the same messages.
    pub(crate) fn trace(&mut self, place: u64, log: &mut CommitLog) -> io::Result<()> {
        let (group, index) = (self.traced / TRACES_OF_GROUP, self.traced % TRACES_OF_GROUP);
        self.traced += 1;
        let first = group * self.stride;
        let half = CONTEXTS / 2;
        let about = match index {
            0 => first..first + CONTEXTS,
            1 => first..first + half,
            _ => first + half..first + CONTEXTS,
        };
        let mut body = Vec::new();
        let mut keys = String::new();
        for number in about {
            let (id, own) = (self.names.unique_key(number, self.born_ms(number)), self.keys(number));
            if index == 0 {
                encode::encode(&mut body, &self.publication(number, &id, &own));
            } else {
                self.delivery(number, &id, &own).iter().for_each(|event| encode::encode(&mut body, event));
            }
            // writing to a string cannot fail
            let _ = write!(keys, "{id} {own} ");
        }
        let number = self.numbers + self.traced;
        let record = Record {
            queue_offset: self.traced.cast_signed() - 1,
            born_timestamp: self.stored_ms(place),
            born_host: Host { ip: self.names.producer(number), port: 50_001 },
            store_timestamp: self.stored_ms(place),
            body: &body,
            topic: TRACE_TOPIC.as_bytes(),
            ..Record::default()
        };
        let id = self.names.unique_key(number, record.born_timestamp);
        append(log, &record, keys.trim_end(), &id, None)
    }

    /// The keys of a message as the client writes them.
    fn keys(&self, number: u64) -> String {
        format!("{} {}", self.names.order(number), self.names.customer(number))
    }

    fn publication<'a>(&'a self, number: u64, id: &'a str, keys: &'a str) -> TraceEvent<'a> {
        TraceEvent {
            time_stamp: Some(self.born_ms(number)),
            region_id: borrowed(REGION),
            group_name: borrowed("bench-producer"),
            topic: borrowed(self.names.topic(number)),
            msg_ids: borrowed(id),
            tags: borrowed(tag(number)),
            keys: borrowed(keys),
            store_host: borrowed(STORE_HOST),
            body_length: Some(self.body_bytes as i64),
            cost_time: Some((number % 7).cast_signed()),
            msg_type: Some(0),
            offset_msg_ids: Some(Cow::Owned(format!("0A00000100002A9F{:016X}", number * 512))),
            success: Some(true),
            ..TraceEvent::new(Kind::Pub, 0)
        }
    }

    /// Begin and end of a delivery; one of a hundred fails.
    fn delivery<'a>(&'a self, number: u64, id: &'a str, keys: &'a str) -> [TraceEvent<'a>; 2] {
        let (begin_ms, cost) = (self.born_ms(number) + 5, (number % 23).cast_signed());
        let request = format!("{}{:04X}", id.get(..28).unwrap_or(id), number.wrapping_mul(31) as u16);
        let is_good = number % 100 != 99;
        let before = TraceEvent {
            time_stamp: Some(begin_ms),
            region_id: borrowed(REGION),
            group_name: borrowed("bench-consumer"),
            request_id: Some(Cow::Owned(request)),
            msg_ids: borrowed(id),
            retry_times: Some(0),
            keys: borrowed(keys),
            ..TraceEvent::new(Kind::SubBefore, 0)
        };
        let after = TraceEvent {
            kind: Kind::SubAfter,
            time_stamp: Some(begin_ms + cost),
            cost_time: Some(cost),
            success: Some(is_good),
            context_code: Some(if is_good { 0 } else { 4 }),
            ..before.clone()
        };
        [before, after]
    }
}

/// Completes a record with the fields that all records share, and appends it.
fn append(
    log: &mut CommitLog,
    record: &Record<'_>,
    keys: &str,
    id: &str,
    tag: Option<&str>,
) -> io::Result<()> {
    let mut text = Vec::new();
    let pairs = [
        (names::KEYS, keys),
        (names::UNIQUE_KEY, id),
        (names::CLUSTER, "DefaultCluster"),
        (names::REGION, REGION),
        ("WAIT", "true"),
        (names::TRACE_ON, "true"),
    ];
    properties::encode(&mut text, pairs.into_iter().chain(tag.map(|tag| (names::TAGS, tag))));
    let store_host = Host { ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), port: 10_911 };
    log.append(&Record { store_host, properties: Properties::new(&text), ..*record })
}

fn tag(number: u64) -> &'static str {
    TAGS.get((number % 4) as usize).copied().unwrap_or_default()
}

const fn borrowed(text: &str) -> Option<Cow<'_, str>> {
    Some(Cow::Borrowed(text))
}

fn text(rng: &mut SmallRng) -> String {
    let mut text = String::with_capacity(TEXT_BYTES + 100);
    while text.len() < TEXT_BYTES {
        let (number, price, state) =
            (rng.random::<u32>(), rng.random_range(100..100_000), rng.random_range(0..9));
        // writing to a string cannot fail
        let _ = write!(text, "{{\"orderNo\":\"{number:010}\",\"price\":{price},\"state\":{state}}},");
    }
    text
}
