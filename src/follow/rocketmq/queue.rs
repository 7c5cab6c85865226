//! One queue: pulled from where it stands, for as long as the broker has it.
//!
//! Offsets are compared with what is expected, whatever the answer's code: what is missing is a hole, and a hole is
//! shown and written down.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::super::pause::Backoff;
use super::broker::Inbox;
use super::frames::pulled;
use crate::error::{Error, Result};
use crate::lake::Gap;
use crate::replay::QueuePlace;
use crate::rocketmq::properties::names;
use crate::rocketmq::record::records;
use crate::rocketmq::remoting::codes::response;
use crate::rocketmq::remoting::requests::{Pull, PullRequest, PullStatus};
use crate::source::rocketmq::remote::{Client, RemoteError};

/// Messages asked for at once; brokers give no more.
const MOST_MESSAGES: u16 = 32;

/// A queue that is pulled.
pub(super) struct QueueFollower {
    pub(super) topic: String,
    pub(super) queue_id: i32,
    /// Where it stands; `None` if nothing was read of it yet.
    pub(super) place: Option<QueuePlace>,
    pub(super) client: Client,
    pub(super) inbox: Arc<Inbox>,
    /// Cancelled when the queue is gone or nothing more is to be received.
    pub(super) stop: CancellationToken,
}

/// What a pull means for the place of a queue.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Records from `first` to `next`; before `first` there may be a hole.
    Records { first: i64, next: i64 },
    /// Nothing yet.
    End,
    /// Offsets up to this one are gone.
    Hole { to: i64 },
    /// The queue ends before the offset that was asked for: at this one.
    Shorter { end: i64, begin: i64 },
}

fn judge(asked: i64, pull: &Pull, first: Option<i64>) -> Step {
    match (pull.status, first) {
        (PullStatus::Found, Some(first)) => Step::Records { first, next: pull.next.max(first + 1) },
        (PullStatus::OffsetMoved, _) if pull.next < asked => {
            Step::Shorter { end: pull.next, begin: pull.min }
        }
        (PullStatus::NotFound, _) => Step::End,
        _ if pull.next > asked => Step::Hole { to: pull.next },
        _ => Step::End,
    }
}

impl QueueFollower {
    /// Pulls until it is told to stop; returns where it stands then.
    ///
    /// # Errors
    /// Of what is received only: those of the broker are explained and tried again.
    pub(super) async fn run(mut self) -> Result<Option<QueuePlace>> {
        let settings = self.inbox.retry();
        let mut backoff = Backoff::new(settings.0, settings.1);
        while !self.stop.is_cancelled() {
            let pause = match self.pull_once().await {
                Ok(true) => {
                    backoff.reset();
                    continue;
                }
                // an answer without progress that came at once, as a slave gives it
                Ok(false) => backoff.next(),
                Err(Failure::Stopped) => break,
                Err(Failure::Own(error)) => return Err(error),
                Err(Failure::Remote(error)) => {
                    if is_gone(&error) {
                        // the next look at the broker's topics decides
                        self.stop.cancelled().await;
                        break;
                    }
                    self.inbox.failed(&self.topic, self.queue_id, &error);
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

    /// One pull; `false` if it brought nothing although the broker did not wait.
    async fn pull_once(&mut self) -> Result<bool, Failure> {
        // of a queue that was never read the broker says where it begins; asking for that needs further rights
        let asked = self.place.map_or(0, |place| place.next);
        let pull = self.pull(asked, MOST_MESSAGES, self.inbox.wait()).await?;
        self.inbox.answered(&self.topic, self.queue_id);
        let first = records(&pull.body).flatten().next().map(|record| record.queue_offset);
        self.inbox.behind(&self.topic, self.queue_id, pull.max.saturating_sub(asked.max(pull.next)));
        match judge(asked, &pull, first) {
            Step::Records { first, next } => {
                self.note_hole(asked, first);
                for (from, to) in holes_within(&pull.body, next) {
                    self.tell_hole(from, to);
                }
                let last = records(&pull.body).flatten().map(|record| record.position).last();
                self.put(next, &pull.body).await?;
                self.place = Some(QueuePlace { next, physical: last.unwrap_or(-1) });
                Ok(true)
            }
            Step::End => Ok(pull.status == PullStatus::NotFound),
            Step::Hole { to } => {
                self.note_hole(asked, to);
                self.put(to, &[]).await?;
                self.go_on_at(to);
                Ok(true)
            }
            Step::Shorter { end, begin } => {
                let to = self.after_loss(end, begin).await?;
                self.inbox.went_back(&self.topic, self.queue_id, asked, to);
                self.put(to, &[]).await?;
                self.go_on_at(to);
                Ok(true)
            }
        }
    }

    /// Where to go on in a queue that became shorter. If its last record is one that was read, a crash of the broker cut
    /// off what came after it; else the topic was made anew.
    async fn after_loss(&self, end: i64, begin: i64) -> Result<i64, Failure> {
        let Some(QueuePlace { physical, .. }) = self.place else { return Ok(begin) };
        if end <= begin {
            return Ok(end.max(0));
        }
        let last = self.pull(end - 1, 1, std::time::Duration::ZERO).await?;
        let known = records(&last.body).flatten().next().is_some_and(|record| record.position <= physical);
        Ok(if known { end } else { begin })
    }

    async fn pull(&self, offset: i64, most: u16, wait: std::time::Duration) -> Result<Pull, Failure> {
        let request = PullRequest {
            topic: &self.topic,
            queue_id: self.queue_id,
            offset,
            max_messages: most,
            tags: None,
            wait,
        };
        let address = self.inbox.address();
        // only waiting for the broker is cut short: what has arrived is kept, or the place would be wrong
        tokio::select! {
            pull = self.client.pull(&address, &request) => Ok(pull?),
            () = self.stop.cancelled() => Err(Failure::Stopped),
        }
    }

    async fn put(&self, next: i64, records: &[u8]) -> Result<(), Failure> {
        let payload = pulled(&self.topic, self.queue_id, next, records);
        self.inbox.put(super::frames::PULLED, payload, &self.stop).await.map_err(Failure::Own)
    }

    fn go_on_at(&mut self, next: i64) {
        let physical = self.place.map_or(-1, |place| place.physical);
        self.place = Some(QueuePlace { next, physical });
    }

    /// Shows that offsets were gone before they could be read; nothing was read before the first.
    fn note_hole(&self, asked: i64, first: i64) {
        let was_read = self.place.is_some_and(|place| place.physical >= 0);
        if first > asked && was_read {
            self.tell_hole(asked, first);
        }
    }

    fn tell_hole(&self, from: i64, to: i64) {
        let number = |offset: i64| u64::try_from(offset).unwrap_or(0);
        self.inbox.hole(Gap {
            stream: format!("{}/{}/{}", self.inbox.stream(), self.topic, self.queue_id),
            from: number(from),
            to: number(to),
        });
    }
}

/// Offsets that are missing between the records of an answer, and between the last and where the next answer begins.
fn holes_within(body: &[u8], next: i64) -> Vec<(i64, i64)> {
    let mut holes = Vec::new();
    // of a batch that does not say how many messages it has nothing is expected after it
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

/// Why a pull brought nothing.
enum Failure {
    /// The broker or the way to it.
    Remote(RemoteError),
    /// What was received cannot be kept.
    Own(Error),
    /// Nothing more is to be received.
    Stopped,
}

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Failure {
        Failure::Remote(error)
    }
}

/// Whether the broker says that it does not have the topic or queue.
fn is_gone(error: &RemoteError) -> bool {
    matches!(error.code(), Some(response::TOPIC_NOT_EXIST | response::INVALID_PARAMETER))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::rocketmq::record::Record;

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
            ("removed, nothing left", 5, pull(RetryImmediately, 20, 0, 20), None, Step::Hole { to: 20 }),
            ("removed and trimmed", 5, pull(OffsetMoved, 10, 10, 20), None, Step::Hole { to: 10 }),
            ("a slave out of range", 5, pull(RetryImmediately, 5, 0, 3), None, Step::End),
            ("made anew", 50, pull(OffsetMoved, 3, 0, 3), None, Step::Shorter { end: 3, begin: 0 }),
        ];
        for (what, asked, pull, first, step) in cases {
            assert_eq!(judge(asked, &pull, first), step, "{what}");
        }
    }

    #[test]
    fn holes_within_an_answer() {
        let body = |offsets: &[i64]| {
            let mut body = Vec::new();
            for offset in offsets {
                let record = Record { topic: b"T", queue_offset: *offset, ..Record::default() };
                crate::rocketmq::record_encode::encode(&mut body, &record);
            }
            body
        };
        assert_eq!(holes_within(&body(&[5, 6, 7]), 8), []);
        assert_eq!(holes_within(&body(&[5, 8, 9]), 10), [(6, 8)]);
        assert_eq!(holes_within(&body(&[5, 6]), 12), [(7, 12)]);
        assert_eq!(holes_within(&[], 12), []);
    }
}
