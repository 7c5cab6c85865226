//! What the cluster does wrong, and the dice that decide when.
//!
//! The dice are seeded, so that one connection asking one thing at a time sees the same faults in every run.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::sync::Mutex;
use std::time::Duration;

/// How the cluster behaves. All of it can change at run time, except `seed`.
#[derive(Debug, Clone)]
pub struct PeerSettings {
    /// `sync.batch.size` in bytes, for types 1, 2 and 5.
    pub batch_size: usize,
    /// Cuts type 5 answers to this many bytes although the next offset moves past what is lost.
    pub index_cut: Option<usize>,
    /// Visible ends fall at arbitrary bytes, at times within the last 12 bytes of a segment.
    pub torn: bool,
    /// Chance of an answer of a sync or detail server to break off at a random byte.
    pub cut: f64,
    /// Chance of a sync request to be answered with code 51.
    pub error: f64,
    /// Chance of a sync request to get no answer.
    pub silent: f64,
    /// Time added to every answer of a sync or detail server.
    pub delay: Duration,
    /// Role code that acquire-meta answers.
    pub role: i32,
    /// Host name that acquire-meta recognises; any if `None`.
    pub hostname: Option<String>,
    /// Whether groups have a slave. Without one acquire-meta fails and `/slave/meta` answers empty.
    pub has_slave: bool,
    /// Whether `/slave/meta` knows the slaves.
    pub slave_http: bool,
    /// Seed of all chances.
    pub seed: u64,
    /// Time until a sync server looks a second time.
    pub sync_wait: Duration,
    /// How long a detail request without subject or keys hangs before its status 500.
    pub hang: Duration,
    /// Status of all detail answers, with an empty body, instead of the right one.
    pub detail_status: Option<u16>,
}

impl Default for PeerSettings {
    fn default() -> Self {
        Self {
            batch_size: 100_000,
            index_cut: None,
            torn: false,
            cut: 0.0,
            error: 0.0,
            silent: 0.0,
            delay: Duration::ZERO,
            role: 4,
            hostname: None,
            has_slave: true,
            slave_http: true,
            seed: 1,
            sync_wait: Duration::from_millis(10),
            hang: Duration::from_secs(30),
            detail_status: None,
        }
    }
}

/// How often something went wrong on purpose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Answers broken off.
    pub cut: u64,
    /// Answers with code 51 by chance.
    pub error: u64,
    /// Requests not answered by chance.
    pub silent: u64,
    /// Type 5 requests not answered because of a message that cannot be parsed.
    pub swallowed: u64,
}

/// What fate decides for a sync request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Fine,
    Error,
    Silent,
}

pub(super) struct Dice(Mutex<SmallRng>);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(Mutex::new(SmallRng::seed_from_u64(seed)))
    }

    pub(super) fn chance(&self, probability: f64) -> bool {
        probability > 0.0 && self.0.lock().unwrap().random_bool(probability.min(1.0))
    }

    /// A number below `limit`, which is not 0.
    pub(super) fn below(&self, limit: u64) -> u64 {
        self.0.lock().unwrap().random_range(0..limit)
    }

    pub(super) fn fate(&self, settings: &PeerSettings) -> Fate {
        if self.chance(settings.silent) {
            Fate::Silent
        } else if self.chance(settings.error) {
            Fate::Error
        } else {
            Fate::Fine
        }
    }

    /// How much of an answer gets through, if it breaks off.
    pub(super) fn cut(&self, probability: f64, length: usize) -> Option<usize> {
        self.chance(probability).then(|| self.below(length.max(1) as u64) as usize)
    }

    /// A visible end after `end`, before `next`, as of a slave that is still receiving. Before the end of a segment it
    /// falls within the last 12 bytes half of the time.
    pub(super) fn tear(&self, end: u64, next: u64, segment_bytes: u64) -> u64 {
        if next <= end {
            return end;
        }
        if next.is_multiple_of(segment_bytes) && next - end > 13 && self.chance(0.5) {
            return next - 1 - self.below(12);
        }
        end + self.below(next - end)
    }
}
