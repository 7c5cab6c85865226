//! How far each queue of a RocketMQ broker was read, and the groups that are known: the state of a stream at a
//! position.
//!
//! It is stored beside each commit, so a follower resumes where an import ended and the other way round. It identifies
//! the last record of each queue, because a broker that lost the end of its log writes other records at the same
//! offsets. It never holds a message.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::trail::Trail;
use crate::brokers::rocketmq::format::record::Record;
use crate::error::{Error, Result};

/// How far a queue was read, and which record was the last. States of older versions have the first two fields only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePlace {
    /// Next queue offset.
    pub next: i64,
    /// Physical offset of the last record read, or -1.
    pub physical: i64,
    /// Queue offset of that record; for an inner batch, of its first message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// Broker's clock at that record, epoch milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<i64>,
    /// [`QueuePlace::digest_of`] for that record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<u32>,
    /// Set when reading was rewound: records below this offset can be stored already, so each is compared with the
    /// stored ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reread_to: Option<i64>,
}

impl Default for QueuePlace {
    fn default() -> QueuePlace {
        QueuePlace { next: 0, physical: -1, offset: None, stored: None, digest: None, reread_to: None }
    }
}

impl QueuePlace {
    /// The place behind a record.
    #[must_use]
    pub fn behind(record: &Record<'_>, next: i64) -> QueuePlace {
        QueuePlace {
            next,
            physical: record.position,
            offset: Some(record.queue_offset),
            stored: Some(record.store_timestamp),
            digest: Some(QueuePlace::digest_of(record)),
            reread_to: None,
        }
    }

    /// A checksum over what the producer gave, which later copies of the record do not change.
    #[must_use]
    pub fn digest_of(record: &Record<'_>) -> u32 {
        let mut digest = crc32fast::Hasher::new();
        digest.update(&record.born_timestamp.to_be_bytes());
        digest.update(record.properties.as_bytes());
        digest.update(record.body);
        digest.finalize()
    }

    /// Queue offset of the last record, if one was read.
    #[must_use]
    pub fn last_offset(&self) -> Option<i64> {
        (self.physical >= 0).then(|| self.offset.unwrap_or(self.next - 1)).filter(|offset| *offset >= 0)
    }

    /// Whether a record that now stands at the place of the last one is still the same.
    #[must_use]
    pub fn is_last(&self, record: &Record<'_>) -> bool {
        self.physical == record.position
            && self.stored.is_none_or(|stored| stored == record.store_timestamp)
            && self.digest.is_none_or(|digest| digest == QueuePlace::digest_of(record))
    }

    /// Whether a record of this queue does not come after the last one, by position and time. A record at a position
    /// that was used again is younger than the last one that was read before.
    #[must_use]
    pub fn reaches(&self, record: &Record<'_>) -> bool {
        record.position <= self.physical && self.stored.is_none_or(|stored| record.store_timestamp <= stored)
    }

    /// Whether the last record was stored after the last record of another place.
    fn is_newer_than(&self, other: &QueuePlace) -> bool {
        match (self.stored, other.stored) {
            // a log that was recreated begins with small positions again
            (Some(own), Some(others)) if own != others => own > others,
            _ => self.physical > other.physical,
        }
    }
}

/// How far the queues of a broker were read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueOffsets {
    /// By topic and queue.
    topics: BTreeMap<String, BTreeMap<i32, QueuePlace>>,
    /// Consumer groups of the broker, which show where the topic of a retry ends.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// Where the commit log began when it was last imported, and the broker's clock at its first record. The same
    /// beginning with another time means another log.
    #[serde(default)]
    pub head: Option<(u64, i64)>,
    /// Broker's clock at the last record, epoch milliseconds.
    #[serde(default)]
    pub last_stored: Option<i64>,
    /// What an import read of the commit log.
    #[serde(default)]
    pub trail: Trail,
    /// Position of the broker's other stream up to which its progress was merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_over: Option<u64>,
}

impl QueueOffsets {
    /// How far a queue was read, if at all.
    #[must_use]
    pub fn get(&self, topic: &str, queue_id: i32) -> Option<QueuePlace> {
        self.topics.get(topic)?.get(&queue_id).copied()
    }

    /// A record was read; `next` is the offset behind it. What was read last counts, even where a broker uses offsets
    /// or positions again.
    pub fn read(&mut self, topic: &str, record: &Record<'_>, next: i64) {
        let place = self.place(topic, record.queue_id);
        let reread_to = place.reread_to.filter(|to| *to > next);
        *place = QueuePlace { reread_to, ..QueuePlace::behind(record, next) };
    }

    /// Reading continues at `next`, behind a gap; the last record stays the last.
    pub fn set(&mut self, topic: &str, queue_id: i32, next: i64) {
        self.place(topic, queue_id).next = next;
    }

    /// Reading continues at a place, ahead or back.
    pub fn put(&mut self, topic: &str, queue_id: i32, place: QueuePlace) {
        *self.place(topic, queue_id) = place;
    }

    /// From `offset` on the commit log is another one, of which nothing was read. A queue that was read further
    /// continues where `resume_at` says, or begins again.
    pub fn replace_from(&mut self, offset: i64, resume_at: &BTreeMap<(String, i32), QueuePlace>) {
        for (topic, queues) in &mut self.topics {
            queues.retain(|queue_id, place| {
                if place.physical < offset {
                    return true;
                }
                let known = resume_at.get(&(topic.clone(), *queue_id));
                if let Some(known) = known {
                    *place = *known;
                }
                known.is_some()
            });
        }
        self.topics.retain(|_, queues| !queues.is_empty());
    }

    fn place(&mut self, topic: &str, queue_id: i32) -> &mut QueuePlace {
        self.topics.entry(topic.to_owned()).or_default().entry(queue_id).or_default()
    }

    /// Merges what another stream of the same broker, which stands at `position`, has read later.
    pub fn merge_progress(&mut self, other: &QueueOffsets, position: u64) {
        if self.taken_over == Some(position) {
            // what this stream read since then is later, whatever clocks say
            return;
        }
        self.taken_over = Some(position);
        for (topic, queue_id, place) in other.queues() {
            let own = self.place(topic, queue_id);
            if place.is_newer_than(own) {
                *own = place;
            }
        }
        self.groups.extend(other.groups.iter().cloned());
        self.last_stored = self.last_stored.max(other.last_stored);
    }

    /// Whether a record of a queue was read already; see [`QueuePlace::reaches`].
    #[must_use]
    pub fn covers(&self, topic: &str, record: &Record<'_>) -> bool {
        self.get(topic, record.queue_id).is_some_and(|place| place.reaches(record))
    }

    /// All queues, with their places.
    pub fn queues(&self) -> impl Iterator<Item = (&str, i32, QueuePlace)> {
        let topics = self.topics.iter();
        topics.flat_map(|(topic, queues)| {
            queues.iter().map(move |(queue, place)| (topic.as_str(), *queue, *place))
        })
    }

    /// The form that is stored.
    ///
    /// # Errors
    /// Never for what this type holds.
    pub fn to_bytes(&self) -> Result<Bytes> {
        serde_json::to_vec(self)
            .map(Bytes::from)
            .map_err(|error| Error::Invariant(format!("queue offsets: {error}")))
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`Error::Invariant`] if the bytes are something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<QueueOffsets> {
        serde_json::from_slice(bytes).map_err(|error| Error::Invariant(format!("queue offsets: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(queue_offset: i64, position: i64, store_timestamp: i64) -> Record<'static> {
        Record { topic: b"T", queue_offset, position, store_timestamp, body: b"body", ..Record::default() }
    }

    #[test]
    fn a_state_of_an_older_version_is_read() {
        let old = br#"{"topics":{"T":{"0":{"next":10,"physical":900}}},"last_stored":5}"#;
        let offsets = QueueOffsets::from_bytes(old).unwrap();
        let place = offsets.get("T", 0).unwrap();
        assert_eq!((place.last_offset(), place.stored), (Some(9), None));
        assert!(place.is_last(&record(9, 900, 5)));
        assert!(!place.is_last(&record(9, 800, 5)));
        assert!(place.reaches(&record(3, 300, 7)) && !place.reaches(&record(10, 1000, 7)));
        let again = QueueOffsets::from_bytes(&offsets.to_bytes().unwrap()).unwrap();
        assert_eq!(again, offsets);
    }

    #[test]
    fn the_last_record_is_distinguished_from_another_at_its_place() {
        let mut offsets = QueueOffsets::default();
        offsets.read("T", &record(9, 900, 50), 10);
        let place = offsets.get("T", 0).unwrap();
        assert!(place.is_last(&record(9, 900, 50)));
        for other in [
            record(9, 901, 50),
            record(9, 900, 51),
            Record { body: b"other", ..record(9, 900, 50) },
            Record { born_timestamp: 7, ..record(9, 900, 50) },
        ] {
            assert!(!place.is_last(&other), "{other:?}");
        }
    }

    #[test]
    fn records_at_places_that_are_used_again_are_not_covered() {
        let mut offsets = QueueOffsets::default();
        offsets.read("T", &record(9, 900, 50), 10);
        for (what, found, is_covered) in [
            ("read before", record(3, 300, 20), true),
            ("the last", record(9, 900, 50), true),
            ("the next", record(10, 1000, 60), false),
            ("in the place of a lost one", record(7, 700, 60), false),
            ("of a recreated topic", record(0, 1000, 60), false),
            ("of a recreated log", record(0, 0, 60), false),
        ] {
            assert_eq!(offsets.covers("T", &found), is_covered, "{what}");
        }
        assert!(!offsets.covers("T", &Record { queue_id: 1, ..record(3, 300, 20) }));
        assert!(!offsets.covers("U", &record(3, 300, 20)));
    }

    #[test]
    fn of_two_streams_the_later_place_counts_also_in_a_recreated_log() {
        let (mut old, mut new) = (QueueOffsets::default(), QueueOffsets::default());
        old.read("T", &record(9, 900, 50), 10);
        new.read("T", &record(3, 300, 70), 4);
        let mut both = old.clone();
        both.merge_progress(&new, 1);
        assert_eq!(both.get("T", 0), new.get("T", 0));
        new.merge_progress(&old, 1);
        assert_eq!(new.get("T", 0).unwrap().next, 4);
        // a clock that goes back makes no difference to what was merged before
        new.read("T", &record(4, 400, 10), 5);
        new.merge_progress(&old, 1);
        assert_eq!(new.get("T", 0).unwrap().next, 5);
        new.merge_progress(&old, 2);
        assert_eq!(new.get("T", 0).unwrap().next, 10);
    }

    #[test]
    fn what_is_read_again_is_known_until_its_end() {
        let mut offsets = QueueOffsets::default();
        offsets.put("T", 0, QueuePlace { next: 3, reread_to: Some(5), ..QueuePlace::default() });
        offsets.read("T", &record(3, 300, 60), 4);
        assert_eq!(offsets.get("T", 0).unwrap().reread_to, Some(5));
        offsets.read("T", &record(4, 400, 60), 5);
        assert_eq!(offsets.get("T", 0).unwrap().reread_to, None);
    }
}
