//! A connection to a slave, as long as it lasts: the sync loops of one broker group.
//!
//! The index, action and heartbeat loops run side by side, with one request in flight each. What is received goes to
//! the pipelines; nothing is interpreted here beyond [`super::index`] and [`super::action`].
//!
//! **PROBED**: before the first index request of a connection the message log is read at exactly that offset. The
//! answer shows what the index stream hides: whether retention removed the offset (a gap), whether the log was
//! recreated, and whether a record begins there at all (an offset inside a record would be skipped silently).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::action::ActionTail;
use super::contents::Contents;
use super::frames::{ACTIONS, INDEX, MESSAGES};
use super::runs::Runs;
use super::same_log::{has_actions_of, has_messages_of};
use super::stretch::StretchError;
use super::{action, index, stretch};
use crate::brokers::qmq::format::message_log::MIN_RECORD_BYTES;
use crate::brokers::qmq::store::{LogFormat, MessageFormat, Step};
use crate::brokers::qmq::wire::{PeerError, SyncClient};
use crate::config;
use crate::config::ContentPolicy;
use crate::error::{Error, Result};
use crate::lake::Gap;
use crate::stream::spool::GAP;
use crate::stream::{Board, Gaps, IdlePause, Pipeline};

/// Time between two heartbeats.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
/// Most queues whose next sequence is remembered.
pub(super) const MOST_QUEUES: usize = 1_000_000;
/// How long to wait before trying a full spool again.
const FULL_PAUSE: Duration = Duration::from_millis(100);
/// How long a stream pauses when it needs an operator.
const ALARMED_PAUSE: Duration = Duration::from_secs(5);
/// Requests without an answer, while heartbeats are answered, before a stream counts as blocked (E9).
const SILENT_REQUESTS: u32 = 3;
/// Bytes of the message log read to get past a message that blocks the index stream.
const BLOCKED_STEP: u64 = 256 << 10;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// The slave failed; connect again.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// The cluster is not as it should be; an operator has to put it right.
    #[error("{0}")]
    Cluster(Error),
    /// mqlake itself failed.
    #[error(transparent)]
    Internal(#[from] Error),
}

/// What the loops of one group share.
pub(super) struct Link<'a> {
    pub(super) client: &'a SyncClient,
    pub(super) actions_client: &'a SyncClient,
    pub(super) messages: &'a Pipeline,
    pub(super) actions: Option<&'a Pipeline>,
    pub(super) board: &'a Arc<Board>,
    pub(super) settings: &'a config::Follow,
    pub(super) content: ContentPolicy,
    pub(super) stop: &'a CancellationToken,
    pub(super) gaps: &'a Gaps,
    pub(super) contents: &'a Contents,
    pub(super) message_end: ReportedEnd,
    pub(super) action_end: ReportedEnd,
}

/// The end of a broker's log as last reported by a heartbeat.
///
/// It can be one second old, and records that arrived since lie beyond it. So it proves a shorter log only against what
/// had been received when the heartbeat was sent.
#[derive(Default)]
pub(super) struct ReportedEnd(Mutex<Option<(u64, u64)>>);

impl ReportedEnd {
    fn set(&self, received_when_asked: u64, end: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((received_when_asked, end));
    }

    /// The reported end, if it applies to a reader at `position`.
    fn end(&self, position: u64) -> Option<u64> {
        let (asked, end) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(if end >= asked { end.max(position) } else { end })
    }
}

impl Link<'_> {
    /// Follows until the connection fails or a stop is asked for.
    pub(super) async fn follow(&self, runs: &mut Runs) -> Result<(), LinkError> {
        self.messages.settle().await;
        if let Some(actions) = self.actions {
            actions.settle().await;
        }
        match self.client.greatest_sequences().await {
            Ok(queues) => queues.iter().for_each(|(queue, greatest)| runs.expect(queue, *greatest)),
            Err(error) => tracing::debug!(%error, "the broker did not list its queues"),
        }
        let actions = async {
            match self.actions {
                Some(pipeline) => self.action_loop(pipeline).await,
                None => {
                    self.stop.cancelled().await;
                    Ok(())
                }
            }
        };
        tokio::try_join!(self.heartbeat_loop(), self.index_loop(runs), actions, self.sync_loop())?;
        Ok(())
    }

    async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.stop.cancelled() => {}
        }
    }

    fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    async fn heartbeat_loop(&self) -> Result<(), LinkError> {
        while !self.is_stopping() {
            let message = self.messages.received().unwrap_or(0);
            let action = self.actions.and_then(Pipeline::received).unwrap_or(0);
            let maxima = self.client.heartbeat(as_offset(message), as_offset(action)).await?;
            let (message_end, action_end) = (as_position(maxima.message), as_position(maxima.action));
            self.message_end.set(message, message_end);
            self.action_end.set(action, action_end);
            self.board.broker_end("message", message_end);
            self.board.broker_end("action", action_end);
            for pipeline in [Some(self.messages), self.actions].into_iter().flatten() {
                self.board.spooled(pipeline.stream.log.name(), pipeline.spooled_bytes());
            }
            let is_broken = self.messages.is_broken() || self.actions.is_some_and(Pipeline::is_broken);
            if is_broken {
                return Err(
                    Error::Invariant("replay or commits have ended; see the alarms".to_owned()).into()
                );
            }
            self.pause(HEARTBEAT_EVERY).await;
        }
        Ok(())
    }

    /// Forces the spools to disk every `follow.spool_sync`.
    async fn sync_loop(&self) -> Result<(), LinkError> {
        while !self.is_stopping() {
            self.pause(self.settings.spool_sync).await;
            self.messages.sync().await?;
            if let Some(actions) = self.actions {
                actions.sync().await?;
            }
            self.gaps.store().await;
        }
        Ok(())
    }

    /// Appends received bytes to the spool. Waits while the spool is full, since the broker keeps what is not
    /// requested.
    async fn append(&self, pipeline: &Pipeline, kind: u8, from: u64, to: u64, payload: Bytes) -> Result<()> {
        let alarm = format!("spool of {}", pipeline.stream.log.0.holds);
        while !pipeline.has_room(payload.len()) {
            self.board.alarm(
                alarm.clone(),
                format!(
                    "the spool of {} is full (follow.spool_max) because commits fail or are slow; the broker is not \
                     asked for more until there is room",
                    pipeline.stream,
                ),
            );
            if self.is_stopping() {
                return Err(Error::Limit(format!("the spool of {} is full", pipeline.stream)));
            }
            self.pause(FULL_PAUSE).await;
        }
        self.board.clear_alarm(&alarm);
        pipeline.append(kind, from, to, payload).await
    }

    /// Records a gap permanently, then skips it.
    async fn pass_gap(&self, pipeline: &Pipeline, from: u64, to: u64) -> Result<()> {
        self.gap(pipeline, from, to).await;
        self.append(pipeline, GAP, from, to, Bytes::new()).await
    }

    async fn gap(&self, pipeline: &Pipeline, from: u64, to: u64) {
        self.gaps.note(Gap { stream: pipeline.stream.to_string(), from, to });
        self.gaps.store().await;
    }

    async fn index_loop(&self, runs: &mut Runs) -> Result<(), LinkError> {
        let mut idle = IdlePause::new(self.settings.idle_pause_min, self.settings.idle_pause_max);
        let mut silent = 0;
        let Some(mut position) = self.probe().await? else { return Ok(()) };
        while !self.is_stopping() {
            if position < self.messages.exact_until {
                position = self.consult(position, self.messages.exact_until, true, runs).await?;
                continue;
            }
            let answer = match self.client.index(as_offset(position)).await {
                Ok(answer) => answer,
                Err(error) if error.is_silence() => {
                    silent += 1;
                    if silent >= SILENT_REQUESTS {
                        position = self.get_past(position, runs).await?;
                        silent = 0;
                    }
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            silent = 0;
            self.board.answered("message");
            self.board.clear_alarm("index stream");
            let end = self.message_end.end(position);
            match index::judge(position, answer.start_offset, &answer.data, end, runs, self.content) {
                index::Verdict::Idle => {
                    self.board.clear_alarm(RESET_MESSAGES);
                    self.pause(idle.after_empty()).await;
                    continue;
                }
                index::Verdict::Accept { to } => {
                    self.append(self.messages, INDEX, position, to, answer.data).await?;
                    position = to;
                }
                index::Verdict::Fetch { to } => {
                    match self.contents.with_dead_letters(position, &answer.data).await {
                        Some(payload) => {
                            self.append(self.messages, MESSAGES, position, to, Bytes::from(payload)).await?;
                            position = to;
                        }
                        None => position = self.consult(position, to, true, runs).await?,
                    }
                }
                index::Verdict::Consult { to } => position = self.consult(position, to, true, runs).await?,
                index::Verdict::NextSegment { to } => {
                    self.append(self.messages, INDEX, position, to, Bytes::new()).await?;
                    position = to;
                }
                index::Verdict::Reset { broker_end } => {
                    self.alarm_reset(self.messages, RESET_MESSAGES, position, broker_end).await;
                    continue;
                }
            }
            self.board.clear_alarm(RESET_MESSAGES);
            idle.after_data();
        }
        Ok(())
    }

    /// Where the message stream continues; `None` if a stop is requested first.
    async fn probe(&self) -> Result<Option<u64>, LinkError> {
        while !self.is_stopping() {
            let known = self.messages.received();
            let answer = self.client.message(known.map_or(-1, as_offset)).await?;
            self.board.answered("message");
            let start = as_position(answer.start_offset);
            let Some(position) = known else {
                if answer.start_offset < 0 {
                    // an empty log answers with the requested offset
                    self.pause(self.settings.idle_pause_max).await;
                    continue;
                }
                return Ok(Some(start));
            };
            if start > position && !answer.data.is_empty() {
                self.pass_gap(self.messages, position, start).await?;
                return Ok(Some(start));
            }
            if start < position && !answer.data.is_empty() {
                self.alarm_reset(self.messages, RESET_MESSAGES, position, start).await;
                continue;
            }
            if let Some(reason) = no_record(position, &answer.data) {
                self.board.alarm(
                    "message log",
                    format!(
                        "no record begins at offset {position} of the broker's message log ({reason}): it is not the \
                         log that was followed before, or it is damaged. To go on elsewhere stop the server and run: \
                         mqlake seek --broker-group {} --stream message --to OFFSET|start",
                        self.messages.stream.broker_group
                    ),
                );
                self.pause(ALARMED_PAUSE).await;
                continue;
            }
            if let Some(frame) = self.messages.last_frame().await?
                && frame.to <= position
            {
                let answer = self.client.message(as_offset(frame.from)).await?;
                let is_there = as_position(answer.start_offset) == frame.from;
                if is_there && has_messages_of(&frame, &answer.data) == Some(false) {
                    self.alarm_replaced(self.messages, "message log", frame.from).await;
                    continue;
                }
            }
            self.board.clear_alarm("message log");
            self.board.clear_alarm(RESET_MESSAGES);
            return Ok(Some(position));
        }
        Ok(None)
    }

    /// Waits until the action log holds what was received last, or a stop is requested.
    async fn probe_actions(&self, pipeline: &Pipeline) -> Result<(), LinkError> {
        while !self.is_stopping() {
            let Some(frame) = pipeline.last_frame().await? else { return Ok(()) };
            let answer = match self.actions_client.action(as_offset(frame.from)).await {
                Ok(answer) => answer,
                // the loop that asks for more notices it, too, and reports it
                Err(error) if error.is_silence() => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let is_there = as_position(answer.start_offset) == frame.from;
            if !is_there || has_actions_of(&frame, &answer.data) != Some(false) {
                return Ok(());
            }
            self.alarm_replaced(pipeline, "action log", frame.from).await;
        }
        Ok(())
    }

    async fn alarm_replaced(&self, pipeline: &Pipeline, alarm: &'static str, from: u64) {
        let log = pipeline.stream.log.name();
        self.board.alarm(
            alarm,
            format!(
                "the broker's {log} log has other records at offset {from} than those that were followed: it was cut and \
                 written again, or belongs to another group. Nothing is appended. To accept the new log stop the server \
                 and run: mqlake seek --broker-group {} --stream {log} --to start",
                pipeline.stream.broker_group,
            ),
        );
        self.pause(ALARMED_PAUSE).await;
    }

    /// Reads the message log itself from `position`; returns where to continue.
    async fn consult(
        &self,
        position: u64,
        to: u64,
        is_end_sure: bool,
        runs: &mut Runs,
    ) -> Result<u64, LinkError> {
        match stretch::read(self.client, position, to, self.content, is_end_sure, runs).await {
            Ok(stretch) => {
                self.board.answered("message");
                self.board.unusable("message", stretch.unusable);
                if let Some(damage) = stretch.damage {
                    self.board.alarm(
                        "message log",
                        format!("damage in the broker's message log was passed over: {damage}"),
                    );
                    self.gap(self.messages, position, stretch.to).await;
                }
                if stretch.to > position {
                    let payload = Bytes::from(stretch.payload);
                    self.append(self.messages, MESSAGES, position, stretch.to, payload).await?;
                }
                Ok(stretch.to)
            }
            Err(StretchError::Peer(error)) => Err(error.into()),
            Err(StretchError::Gap { to }) => {
                self.pass_gap(self.messages, position, to).await?;
                Ok(to)
            }
            Err(StretchError::Reset { broker_end }) => {
                self.alarm_reset(self.messages, RESET_MESSAGES, position, broker_end).await;
                Ok(position)
            }
        }
    }

    /// The broker's index stream gives no answer at all at this offset, while heartbeats are answered: its index worker
    /// cannot read the message there (E9). Reading the message log itself gets past it.
    async fn get_past(&self, position: u64, runs: &mut Runs) -> Result<u64, LinkError> {
        self.board.alarm(
            "index stream",
            format!(
                "the broker does not answer index requests at offset {position}; reading the message log itself. If \
                 that does not help either: mqlake seek --broker-group {} --stream message --to OFFSET",
                self.messages.stream.broker_group
            ),
        );
        let end = self.message_end.end(position).unwrap_or(position);
        let to = end.min(position + BLOCKED_STEP);
        let reached = if to > position { self.consult(position, to, false, runs).await? } else { position };
        Ok(reached)
    }

    async fn action_loop(&self, pipeline: &Pipeline) -> Result<(), LinkError> {
        let mut idle = IdlePause::new(self.settings.idle_pause_min, self.settings.idle_pause_max);
        self.probe_actions(pipeline).await?;
        let mut begun = pipeline.received();
        let mut tail = ActionTail::new(begun.unwrap_or(0));
        let mut answered = Instant::now();
        while !self.is_stopping() {
            let asked = tail.wanted();
            let answer = match self.actions_client.action(as_offset(asked)).await {
                Ok(answer) => answer,
                Err(error) if error.is_silence() => {
                    // heartbeats show whether the broker is alive; this stream alone may be blocked
                    if answered.elapsed() >= self.settings.silence_alarm {
                        self.board.alarm(
                            "action stream",
                            format!(
                                "the broker has not answered action requests at offset {asked} for more than {:?}",
                                self.settings.silence_alarm
                            ),
                        );
                    }
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            answered = Instant::now();
            self.board.answered("action");
            self.board.clear_alarm("action stream");
            let position = tail.position();
            let end = self.action_end.end(position);
            match tail.answer(answer.start_offset, &answer.data, end) {
                action::Verdict::Idle => {
                    self.board.clear_alarm(RESET_ACTIONS);
                    self.pause(idle.after_empty()).await;
                    continue;
                }
                action::Verdict::Partial if answer.data.is_empty() => {
                    self.pause(idle.after_empty()).await;
                    continue;
                }
                action::Verdict::Partial => continue,
                action::Verdict::Accept { to, records } => {
                    begun = Some(to);
                    self.append(pipeline, ACTIONS, position, to, records).await?;
                }
                action::Verdict::Gap { to } => {
                    if begun.is_none() {
                        // if the first segments of a log are gone before anything was read of it, nothing is lost
                        begun = Some(to);
                        continue;
                    }
                    self.pass_gap(pipeline, position, to).await?;
                }
                action::Verdict::Reset { broker_end } => {
                    tail.seek(position);
                    self.alarm_reset(pipeline, RESET_ACTIONS, position, broker_end).await;
                    continue;
                }
                action::Verdict::Damaged { at, reason } => {
                    self.board.alarm(
                        "action log",
                        format!(
                            "the broker's action log is damaged at offset {at} ({reason}); this stream stands still. To \
                             go on at the next segment stop the server and run: mqlake seek --broker-group {} --stream \
                             action --to next-segment",
                            pipeline.stream.broker_group
                        ),
                    );
                    self.pause(ALARMED_PAUSE).await;
                    continue;
                }
            }
            self.board.clear_alarm(RESET_ACTIONS);
            self.board.clear_alarm("action log");
            idle.after_data();
        }
        Ok(())
    }

    async fn alarm_reset(&self, pipeline: &Pipeline, alarm: &'static str, position: u64, broker_end: u64) {
        self.board.alarm(
            alarm,
            format!(
                "the broker's {} log ends at offset {broker_end}, before {position}, up to which it was followed: it was \
                 recreated or cut, or belongs to another group. Nothing is appended. To accept the new log stop the \
                 server and run: mqlake seek --broker-group {} --stream {} --to start",
                pipeline.stream.log.name(),
                pipeline.stream.broker_group,
                pipeline.stream.log.name()
            ),
        );
        self.pause(ALARMED_PAUSE).await;
    }
}

const RESET_MESSAGES: &str = "message log reset";
const RESET_ACTIONS: &str = "action log reset";

/// Why no record begins at a position; `None` if that is not certain.
fn no_record(position: u64, data: &[u8]) -> Option<String> {
    let left = MessageFormat::SEGMENT_BYTES - position % MessageFormat::SEGMENT_BYTES;
    if data.len() < MIN_RECORD_BYTES || left < MIN_RECORD_BYTES as u64 {
        return None;
    }
    match MessageFormat::step(data, usize::try_from(left).unwrap_or(usize::MAX)) {
        // zeros before the first record of a slave that began in the middle of a segment (E25)
        Step::Invalid(_)
            if position.is_multiple_of(MessageFormat::SEGMENT_BYTES) && data.starts_with(&[0; 4]) =>
        {
            None
        }
        Step::Invalid(reason) => Some(reason),
        _ => None,
    }
}

fn as_offset(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

fn as_position(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or(0)
}
