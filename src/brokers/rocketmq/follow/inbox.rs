//! Where all queues of a broker put what they pulled: one stream, one spool, one place to report problems.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::brokers::rocketmq::follow::stored::Stored;
use crate::brokers::rocketmq::follow::troubles::Troubles;
use crate::brokers::rocketmq::wire::client::RemoteError;
use crate::error::{Error, Result};
use crate::lake::{Gap, StreamId};
use crate::stream::{Board, Gaps, Pipeline};

/// Name of the stream for operators.
pub(super) const LOG: &str = "pulled";
/// How long to wait before trying a full spool again.
const FULL_PAUSE: Duration = Duration::from_millis(100);
/// Bytes that a frame counts besides its payload.
const FRAME_WEIGHT: u64 = 32;
/// How far ahead the broker's clock can be before it is reported: no time zone and no drift amounts to a day.
const CLOCK_AHEAD_MS: i64 = 24 * 60 * 60 * 1000;

/// Where the queues of a broker put what they receive.
pub(super) struct Inbox {
    pub(super) stream: StreamId,
    pub(super) pipeline: Pipeline,
    pub(super) board: Arc<Board>,
    pub(super) gaps: Gaps,
    pub(super) address: watch::Receiver<String>,
    pub(super) stored: Stored,
    pub(super) troubles: Troubles,
    pub(super) wait: Duration,
    pub(super) look_every: Duration,
    pub(super) retry: (Duration, Duration),
    pub(super) alarm_for: Duration,
    /// Held while a frame gets its position in the stream.
    pub(super) placing: tokio::sync::Mutex<()>,
}

impl Inbox {
    /// Appends a payload to the spool: from then on it counts as received. Waits while the spool is full.
    pub(super) async fn put(&self, kind: u8, payload: Bytes, stop: &CancellationToken) -> Result<()> {
        let _place = self.placing.lock().await;
        while !self.pipeline.has_room(payload.len()) {
            self.board.alarm(
                "spool",
                format!(
                    "the spool of {} is full (follow.spool_max) because commits fail or are slow; the broker is not asked \
                     for more until there is room",
                    self.stream
                ),
            );
            if self.pipeline.is_broken() || stop.is_cancelled() {
                return Err(Error::Limit(format!("the spool of {} is full", self.stream)));
            }
            tokio::time::sleep(FULL_PAUSE).await;
        }
        self.board.clear_alarm("spool");
        let from = self.pipeline.received().unwrap_or(0);
        let to = from.saturating_add(payload.len() as u64).saturating_add(FRAME_WEIGHT);
        self.pipeline.append(kind, from, to, payload).await
    }

    /// Present address of the broker.
    pub(super) fn address(&self) -> String {
        self.address.borrow().clone()
    }

    /// How long the broker may hold a pull while there is no message.
    pub(super) fn wait(&self) -> Duration {
        self.wait
    }

    /// Shortest and longest pause after failures.
    pub(super) fn retry(&self) -> (Duration, Duration) {
        self.retry
    }

    /// Name of the stream.
    pub(super) fn stream(&self) -> String {
        self.stream.to_string()
    }

    /// How often topics are listed.
    pub(super) fn look_every(&self) -> Duration {
        self.look_every
    }

    /// End of what was received.
    pub(super) fn received(&self) -> Option<u64> {
        self.pipeline.received()
    }

    /// The stored messages of the broker.
    pub(super) fn stored(&self) -> &Stored {
        &self.stored
    }

    /// Waits until queries see what was received up to a position; `false` if a stop came first.
    pub(super) async fn wait_until_visible(&self, position: u64, stop: &CancellationToken) -> bool {
        self.stored.wait_for(position, || self.board.visible_end(LOG), stop).await
    }

    /// The broker answered a pull; the queue has `behind` more messages.
    pub(super) fn answered(&self, topic: &str, queue_id: i32, behind: i64) {
        self.board.answered(LOG);
        self.troubles.answered(topic, queue_id, behind);
    }

    /// The broker refused a pull, or did not answer.
    pub(super) fn refused(&self, topic: &str, queue_id: i32, error: &RemoteError) {
        let is_closed = error.remark().is_some_and(|remark| remark.contains("pulling message is forbidden"));
        let advice = match error.is_permission() {
            true if is_closed => {
                "; the broker lets nobody read it: see `mqadmin updateTopicPerm` and the broker's brokerPermission"
            }
            true => "; it needs the rights Sub and Get on the topic and Sub on the group TOOLS_CONSUMER",
            false => "",
        };
        self.failed(topic, queue_id, format!("{error}{advice}"));
    }

    /// A queue cannot be followed at present.
    pub(super) fn failed(&self, topic: &str, queue_id: i32, what: String) {
        self.troubles.failed(topic, queue_id, what);
    }

    /// Messages were removed before they could be read.
    pub(super) fn gap(&self, gap: Gap) {
        let what =
            format!("{}: offsets {} to {} were removed before they were read", gap.stream, gap.from, gap.to);
        self.board.event("holes", what, self.alarm_for);
        self.gaps.note(gap);
    }

    /// Whether a time of the broker is further ahead than clocks and time zones can differ.
    pub(super) fn is_ahead(&self, time_ms: i64) -> bool {
        time_ms > chrono::Utc::now().timestamp_millis().saturating_add(CLOCK_AHEAD_MS)
    }

    /// The broker's clock jumped: rows of that time are in partitions that retention will not reach for a long time.
    pub(super) fn clock_is_ahead(&self, topic: &str, queue_id: i32, offset: i64, time_ms: i64) {
        let time = chrono::DateTime::from_timestamp_millis(time_ms)
            .map_or_else(|| format!("{time_ms} ms"), |time| time.to_rfc3339());
        self.board.event(
            "clock",
            format!(
                "{}/{topic}/{queue_id}: the message at offset {offset} was stored at {time} by the broker's clock, more than \
                 a day ahead of this server's; it is in the partition of that day, and the newest times in answers are of \
                 that day. Look at both clocks",
                self.stream
            ),
            self.alarm_for,
        );
    }

    /// Records that were read are no longer in the queue, which now ends at `end`.
    pub(super) fn truncated(&self, topic: &str, queue_id: i32, replaced: Range<i64>, end: i64) {
        let Range { start, end: reached } = replaced;
        let now = if end >= reached {
            "other records have their place".to_owned()
        } else {
            format!("the queue ends at {end} now, and other records will have their place")
        };
        self.board.event(
            "went back",
            format!(
                "{}/{topic}/{queue_id}: offsets {start} to {reached} were read, but the broker has them no more; {now}. It lost \
                 the end of its log, or the topic or the broker was made anew. What was read stays stored; reading goes on \
                 at {start}",
                self.stream
            ),
            self.alarm_for,
        );
        metrics::counter!("mqlake_follow_went_back_total", "group" => self.stream.broker_group.clone())
            .increment(1);
    }

    pub(super) async fn close(self) -> Result<()> {
        self.pipeline.settle().await;
        self.pipeline.close().await
    }
}
