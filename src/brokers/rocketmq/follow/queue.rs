//! One queue, pulled from its place on for as long as the broker has it.
//!
//! Offsets are compared with what is expected, whatever the answer's code. Missing offsets are a gap, which is reported
//! and stored.
//!
//! **SAME-RECORD**: nothing that a pull brings is kept before the last record read was seen at its place, the same in
//! position, time and content. A broker that lost the end of its log, or a topic that was recreated, uses offsets
//! again, and producers may have passed the place of this queue before it asks. Then [`super::truncated`] finds where
//! reading has to resume.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::frames::{PLACED, PULLED, placed, pulled};
use super::inbox::Inbox;
use crate::brokers::rocketmq::format::properties::names;
use crate::brokers::rocketmq::format::record::{Record, records};
use crate::brokers::rocketmq::replay::QueuePlace;
use crate::brokers::rocketmq::wire::client::{Client, RemoteError};
use crate::brokers::rocketmq::wire::codes::response;
use crate::brokers::rocketmq::wire::requests::{Pull, PullRequest, PullStatus};
use crate::error::Error;
use crate::lake::Gap;
use crate::stream::Backoff;

/// Messages requested at once; brokers return no more.
const MOST_MESSAGES: u16 = 32;

/// A queue that is pulled.
pub(super) struct QueueFollower {
    pub(super) topic: String,
    pub(super) queue_id: i32,
    /// The place reached; `None` if nothing was read of the queue yet.
    pub(super) place: Option<QueuePlace>,
    pub(super) client: Client,
    pub(super) inbox: Arc<Inbox>,
    /// Cancelled when the queue is removed or receiving stops.
    pub(super) stop: CancellationToken,
    /// Whether more messages are known to be there. Then the last record is requested together with what follows it.
    pub(super) is_behind: bool,
    /// Whether the last record, or one behind it, cannot be read and so cannot be compared.
    pub(super) is_blind: bool,
    /// End of the stream when reading was rewound: from there on the records to compare with are visible.
    pub(super) seen_from: Option<u64>,
}

/// What an answer to a pull means for the place of a queue.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Records from `first` to `next`; there may be a gap before `first`.
    Records { first: i64, next: i64 },
    /// Nothing yet.
    End,
    /// Offsets below `to` were removed.
    Gap { to: i64 },
    /// The queue ends before the requested offset.
    Shorter,
}

fn judge(asked: i64, pull: &Pull, first: Option<i64>) -> Step {
    match (pull.status, first) {
        (PullStatus::Found, Some(first)) => Step::Records { first, next: pull.next.max(first + 1) },
        // an old broker says 0 for the next offset while the first message is there, so the end decides
        (PullStatus::OffsetMoved, _) if pull.max < asked => Step::Shorter,
        (PullStatus::NotFound, _) => Step::End,
        _ if pull.next > asked => Step::Gap { to: pull.next },
        _ => Step::End,
    }
}

/// What became of the last record of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// It is there, and takes so many bytes of the answer.
    Same(usize),
    /// Retention removed it, as far as the answer shows.
    Removed,
    /// What is there cannot be read.
    Unreadable,
    /// Another record is at its place.
    Another,
    /// A master says that the queue ends before it.
    Shorter,
    /// The queue seems to end before it.
    PerhapsShorter,
    /// The answer does not say: it is from a slave that is behind.
    Unknown,
}

/// What an answer to a pull from the last record on says about that record.
pub(super) fn judge_last(place: &QueuePlace, asked: i64, pull: &Pull) -> Last {
    match records(&pull.body).next() {
        Some(Ok(record)) if place.is_last(&record) => Last::Same(record.size()),
        // a later record of the same log: those before it were removed
        Some(Ok(record)) if record.queue_offset > asked && record.position > place.physical => Last::Removed,
        Some(Ok(_)) => Last::Another,
        Some(Err(_)) => Last::Unreadable,
        None if pull.min > asked => Last::Removed,
        None => match pull.status {
            PullStatus::OffsetMoved if pull.max <= asked => Last::Shorter,
            PullStatus::NotFound if pull.max <= asked => Last::PerhapsShorter,
            // the records from there on are being removed
            PullStatus::RetryImmediately if pull.next > asked => Last::Removed,
            _ => Last::Unknown,
        },
    }
}

impl QueueFollower {
    /// Pulls until a stop is requested; returns the place reached.
    ///
    /// # Errors
    /// Only those of the spool: errors of the broker are reported, and the pull is repeated.
    pub(super) async fn run(mut self) -> Result<Option<QueuePlace>, Error> {
        let settings = self.inbox.retry();
        let mut backoff = Backoff::new(settings.0, settings.1);
        let mut gone_since: Option<Instant> = None;
        if self.place.is_some_and(|place| place.reread_to.is_some()) {
            self.seen_from = self.inbox.received();
        }
        while !self.stop.is_cancelled() {
            let pause = match self.pull_once().await {
                Ok(true) => {
                    gone_since = None;
                    backoff.reset();
                    continue;
                }
                // an answer without progress that came at once, as a slave gives it
                Ok(false) => backoff.next(),
                Err(Failure::Stopped) => break,
                Err(Failure::Internal(error)) => return Err(error),
                Err(Failure::Lookup(error)) => {
                    let what = format!("comparing with what is stored: {error}");
                    self.inbox.failed(&self.topic, self.queue_id, what);
                    backoff.next()
                }
                Err(Failure::Remote(error)) => {
                    // a topic that was removed ends this queue when the broker's topics are listed next. One that was
                    // recreated meanwhile, or that the broker has not loaded yet, is requested again
                    let is_gone_for = gone_since.filter(|_| is_gone(&error)).map(|since| since.elapsed());
                    if !is_gone(&error) || is_gone_for.is_some_and(|time| time > self.inbox.look_every() * 2)
                    {
                        self.inbox.refused(&self.topic, self.queue_id, &error);
                    }
                    gone_since = is_gone(&error).then(|| gone_since.unwrap_or_else(Instant::now));
                    // whoever answers next is asked for the last record first
                    self.is_behind = true;
                    backoff.next()
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => {}
            }
        }
        Ok(self.place)
    }

    /// Offset of the last record, if it can be requested.
    fn comparable(&self) -> Option<(QueuePlace, i64)> {
        let place = self.place.filter(|_| !self.is_blind)?;
        Some((place, place.last_offset()?))
    }

    /// One step; `false` if it made no progress although the broker did not wait.
    async fn pull_once(&mut self) -> Result<bool, Failure> {
        match self.comparable() {
            Some((place, last)) if self.is_behind => self.pull_from_last(&place, last).await,
            _ => self.pull_next().await,
        }
    }

    /// Pulls the last record and what follows it in one answer.
    async fn pull_from_last(&mut self, place: &QueuePlace, last: i64) -> Result<bool, Failure> {
        let pull = self.pull(last, MOST_MESSAGES, Duration::ZERO).await?;
        match judge_last(place, last, &pull) {
            Last::Same(size) if pull.next > place.next => {
                let rest = Pull { body: pull.body.slice(size..), ..pull };
                self.take(place.next, &rest).await
            }
            // the last record alone fills an answer, nothing follows it, or it was removed
            Last::Same(_) | Last::Removed => {
                self.is_behind = false;
                Ok(true)
            }
            verdict => self.without_last(verdict, &pull).await,
        }
    }

    /// Pulls what follows the last record, waiting for it at the end of the queue, then checks that the last record is
    /// there.
    async fn pull_next(&mut self) -> Result<bool, Failure> {
        // if the queue was never read, the broker says where it begins; asking for that would need further rights
        let asked = self.place.map_or(0, |place| place.next);
        let pull = self.pull(asked, MOST_MESSAGES, self.inbox.wait()).await?;
        if judge(asked, &pull, None) == Step::Shorter {
            return self.rewind(&pull).await;
        }
        if let Some((place, last)) = self.comparable() {
            let check = self.pull(last, 1, Duration::ZERO).await?;
            match judge_last(&place, last, &check) {
                Last::Same(_) => return self.take(asked, &pull).await,
                Last::Removed => {}
                verdict => return self.without_last(verdict, &check).await,
            }
        }
        // without the last record its position has to do: a log only grows
        let physical = self.place.map_or(-1, |place| place.physical);
        let first = records(&pull.body).flatten().next();
        if first.is_some_and(|first| physical >= 0 && first.position <= physical) {
            return self.rewind(&pull).await;
        }
        self.take(asked, &pull).await
    }

    /// Continues where the last record was not found.
    async fn without_last(&mut self, verdict: Last, pull: &Pull) -> Result<bool, Failure> {
        match verdict {
            Last::Same(_) | Last::Removed => Ok(true),
            Last::Unreadable => {
                self.is_blind = true;
                Ok(true)
            }
            Last::Another | Last::Shorter => self.rewind(pull).await,
            Last::PerhapsShorter => {
                // for the next offset a master says that it does not exist; a slave only says that it has nothing
                let beyond = self.pull(pull.max.saturating_add(1), 1, Duration::ZERO).await?;
                match beyond.status {
                    PullStatus::OffsetMoved if beyond.max == pull.max => self.rewind(pull).await,
                    _ => Ok(false),
                }
            }
            Last::Unknown => Ok(false),
        }
    }

    /// Takes the records of a pull; the place has been verified.
    async fn take(&mut self, asked: i64, pull: &Pull) -> Result<bool, Failure> {
        let first = records(&pull.body).flatten().next().map(|record| record.queue_offset);
        let mut is_progress = true;
        match judge(asked, pull, first) {
            Step::Records { first, next } => {
                self.note_gap(asked, first);
                for (from, to) in gaps_within(&pull.body, next) {
                    self.report_gap(from, to);
                }
                self.put(next, &pull.body).await?;
            }
            // the broker waited, unless it is a slave
            Step::End | Step::Shorter => is_progress = pull.status == PullStatus::NotFound,
            Step::Gap { to } => {
                self.note_gap(asked, to);
                self.put_frame(PULLED, pulled(&self.topic, self.queue_id, to, &[])).await?;
                self.place = Some(QueuePlace { next: to, ..self.place.unwrap_or_default() });
            }
        }
        let next = self.place.map_or(0, |place| place.next);
        self.is_behind = pull.max > next && is_progress && pull.status == PullStatus::Found;
        self.inbox.answered(&self.topic, self.queue_id, pull.max.saturating_sub(next));
        Ok(is_progress)
    }

    pub(super) async fn pull(&self, offset: i64, most: u16, wait: Duration) -> Result<Pull, Failure> {
        let request = PullRequest {
            topic: &self.topic,
            queue_id: self.queue_id,
            offset,
            max_messages: most,
            tags: None,
            wait,
        };
        let address = self.inbox.address();
        // only waiting for the broker is cut short: an answer that has arrived is kept, or the place would be wrong
        tokio::select! {
            pull = self.client.pull(&address, &request) => Ok(pull?),
            () = self.stop.cancelled() => Err(Failure::Stopped),
        }
    }

    /// Stores the records of an answer and moves the place behind them.
    async fn put(&mut self, next: i64, body: &Bytes) -> Result<(), Failure> {
        let place = self.place.unwrap_or_default();
        let mut walk = records(body);
        let all: Vec<Record<'_>> = walk.by_ref().map_while(Result::ok).collect();
        let is_whole = walk.offset() == body.len();
        let reread_to = place.reread_to.filter(|to| *to > next);
        let new = match all.last() {
            Some(last) => QueuePlace { reread_to, ..QueuePlace::behind(last, next) },
            None => QueuePlace { next, reread_to, ..place },
        };
        self.is_blind = !is_whole;
        let stored = self.stored_already(&place, &all).await?;
        if stored.is_empty() {
            self.put_frame(PULLED, pulled(&self.topic, self.queue_id, next, body)).await?;
        } else {
            let mut kept = Vec::with_capacity(body.len());
            all.iter().filter(|record| !stored.contains(&record.queue_offset)).for_each(|record| {
                kept.extend_from_slice(record.bytes);
            });
            kept.extend_from_slice(body.get(walk.offset()..).unwrap_or_default());
            if !kept.is_empty() {
                self.put_frame(PULLED, pulled(&self.topic, self.queue_id, next, &kept)).await?;
            }
            self.put_frame(PLACED, placed(&self.topic, self.queue_id, &new)?).await?;
        }
        if !place.stored.is_some_and(|stored| self.inbox.is_ahead(stored))
            && let Some(first) = all.iter().find(|record| self.inbox.is_ahead(record.store_timestamp))
        {
            self.inbox.clock_is_ahead(&self.topic, self.queue_id, first.queue_offset, first.store_timestamp);
        }
        self.place = Some(new);
        Ok(())
    }

    pub(super) async fn put_frame(&self, kind: u8, payload: Bytes) -> Result<(), Failure> {
        self.inbox.put(kind, payload, &self.stop).await.map_err(Failure::Internal)
    }

    /// Reports a gap before the first record of an answer, unless nothing was read of the queue before.
    fn note_gap(&self, asked: i64, first: i64) {
        let was_read = self.place.is_some_and(|place| place.physical >= 0);
        if first > asked && was_read {
            self.report_gap(asked, first);
        }
    }

    fn report_gap(&self, from: i64, to: i64) {
        let number = |offset: i64| u64::try_from(offset).unwrap_or(0);
        self.inbox.gap(Gap {
            stream: format!("{}/{}/{}", self.inbox.stream(), self.topic, self.queue_id),
            from: number(from),
            to: number(to),
        });
    }
}

/// Offsets that are missing between the records of an answer, and between the last record and the next answer.
fn gaps_within(body: &[u8], next: i64) -> Vec<(i64, i64)> {
    let mut holes = Vec::new();
    // a batch that does not say how many messages it has leaves the next offset open
    let mut expected: Option<i64> = None;
    for record in records(body).flatten() {
        if let Some(expected) = expected.filter(|expected| *expected < record.queue_offset) {
            holes.push((expected, record.queue_offset));
        }
        let messages = match record.sys_flag.is_inner_batch() {
            true => record.properties.number(names::INNER_NUM),
            false => Some(1),
        };
        expected = messages.map(|messages| record.queue_offset.saturating_add(messages.max(1)));
    }
    if let Some(expected) = expected.filter(|expected| *expected < next) {
        holes.push((expected, next));
    }
    holes
}

/// Why a pull made no progress.
pub(super) enum Failure {
    /// The broker failed, or the connection to it.
    Remote(RemoteError),
    /// The stored messages cannot be read for comparison at present.
    Lookup(Error),
    /// The spool cannot take what was received.
    Internal(Error),
    /// Receiving has stopped.
    Stopped,
}

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Failure {
        Failure::Remote(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Internal(error)
    }
}

/// Whether the broker says that it does not have the topic or queue.
fn is_gone(error: &RemoteError) -> bool {
    matches!(error.code(), Some(response::TOPIC_NOT_EXIST | response::INVALID_PARAMETER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brokers::rocketmq::format::record_encode::encode;

    fn pull(status: PullStatus, next: i64, min: i64, max: i64) -> Pull {
        Pull { status, next, min, max, body: Bytes::new() }
    }

    #[test]
    fn what_answers_mean() {
        use PullStatus::{Found, NotFound, OffsetMoved, RetryImmediately};
        let cases = [
            ("messages", 5, pull(Found, 8, 0, 8), Some(5), Step::Records { first: 5, next: 8 }),
            (
                "messages behind a silent gap",
                5,
                pull(Found, 12, 0, 20),
                Some(10),
                Step::Records { first: 10, next: 12 },
            ),
            ("the end", 8, pull(NotFound, 8, 0, 8), None, Step::End),
            ("removed, nothing left", 5, pull(RetryImmediately, 20, 0, 20), None, Step::Gap { to: 20 }),
            ("removed and trimmed", 5, pull(OffsetMoved, 10, 10, 20), None, Step::Gap { to: 10 }),
            ("a slave out of range", 5, pull(RetryImmediately, 5, 0, 3), None, Step::End),
            ("recreated", 50, pull(OffsetMoved, 3, 0, 3), None, Step::Shorter),
            ("recreated, an old broker", 50, pull(OffsetMoved, 0, 0, 3), None, Step::Shorter),
            ("emptied", 50, pull(OffsetMoved, 0, 0, 0), None, Step::Shorter),
        ];
        for (what, asked, pull, first, step) in cases {
            assert_eq!(judge(asked, &pull, first), step, "{what}");
        }
    }

    #[test]
    fn what_became_of_the_last_record() {
        use PullStatus::{Found, NotFound, OffsetMoved, RetryImmediately};
        let record = |queue_offset, position, store_timestamp| Record {
            topic: b"T",
            queue_offset,
            position,
            store_timestamp,
            ..Record::default()
        };
        let place = QueuePlace::behind(&record(9, 900, 50), 10);
        let found = |record: &Record<'_>| {
            let mut body = Vec::new();
            encode(&mut body, record);
            Pull { body: body.into(), ..pull(Found, 20, 0, 20) }
        };
        let size = found(&record(9, 900, 50)).body.len();
        let cases = [
            ("there", found(&record(9, 900, 50)), Last::Same(size)),
            ("another time", found(&record(9, 900, 60)), Last::Another),
            ("another place", found(&record(9, 850, 60)), Last::Another),
            ("removed in silence", found(&record(12, 1200, 60)), Last::Removed),
            ("of a recreated log", found(&record(12, 700, 60)), Last::Another),
            ("removed and trimmed", pull(OffsetMoved, 12, 12, 20), Last::Removed),
            ("nothing left", pull(RetryImmediately, 20, 0, 20), Last::Removed),
            ("cut off", pull(OffsetMoved, 4, 0, 4), Last::Shorter),
            ("cut off, of an old broker", pull(OffsetMoved, 0, 0, 4), Last::Shorter),
            ("cut off by one", pull(NotFound, 9, 0, 9), Last::PerhapsShorter),
            ("a slave that is behind", pull(RetryImmediately, 9, 0, 4), Last::Unknown),
            ("not dispatched yet", pull(NotFound, 9, 0, 12), Last::Unknown),
        ];
        for (what, answer, verdict) in cases {
            assert_eq!(judge_last(&place, 9, &answer), verdict, "{what}");
        }
        let garbage = Pull { body: Bytes::from_static(b"garbage"), ..pull(Found, 20, 0, 20) };
        assert_eq!(judge_last(&place, 9, &garbage), Last::Unreadable);
    }

    #[test]
    fn gaps_within_an_answer() {
        let body = |offsets: &[i64]| {
            let mut body = Vec::new();
            for offset in offsets {
                encode(&mut body, &Record { topic: b"T", queue_offset: *offset, ..Record::default() });
            }
            body
        };
        assert_eq!(gaps_within(&body(&[5, 6, 7]), 8), []);
        assert_eq!(gaps_within(&body(&[5, 8, 9]), 10), [(6, 8)]);
        assert_eq!(gaps_within(&body(&[5, 6]), 12), [(7, 12)]);
        assert_eq!(gaps_within(&[], 12), []);
    }
}
