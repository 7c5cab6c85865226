//! How far each queue of a RocketMQ broker was read, and the groups that are known: the state of a stream at a
//! position.
//!
//! It is stored beside each commit, so that an import tells a follower where to go on and the other way round. It
//! never looks at a message.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::trail::Trail;
use crate::error::{Error, Result};

/// How far one queue was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePlace {
    /// Next queue offset.
    pub next: i64,
    /// Physical offset of the last record read, or -1.
    pub physical: i64,
}

/// How far the queues of a broker were read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueOffsets {
    /// By topic and queue.
    topics: BTreeMap<String, BTreeMap<i32, QueuePlace>>,
    /// Consumer groups of the broker: they tell where the topic of a retry ends.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// Where the commit log began when it was imported last, and the broker's clock at its first record: with the same
    /// beginning another time means another log.
    #[serde(default)]
    pub head: Option<(u64, i64)>,
    /// Broker's clock at the last record, epoch milliseconds.
    #[serde(default)]
    pub last_stored: Option<i64>,
    /// What an import read of the commit log.
    #[serde(default)]
    pub trail: Trail,
}

impl QueueOffsets {
    /// How far a queue was read, if at all.
    #[must_use]
    pub fn get(&self, topic: &str, queue_id: i32) -> Option<QueuePlace> {
        self.topics.get(topic)?.get(&queue_id).copied()
    }

    /// A record was read.
    pub fn advance(&mut self, topic: &str, queue_id: i32, next: i64, physical: i64) {
        let place = self.place(topic, queue_id);
        // after a crash a broker can use queue offsets again: what was read last counts
        if physical > place.physical {
            *place = QueuePlace { next, physical };
        }
    }

    /// Reading goes on elsewhere: over a hole, or back to what is used again.
    pub fn set(&mut self, topic: &str, queue_id: i32, next: i64) {
        self.place(topic, queue_id).next = next;
    }

    fn place(&mut self, topic: &str, queue_id: i32) -> &mut QueuePlace {
        let unread = QueuePlace { next: 0, physical: -1 };
        self.topics.entry(topic.to_owned()).or_default().entry(queue_id).or_insert(unread)
    }

    /// From `offset` on the commit log is another one, of which nothing was read: a queue that was read further goes on
    /// where `places` says, or begins anew.
    pub fn turn(&mut self, offset: i64, places: &BTreeMap<(String, i32), QueuePlace>) {
        for (topic, queues) in &mut self.topics {
            queues.retain(|queue_id, place| {
                if place.physical < offset {
                    return true;
                }
                let known = places.get(&(topic.clone(), *queue_id));
                if let Some(known) = known {
                    *place = *known;
                }
                known.is_some()
            });
        }
        self.topics.retain(|_, queues| !queues.is_empty());
    }

    /// Takes over what another stream of the same broker has read further.
    pub fn go_on_after(&mut self, other: &QueueOffsets) {
        for (topic, queue_id, place) in other.queues() {
            let own = self.place(topic, queue_id);
            if place.physical > own.physical {
                *own = place;
            }
        }
        self.groups.extend(other.groups.iter().cloned());
        self.last_stored = self.last_stored.max(other.last_stored);
    }

    /// Whether a record was read already.
    #[must_use]
    pub fn covers(&self, topic: &str, queue_id: i32, offset: i64) -> bool {
        self.get(topic, queue_id).is_some_and(|place| offset < place.next)
    }

    /// All queues.
    pub fn queues(&self) -> impl Iterator<Item = (&str, i32, QueuePlace)> {
        let topics = self.topics.iter();
        topics.flat_map(|(topic, queues)| {
            queues.iter().map(move |(queue, place)| (topic.as_str(), *queue, *place))
        })
    }

    /// As stored.
    ///
    /// # Errors
    /// Never for what this type holds.
    pub fn to_bytes(&self) -> Result<Bytes> {
        serde_json::to_vec(self)
            .map(Bytes::from)
            .map_err(|error| Error::Invariant(format!("queue offsets: {error}")))
    }

    /// From what was stored.
    ///
    /// # Errors
    /// [`Error::Invariant`] if it is something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<QueueOffsets> {
        serde_json::from_slice(bytes).map_err(|error| Error::Invariant(format!("queue offsets: {error}")))
    }
}
