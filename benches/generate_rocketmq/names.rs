//! Names for messages: topics, keys and unique keys, all derived from the number of the message.

use std::net::{IpAddr, Ipv4Addr};

use chrono::{DateTime, Datelike, Timelike};
use mqlake::brokers::rocketmq::format::message_id::UniqueId;

use crate::Options;

/// Maximum messages of a customer.
const MESSAGES_OF_CUSTOMER: u64 = 64;
/// Producer processes.
const PRODUCERS: u64 = 60;
const DAY_MS: u32 = 86_400_000;

/// All names. Messages are numbered from 0 and assigned to numbered customers in rotation.
#[derive(Debug)]
pub(crate) struct Names {
    messages: u64,
    customers: u64,
    topics: Vec<String>,
    /// Topic by customer, modulo its length. Busy topics occur more often.
    shares: Vec<usize>,
    seed: u64,
}

impl Names {
    /// Makes up names.
    pub(crate) fn new(options: &Options) -> Names {
        let topics = options.topics as usize;
        // the second topic has half the messages of the first, the third a third, and so on
        let shares = (0..topics).flat_map(|topic| std::iter::repeat_n(topic, topics.div_ceil(topic + 1)));
        Names {
            messages: options.messages,
            customers: options.messages.div_ceil(MESSAGES_OF_CUSTOMER).max(1),
            topics: (0..topics).map(|topic| format!("bench-{topic:02}")).collect(),
            shares: shares.collect(),
            seed: options.seed,
        }
    }

    /// Topics, the busiest first.
    pub(crate) fn topics(&self) -> &[String] {
        &self.topics
    }

    /// How many customers there are.
    pub(crate) fn customers(&self) -> u64 {
        self.customers
    }

    /// How many messages a customer has.
    pub(crate) fn messages_of(&self, customer: u64) -> u64 {
        self.messages / self.customers + u64::from(customer < self.messages % self.customers)
    }

    /// Index of the topic of a message, or of a customer.
    pub(crate) fn topic_of(&self, number: u64) -> usize {
        let share = (number % self.customers) % self.shares.len().max(1) as u64;
        usize::try_from(share).ok().and_then(|share| self.shares.get(share)).copied().unwrap_or(0)
    }

    /// The topic of a message, or of a customer.
    pub(crate) fn topic(&self, number: u64) -> &str {
        self.topics.get(self.topic_of(number)).map_or("", String::as_str)
    }

    /// The key that only this message has. It does not depend on the order of messages.
    pub(crate) fn order(&self, number: u64) -> String {
        format!("order-{:016x}", scattered(number ^ self.seed.rotate_left(32)))
    }

    /// The key that all messages of the message's customer have.
    pub(crate) fn customer(&self, number: u64) -> String {
        format!("customer-{:016x}", scattered((number % self.customers) ^ self.seed))
    }

    /// The unique key of a message made at `born_ms`. Traces take numbers after those of messages.
    pub(crate) fn unique_key(&self, number: u64, born_ms: i64) -> String {
        let producer = number % PRODUCERS;
        let span_ms = DateTime::from_timestamp_millis(born_ms).map_or(0, |time| {
            let time_of_day = time.num_seconds_from_midnight() * 1000 + time.timestamp_subsec_millis();
            time.day0() * DAY_MS + time_of_day
        });
        let id = UniqueId {
            ip: self.producer(number),
            pid: 1000 + producer as u16,
            loader: 0x18B4_AAC2,
            span_ms,
            counter: (number / PRODUCERS) as u16,
        };
        id.to_string()
    }

    /// The address of the producer of a message.
    pub(crate) fn producer(&self, number: u64) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1 + (number % PRODUCERS) as u8))
    }
}

/// Scatters numbers: a bijection by shifts and odd factors, under which neighbours end up far apart.
fn scattered(number: u64) -> u64 {
    let mixed = (number ^ number >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}
