//! A queue whose last record is no longer the one that was read: where reading resumes.
//!
//! After a crash that cut off the end of the broker's log, or when a store was restored or a topic or a broker
//! recreated, the queue is the same as before up to some offset, perhaps none, and what follows is new. That border is
//! searched for among the stored records. Reading resumes there, and each record is compared with the stored ones until
//! the offsets that were read before are passed. What was replaced stays stored, since it may have been consumed. An
//! alarm names the offsets.

use std::time::Duration;

use hashbrown::HashSet;

use super::frames::{PLACED, placed};
use super::queue::{Failure, QueueFollower};
use crate::brokers::rocketmq::format::record::{Record, records};
use crate::brokers::rocketmq::replay::QueuePlace;
use crate::brokers::rocketmq::wire::requests::Pull;

/// What the broker has at one offset of a queue.
enum Probe {
    /// A record that is stored, with the place behind it.
    Stored(QueuePlace),
    /// A record that is not stored.
    New,
    /// Nothing: the broker's first record is at this offset.
    Later(i64),
    /// Nothing that can be read: the queue is changing.
    Nothing,
}

impl QueueFollower {
    /// Rewinds to the border between stored and new records; `false` if it cannot be found now.
    pub(super) async fn rewind(&mut self, found: &Pull) -> Result<bool, Failure> {
        let old = self.place.unwrap_or_default();
        let received = self.inbox.received();
        if let Some(received) = received
            && !self.inbox.wait_until_visible(received, &self.stop).await
        {
            return Err(Failure::Stopped);
        }
        self.seen_from = received;
        let Some(border) = self.border(&old, found.min.max(0), found.max.max(0)).await? else {
            return Ok(false);
        };
        let reached = old.next.max(old.reread_to.unwrap_or(0));
        let next = border.map_or(found.min.max(0), |place| place.next);
        let place = QueuePlace {
            next,
            reread_to: Some(reached).filter(|reached| *reached > next),
            ..border.unwrap_or_default()
        };
        self.put_frame(PLACED, placed(&self.topic, self.queue_id, &place)?).await?;
        (self.place, self.is_blind, self.is_behind) = (Some(place), false, found.max > next);
        if next < old.next {
            self.inbox.truncated(&self.topic, self.queue_id, next..old.next, found.max);
        }
        Ok(true)
    }

    /// The place behind the last record of the queue that is stored; `Some(None)` if there is no such record, `None` if
    /// the queue is changing.
    async fn border(
        &self,
        old: &QueuePlace,
        mut begin: i64,
        end: i64,
    ) -> Result<Option<Option<QueuePlace>>, Failure> {
        // search backwards from the old place in growing steps: a crash removes little
        let (mut at, mut step) = (end.min(old.next) - 1, 1);
        let mut new_from = end;
        let mut stored = loop {
            if at < begin {
                return Ok(Some(None));
            }
            match self.probe(old, at).await? {
                Probe::Stored(place) => break place,
                Probe::New => {
                    new_from = at;
                    at = if at > begin { begin.max(at - step) } else { begin - 1 };
                    step *= 2;
                }
                Probe::Later(first) if first < new_from => (begin, at) = (first, first),
                Probe::Later(_) => return Ok(Some(None)),
                Probe::Nothing => return Ok(None),
            }
        };
        while stored.next < new_from {
            let middle = stored.next + (new_from - stored.next) / 2;
            match self.probe(old, middle).await? {
                Probe::Stored(place) if place.next > stored.next => stored = place,
                // what is read again is compared, so a border that is too early does no harm
                Probe::Stored(_) | Probe::New | Probe::Later(_) => new_from = middle,
                Probe::Nothing => return Ok(None),
            }
        }
        Ok(Some(Some(stored)))
    }

    async fn probe(&self, old: &QueuePlace, offset: i64) -> Result<Probe, Failure> {
        let pull = self.pull(offset, 1, Duration::ZERO).await?;
        let Some(Ok(record)) = records(&pull.body).next() else {
            return Ok(if pull.min > offset { Probe::Later(pull.min) } else { Probe::Nothing });
        };
        if record.queue_offset > offset {
            return Ok(Probe::Later(record.queue_offset));
        }
        Ok(match self.is_stored(old, &record).await? {
            true => Probe::Stored(QueuePlace::behind(&record, pull.next.max(record.queue_offset + 1))),
            false => Probe::New,
        })
    }

    async fn is_stored(&self, old: &QueuePlace, record: &Record<'_>) -> Result<bool, Failure> {
        let stored = self.inbox.stored();
        let known = stored
            .at(&self.topic, self.queue_id, vec![record.queue_offset])
            .await
            .map_err(Failure::Lookup)?;
        // records that retention removed from the lake can only be recognised by place and time
        let by_age = || !known.has_offset(record.queue_offset) && old.stored.is_some() && old.reaches(record);
        Ok(known.has(record) || by_age())
    }

    /// Offsets of those records, among the ones read again, that are stored already.
    pub(super) async fn stored_already(
        &self,
        place: &QueuePlace,
        found: &[Record<'_>],
    ) -> Result<HashSet<i64>, Failure> {
        let Some(reread_to) = place.reread_to else { return Ok(HashSet::new()) };
        let offsets: Vec<i64> =
            found.iter().map(|record| record.queue_offset).filter(|offset| *offset < reread_to).collect();
        if offsets.is_empty() {
            return Ok(HashSet::new());
        }
        if let Some(seen_from) = self.seen_from
            && !self.inbox.wait_until_visible(seen_from, &self.stop).await
        {
            return Err(Failure::Stopped);
        }
        let known =
            self.inbox.stored().at(&self.topic, self.queue_id, offsets).await.map_err(Failure::Lookup)?;
        Ok(found.iter().filter(|record| known.has(record)).map(|record| record.queue_offset).collect())
    }
}
