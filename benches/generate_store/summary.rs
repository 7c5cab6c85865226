//! The summary of a run: counts, and sample messages for benchmarks.

use std::time::Duration;

use mqlake::brokers::qmq::format::Kind;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::Options;
use crate::logs::Bytes;
use crate::names::{MessageId, Names};

/// Counts of a run.
#[derive(Debug)]
pub(crate) struct Summary {
    /// Messages by kind, in the order of its codes.
    pub(crate) messages: [u64; 3],
    /// Pull actions.
    pub(crate) pulls: u64,
    /// Ack actions.
    pub(crate) acks: u64,
    /// Messages pulled, over all groups.
    pub(crate) pulled: u64,
    /// Messages acknowledged, over all groups.
    pub(crate) acked: u64,
    /// First and last create time.
    pub(crate) created_ms: Option<(i64, i64)>,
    /// Bytes of the logs.
    pub(crate) bytes: Bytes,
    samples: Vec<Sampled>,
    /// Index into `samples`, by subject.
    sampled: Vec<Option<u8>>,
    wanted: usize,
    rng: SmallRng,
}

/// A uniform sample of the messages of one subject.
#[derive(Debug)]
struct Sampled {
    name: &'static str,
    subject: usize,
    seen: u64,
    kept: Vec<(MessageId, i64)>,
}

impl Summary {
    /// An empty summary that samples the busiest subject, one in the middle (by share), and the rarest.
    pub(crate) fn new(options: &Options, subjects: &[String]) -> Summary {
        let mut samples: Vec<Sampled> = Vec::new();
        let mut sampled = vec![None; subjects.len()];
        let last = subjects.len().saturating_sub(1);
        // with few subjects, one subject can have two of these ranks and keeps the first
        for (name, rank) in [("hot", 0), ("rare", last), ("middle", subjects.len().isqrt())] {
            if let Some(place @ None) = sampled.get_mut(rank) {
                *place = u8::try_from(samples.len()).ok();
                samples.push(Sampled { name, subject: rank, seen: 0, kept: Vec::new() });
            }
        }
        Summary {
            messages: [0; 3],
            pulls: 0,
            acks: 0,
            pulled: 0,
            acked: 0,
            created_ms: None,
            bytes: Bytes::default(),
            samples,
            sampled,
            wanted: options.samples,
            rng: SmallRng::seed_from_u64(options.seed ^ 0x7361_6d70),
        }
    }

    /// Number of messages of all kinds.
    pub(crate) fn total(&self) -> u64 {
        self.messages.iter().sum()
    }

    /// Counts a message of any kind.
    pub(crate) fn count(&mut self, kind: Kind, create_ms: i64) {
        if let Some(count) = self.messages.get_mut(kind as usize) {
            *count += 1;
        }
        let (first, last) = self.created_ms.unwrap_or((create_ms, create_ms));
        self.created_ms = Some((first.min(create_ms), last.max(create_ms)));
    }

    /// Offers a message of a real subject as a sample.
    pub(crate) fn offer(&mut self, subject: usize, id: MessageId, sequence: i64) {
        let place = self.sampled.get(subject).copied().flatten();
        let Some(sampled) = place.and_then(|place| self.samples.get_mut(usize::from(place))) else {
            return;
        };
        sampled.seen += 1;
        if sampled.kept.len() < self.wanted {
            sampled.kept.push((id, sequence));
        } else if let Ok(place) = usize::try_from(self.rng.random_range(0..sampled.seen))
            && let Some(kept) = sampled.kept.get_mut(place)
        {
            *kept = (id, sequence);
        }
    }

    /// The summary as JSON.
    pub(crate) fn report(&self, options: &Options, names: &mut Names, took: Duration) -> Value {
        let [normal, retry, dead] = self.messages;
        let created_ms = self.created_ms.unzip();
        let samples: serde_json::Map<String, Value> =
            self.samples.iter().map(|sampled| (sampled.name.to_owned(), sampled.report(names))).collect();
        json!({
            "options": options,
            "messages": { "total": self.total(), "normal": normal, "retry": retry, "dead": dead },
            "actions": { "total": self.pulls + self.acks, "pulls": self.pulls, "acks": self.acks },
            // one per message and action, and the marker of each dead letter
            "records": {
                "total": self.pulled + self.acked + dead,
                "pulled": self.pulled,
                "acked": self.acked,
                "dead_markers": dead,
            },
            "messages_per_pull": self.pulled as f64 / self.pulls.max(1) as f64,
            "create_time_ms": { "first": created_ms.0, "last": created_ms.1 },
            "bytes": self.bytes,
            "seconds": took.as_secs_f64(),
            "samples": samples,
        })
    }
}

impl Sampled {
    fn report(&self, names: &mut Names) -> Value {
        let mut text = String::new();
        let messages: Vec<Value> = self
            .kept
            .iter()
            .map(|(id, sequence)| {
                names.spell(*id, &mut text);
                json!({ "message_id": text, "sequence": sequence, "create_time_ms": id.made_ms })
            })
            .collect();
        json!({
            "subject": names.subjects().get(self.subject),
            "normal_messages": self.seen,
            "messages": messages,
        })
    }
}
