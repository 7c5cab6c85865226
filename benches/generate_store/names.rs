//! Names in the traffic: subjects, producer processes, consumer groups, and message ids.

use std::fmt::Write;

use chrono::DateTime;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::Options;

/// Message ids carry the local time of the producers, +08:00.
const ZONE_MS: i64 = 8 * 3_600_000;
const DAY_MS: i64 = 86_400_000;

const DOMAINS: [&str; 20] = [
    "hotel",
    "flight",
    "train",
    "bus",
    "car",
    "ticket",
    "holiday",
    "wallet",
    "member",
    "coupon",
    "search",
    "risk",
    "invoice",
    "insurance",
    "visa",
    "push",
    "price",
    "supply",
    "content",
    "finance",
];
const THINGS: [&str; 8] = ["order", "payment", "refund", "stock", "user", "notice", "audit", "task"];
const EVENTS: [&str; 7] = ["created", "changed", "paid", "cancelled", "confirmed", "synced", "expired"];
/// Applications that consume; each can consume many subjects.
const APPS: usize = 40;

/// The parts of a message id, `yyMMdd.HHmmss.ip.pid.counter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MessageId {
    /// When the producer made it.
    pub(crate) made_ms: i64,
    /// The producer process.
    pub(crate) producer: u32,
    /// Counter of that process.
    pub(crate) count: u64,
}

/// An application that consumes.
#[derive(Debug)]
pub(crate) struct App {
    /// Name, which is also its consumer group.
    pub(crate) name: String,
    /// Consumer id of each of its processes.
    pub(crate) consumers: Vec<String>,
}

/// All names.
#[derive(Debug)]
pub(crate) struct Names {
    subjects: Vec<String>,
    apps: Vec<App>,
    /// `.ip.pid.` of each producer process.
    producers: Vec<String>,
    counts: Vec<u64>,
    day: i64,
    /// `yyMMdd.` of `day`.
    day_text: String,
}

impl Names {
    /// Makes up names.
    pub(crate) fn new(options: &Options) -> Names {
        let mut rng = SmallRng::seed_from_u64(options.seed ^ 0x6e61_6d65);
        let producers: Vec<String> = (0..options.producers).map(|_| producer(&mut rng)).collect();
        let counts = producers.iter().map(|_| rng.random_range(0..5_000_000)).collect();
        let apps = APPS.max(options.groups as usize);
        Names {
            subjects: subjects(options.subjects as usize, &mut rng),
            apps: (0..apps).map(|number| app(number, &mut rng)).collect(),
            producers,
            counts,
            day: i64::MIN,
            day_text: String::new(),
        }
    }

    /// Real subjects, the busiest first.
    pub(crate) fn subjects(&self) -> &[String] {
        &self.subjects
    }

    /// Consuming applications.
    pub(crate) fn apps(&self) -> &[App] {
        &self.apps
    }

    /// The next id of a producer.
    pub(crate) fn next_id(&mut self, producer: u32, made_ms: i64) -> MessageId {
        let mut id = MessageId { made_ms, producer, count: 0 };
        if let Some(count) = self.counts.get_mut(producer as usize) {
            *count += 1;
            id.count = *count;
        }
        id
    }

    /// Writes an id into `text`, replacing its content.
    pub(crate) fn spell(&mut self, id: MessageId, text: &mut String) {
        let local_ms = id.made_ms + ZONE_MS;
        let day = local_ms.div_euclid(DAY_MS);
        if day != self.day {
            self.day = day;
            self.day_text = DateTime::from_timestamp_millis(local_ms)
                .map(|time| time.format("%y%m%d.").to_string())
                .unwrap_or_default();
        }
        let second = local_ms.rem_euclid(DAY_MS) / 1000;
        let number = second / 3600 * 10_000 + second / 60 % 60 * 100 + second % 60;
        text.clear();
        text.push_str(&self.day_text);
        // writing to a string cannot fail
        let _ = write!(text, "{number:06}");
        text.push_str(self.producers.get(id.producer as usize).map_or("", String::as_str));
        let _ = write!(text, "{}", id.count);
    }
}

/// Combinations of words, in an order independent of how busy a subject is.
fn subjects(wanted: usize, rng: &mut SmallRng) -> Vec<String> {
    let round = DOMAINS.len() * THINGS.len() * EVENTS.len();
    let mut names = Vec::with_capacity(wanted.next_multiple_of(round));
    for number in 0..wanted.div_ceil(round) {
        let suffix = if number == 0 { String::new() } else { format!(".{number}") };
        for domain in DOMAINS {
            for thing in THINGS {
                names.extend(EVENTS.map(|event| format!("{domain}.{thing}.{event}{suffix}")));
            }
        }
    }
    names.shuffle(rng);
    names.truncate(wanted);
    names
}

fn producer(rng: &mut SmallRng) -> String {
    let (b, c, d): (u8, u8, u8) = (rng.random_range(0..4), rng.random(), rng.random_range(1..255));
    format!(".10.{b}.{c}.{d}.{}.", rng.random_range(1_000..33_000))
}

fn app(number: usize, rng: &mut SmallRng) -> App {
    let domain = DOMAINS.get(number % DOMAINS.len()).copied().unwrap_or("app");
    let name = format!("{domain}_consumer_{}", number / DOMAINS.len());
    let consumers = (0..rng.random_range(1..=3))
        .map(|host| format!("l-{domain}{host}.cn1@@{:032x}", rng.random::<u128>()))
        .collect();
    App { name, consumers }
}
