//! The status of a source for operators: state, positions, lag, gaps and alarms. It is shown, never used for decisions.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::lake::Gap;

/// Maximum gaps kept per source.
const MAX_GAPS: usize = 100;
/// Maximum events of one subject that are shown.
const MAX_SHOWN_EVENTS: usize = 8;
/// Maximum events kept per source.
const MAX_EVENTS: usize = 256;
/// Maximum ends of a broker's log kept per stream, to compute the lag in seconds.
const MAX_ENDS: usize = 3600;

/// The current status of a source.
#[derive(Debug, Clone, Serialize)]
pub struct SourceStatus {
    /// Its label, which never changes.
    pub name: String,
    /// Broker group, once it is known.
    pub broker_group: Option<String>,
    /// `connecting`, `following`, `waiting` (with `problem`) or `stopped`.
    pub state: &'static str,
    /// Why it is not following, and what to do.
    pub problem: Option<String>,
    /// Address from which it is followed.
    pub address: Option<String>,
    /// Streams.
    pub streams: Vec<StreamState>,
    /// Ranges that the broker no longer had.
    pub gaps: Vec<Gap>,
    /// Problems that need an operator, by subject.
    pub alarms: BTreeMap<Cow<'static, str>, String>,
}

/// The current status of a stream. Positions are offsets of the broker's log, or count received bytes.
#[derive(Debug, Clone, Serialize)]
pub struct StreamState {
    /// Name of the log.
    pub log: &'static str,
    /// End of the received and spooled bytes.
    pub received: Option<u64>,
    /// End of the bytes whose rows are visible to queries.
    pub visible: Option<u64>,
    /// End of the bytes whose rows are committed to every table of the stream.
    pub committed: Option<u64>,
    /// End of the broker's log in its last answer.
    pub broker_end: Option<u64>,
    /// Bytes of the broker's log whose rows are not visible yet.
    pub lag_bytes: Option<u64>,
    /// Messages that the broker had and that were not received at its last answer, for brokers that count messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_messages: Option<u64>,
    /// Age of the oldest known byte whose row is not visible yet.
    pub lag_seconds: Option<f64>,
    /// Bytes in the spool.
    pub spooled_bytes: u64,
    /// Seconds since the broker last answered for this stream.
    pub last_answer_seconds: Option<f64>,
    /// Seconds since the last commit.
    pub last_commit_seconds: Option<f64>,
    /// Records that could not be used.
    pub unusable: u64,
}

/// Collects the state of one source.
#[derive(Debug)]
pub struct Board(Mutex<State>);

#[derive(Debug)]
struct State {
    status: SourceStatus,
    times: BTreeMap<&'static str, Times>,
    /// Past events that are still shown as alarms.
    events: VecDeque<Event>,
    /// Whether the brokers reject our identity or credentials.
    is_refused: bool,
}

#[derive(Debug)]
struct Event {
    about: &'static str,
    what: String,
    until: Instant,
}

#[derive(Debug, Default)]
struct Times {
    answer: Option<Instant>,
    commit: Option<Instant>,
    maxima: VecDeque<(Instant, u64)>,
    /// Whether the broker has reported the end of its log since the source was last connected.
    is_current: bool,
}

impl Board {
    pub(crate) fn new(name: String) -> Board {
        let status = SourceStatus {
            name,
            broker_group: None,
            state: "connecting",
            problem: None,
            address: None,
            streams: Vec::new(),
            gaps: Vec::new(),
            alarms: BTreeMap::new(),
        };
        Board(Mutex::new(State {
            status,
            times: BTreeMap::new(),
            events: VecDeque::new(),
            is_refused: false,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The current status.
    #[must_use]
    pub fn status(&self) -> SourceStatus {
        let now = Instant::now();
        let mut state = self.lock();
        let State { status, times, events, .. } = &mut *state;
        let is_following = status.state == "following";
        for stream in &mut status.streams {
            let times = times.entry(stream.log).or_default();
            let age = |time: Option<Instant>| time.map(|time| (now - time).as_secs_f64());
            stream.last_answer_seconds = age(times.answer);
            stream.last_commit_seconds = age(times.commit);
            (stream.lag_bytes, stream.lag_seconds) = (None, None);
            if !is_following {
                // what the broker has now is unknown
                stream.lag_messages = None;
            }
            let (Some(end), visible) = (stream.broker_end, stream.visible.unwrap_or(0)) else { continue };
            while times.maxima.front().is_some_and(|(_, end)| *end <= visible) {
                times.maxima.pop_front();
            }
            if is_following && times.is_current {
                stream.lag_bytes = Some(end.saturating_sub(visible));
                stream.lag_seconds =
                    Some(times.maxima.front().map_or(0.0, |(time, _)| (now - *time).as_secs_f64()));
            }
        }
        events.retain(|event| event.until > now);
        let mut status = status.clone();
        for about in events.iter().map(|event| event.about) {
            status.alarms.entry(about.into()).or_insert_with(|| event_text(events, about));
        }
        status
    }

    /// Its label.
    #[must_use]
    pub fn name(&self) -> String {
        self.lock().status.name.clone()
    }

    /// Whether it is followed, or has a problem that says why not.
    #[must_use]
    pub fn is_explained(&self) -> bool {
        let state = self.lock();
        state.status.state == "following" || state.status.problem.is_some()
    }

    /// The problem, if the brokers reject our identity or credentials.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let state = self.lock();
        state.status.problem.clone().filter(|_| state.is_refused)
    }

    pub(crate) fn connecting(&self) {
        let mut state = self.lock();
        state.status.state = "connecting";
        state.times.values_mut().for_each(|times| times.is_current = false);
    }

    pub(crate) fn following(&self, address: &str) {
        let mut state = self.lock();
        state.status.state = "following";
        state.status.problem = None;
        state.is_refused = false;
        state.status.address = Some(address.to_owned());
    }

    pub(crate) fn problem(&self, state_name: &'static str, what: String) {
        let mut state = self.lock();
        state.status.state = state_name;
        state.status.problem = Some(what);
        state.is_refused = false;
        state.times.values_mut().for_each(|times| times.is_current = false);
    }

    /// The brokers reject our identity or credentials: only an operator can help.
    pub(crate) fn refused(&self, what: String) {
        self.problem("waiting", what);
        self.lock().is_refused = true;
    }

    /// Records a past event: it is shown as an alarm for `alarm_for`, with its time.
    pub(crate) fn event(&self, about: &'static str, what: String, alarm_for: Duration) {
        tracing::error!(about, "{what}");
        let time = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let Some(until) = Instant::now().checked_add(alarm_for) else { return };
        let mut state = self.lock();
        state.events.push_back(Event { about, what: format!("{time} {what}"), until });
        let excess = state.events.len().saturating_sub(MAX_EVENTS);
        state.events.drain(..excess);
    }

    pub(crate) fn group(&self, group: &str, gaps: Vec<Gap>) {
        let mut state = self.lock();
        state.status.broker_group = Some(group.to_owned());
        state.status.gaps = gaps;
    }

    pub(crate) fn alarm(&self, about: impl Into<Cow<'static, str>>, what: String) {
        let about = about.into();
        let known = self.lock().status.alarms.insert(about.clone(), what.clone());
        if known.as_ref() != Some(&what) {
            tracing::error!(%about, "{what}");
        }
    }

    pub(crate) fn clear_alarm(&self, about: &str) {
        if self.lock().status.alarms.remove(about).is_some() {
            tracing::info!(about, "the alarm is over");
        }
    }

    pub(super) fn gap(&self, gap: Gap) -> Vec<Gap> {
        tracing::error!(
            stream = gap.stream,
            gap.from,
            gap.to,
            "the broker no longer has this range of the log"
        );
        let mut state = self.lock();
        let gaps = &mut state.status.gaps;
        gaps.push(gap);
        let excess = gaps.len().saturating_sub(MAX_GAPS);
        gaps.drain(..excess);
        gaps.clone()
    }

    pub(crate) fn add_stream(&self, log: &'static str) {
        let mut state = self.lock();
        if state.status.streams.iter().any(|stream| stream.log == log) {
            return;
        }
        state.status.streams.push(StreamState {
            log,
            received: None,
            visible: None,
            committed: None,
            broker_end: None,
            lag_bytes: None,
            lag_messages: None,
            lag_seconds: None,
            spooled_bytes: 0,
            last_answer_seconds: None,
            last_commit_seconds: None,
            unusable: 0,
        });
    }

    fn stream(&self, log: &'static str, change: impl FnOnce(&mut StreamState, &mut Times)) {
        let mut state = self.lock();
        let State { status, times, .. } = &mut *state;
        if let Some(stream) = status.streams.iter_mut().find(|stream| stream.log == log) {
            change(stream, times.entry(log).or_default());
        }
    }

    pub(crate) fn answered(&self, log: &'static str) {
        self.stream(log, |_, times| times.answer = Some(Instant::now()));
    }

    pub(super) fn received(&self, log: &'static str, position: u64) {
        self.stream(log, |stream, _| stream.received = Some(position));
    }

    pub(super) fn visible(&self, log: &'static str, position: u64) {
        self.stream(log, |stream, _| stream.visible = Some(position));
    }

    pub(super) fn committed(&self, log: &'static str, position: u64, is_new: bool) {
        self.stream(log, |stream, times| {
            stream.committed = Some(position);
            stream.visible = Some(stream.visible.map_or(position, |visible| visible.max(position)));
            if is_new {
                times.commit = Some(Instant::now());
            }
        });
    }

    pub(crate) fn spooled(&self, log: &'static str, bytes: u64) {
        self.stream(log, |stream, _| stream.spooled_bytes = bytes);
    }

    pub(crate) fn lag_messages(&self, log: &'static str, messages: Option<u64>) {
        self.stream(log, |stream, _| stream.lag_messages = messages);
    }

    /// End of the visible bytes of a stream.
    pub(crate) fn visible_end(&self, log: &'static str) -> Option<u64> {
        let state = self.lock();
        state.status.streams.iter().find(|stream| stream.log == log)?.visible
    }

    pub(crate) fn unusable(&self, log: &'static str, count: u64) {
        self.stream(log, |stream, _| stream.unusable += count);
    }

    pub(crate) fn broker_end(&self, log: &'static str, end: u64) {
        self.stream(log, |stream, times| {
            stream.broker_end = Some(end);
            times.is_current = true;
            if times.maxima.back().is_none_or(|(_, known)| *known < end) {
                times.maxima.push_back((Instant::now(), end));
            }
            if times.maxima.len() > MAX_ENDS {
                times.maxima.remove(1);
            }
        });
    }
}

/// The text of an alarm: the events of a subject, the newest first.
fn event_text(events: &VecDeque<Event>, about: &'static str) -> String {
    let all: Vec<&str> =
        events.iter().rev().filter(|event| event.about == about).map(|event| event.what.as_str()).collect();
    let mut text = all.iter().take(MAX_SHOWN_EVENTS).copied().collect::<Vec<_>>().join("; ");
    if all.len() > MAX_SHOWN_EVENTS {
        text.push_str(&format!("; and {} before", all.len() - MAX_SHOWN_EVENTS));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_alarms_with_their_time_until_they_are_old() {
        let board = Board::new("test".to_owned());
        for number in 0..10 {
            board.event("holes", format!("hole {number}"), Duration::from_secs(3600));
        }
        board.event("went back", "gone".to_owned(), Duration::ZERO);
        let alarms = board.status().alarms;
        assert_eq!(alarms.keys().collect::<Vec<_>>(), ["holes"]);
        let holes: Vec<&str> = alarms["holes"].split("; ").collect();
        assert_eq!(holes.len(), 9, "{holes:?}");
        assert!(holes[0].ends_with("Z hole 9") && holes[8] == "and 2 before", "{holes:?}");
    }

    #[test]
    fn the_lag_is_unknown_while_the_broker_is_away() {
        let board = Board::new("test".to_owned());
        board.add_stream("message");
        let lag = || board.status().streams[0].lag_bytes;
        board.following("127.0.0.1:1");
        assert_eq!(lag(), None);
        board.broker_end("message", 100);
        board.visible("message", 40);
        assert_eq!(lag(), Some(60));
        board.problem("waiting", "away".to_owned());
        assert_eq!(lag(), None);
        board.connecting();
        board.following("127.0.0.1:1");
        assert_eq!(lag(), None);
        board.broker_end("message", 100);
        assert_eq!(lag(), Some(60));
    }

    #[test]
    fn a_refusal_is_shown_until_a_broker_accepts() {
        let board = Board::new("test".to_owned());
        board.refused("who are you".to_owned());
        assert_eq!(board.refusal().as_deref(), Some("who are you"));
        board.problem("waiting", "away".to_owned());
        assert_eq!(board.refusal(), None);
        board.refused("who are you".to_owned());
        board.following("127.0.0.1:1");
        assert_eq!(board.refusal(), None);
    }
}
