//! What operators see of a source: state, positions, lag, gaps and alarms. Only told, never decided upon.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;

use crate::lake::Gap;

/// Gaps remembered per source.
const MOST_GAPS: usize = 100;
/// Maxima remembered per stream, to tell the lag in seconds.
const MOST_MAXIMA: usize = 3600;

/// A source as it is now.
#[derive(Debug, Clone, Serialize)]
pub struct SourceStatus {
    /// Its label, which stays the same.
    pub name: String,
    /// Broker group, once the metaserver told it.
    pub broker_group: Option<String>,
    /// `connecting`, `following`, `waiting` (with `problem`) or `stopped`.
    pub state: &'static str,
    /// Why it is not following, and what to do.
    pub problem: Option<String>,
    /// Sync address of the slave.
    pub address: Option<String>,
    /// Streams.
    pub streams: Vec<StreamState>,
    /// Stretches that the broker no longer had.
    pub gaps: Vec<Gap>,
    /// What an operator has to look at, by subject.
    pub alarms: BTreeMap<&'static str, String>,
}

/// A stream as it is now. Offsets are those of the broker's log.
#[derive(Debug, Clone, Serialize)]
pub struct StreamState {
    /// `message` or `action`.
    pub log: &'static str,
    /// End of what was received and spooled.
    pub received: Option<u64>,
    /// End of what queries see.
    pub visible: Option<u64>,
    /// End of what every table of the stream has.
    pub committed: Option<u64>,
    /// End of the broker's log as last heard.
    pub broker_end: Option<u64>,
    /// Bytes of the broker's log that queries do not see yet.
    pub lag_bytes: Option<u64>,
    /// Messages of the broker that were not received when it last answered; of RocketMQ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_messages: Option<u64>,
    /// Age of the oldest known byte that queries do not see yet.
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
}

#[derive(Debug, Default)]
struct Times {
    answer: Option<Instant>,
    commit: Option<Instant>,
    maxima: VecDeque<(Instant, u64)>,
}

impl Board {
    pub(super) fn new(name: String) -> Board {
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
        Board(Mutex::new(State { status, times: BTreeMap::new() }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The source as it is now.
    #[must_use]
    pub fn status(&self) -> SourceStatus {
        let now = Instant::now();
        let mut state = self.lock();
        let State { status, times } = &mut *state;
        for stream in &mut status.streams {
            let times = times.entry(stream.log).or_default();
            let age = |time: Option<Instant>| time.map(|time| (now - time).as_secs_f64());
            stream.last_answer_seconds = age(times.answer);
            stream.last_commit_seconds = age(times.commit);
            let (Some(end), visible) = (stream.broker_end, stream.visible.unwrap_or(0)) else { continue };
            while times.maxima.front().is_some_and(|(_, end)| *end <= visible) {
                times.maxima.pop_front();
            }
            stream.lag_bytes = Some(end.saturating_sub(visible));
            stream.lag_seconds =
                Some(times.maxima.front().map_or(0.0, |(time, _)| (now - *time).as_secs_f64()));
        }
        status.clone()
    }

    /// Whether it follows, or says why not.
    #[must_use]
    pub fn is_explained(&self) -> bool {
        let state = self.lock();
        state.status.state == "following" || state.status.problem.is_some()
    }

    pub(super) fn connecting(&self) {
        self.lock().status.state = "connecting";
    }

    pub(super) fn following(&self, address: &str) {
        let mut state = self.lock();
        state.status.state = "following";
        state.status.problem = None;
        state.status.address = Some(address.to_owned());
    }

    pub(super) fn problem(&self, state_name: &'static str, what: String) {
        let mut state = self.lock();
        state.status.state = state_name;
        state.status.problem = Some(what);
    }

    pub(super) fn group(&self, group: &str, gaps: Vec<Gap>) {
        let mut state = self.lock();
        state.status.broker_group = Some(group.to_owned());
        state.status.gaps = gaps;
    }

    pub(super) fn alarm(&self, about: &'static str, what: String) {
        let known = self.lock().status.alarms.insert(about, what.clone());
        if known.as_ref() != Some(&what) {
            tracing::error!(about, "{what}");
        }
    }

    pub(super) fn clear_alarm(&self, about: &'static str) {
        if self.lock().status.alarms.remove(about).is_some() {
            tracing::info!(about, "over");
        }
    }

    pub(super) fn gap(&self, gap: Gap) -> Vec<Gap> {
        tracing::error!(stream = gap.stream, gap.from, gap.to, "the broker no longer has this stretch");
        let mut state = self.lock();
        let gaps = &mut state.status.gaps;
        gaps.push(gap);
        let excess = gaps.len().saturating_sub(MOST_GAPS);
        gaps.drain(..excess);
        gaps.clone()
    }

    pub(super) fn add_stream(&self, log: &'static str) {
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
        let State { status, times } = &mut *state;
        if let Some(stream) = status.streams.iter_mut().find(|stream| stream.log == log) {
            change(stream, times.entry(log).or_default());
        }
    }

    pub(super) fn answered(&self, log: &'static str) {
        self.stream(log, |_, times| times.answer = Some(Instant::now()));
    }

    pub(super) fn received(&self, log: &'static str, position: u64) {
        self.stream(log, |stream, _| stream.received = Some(position));
    }

    pub(super) fn visible(&self, log: &'static str, position: u64) {
        self.stream(log, |stream, _| stream.visible = Some(position));
    }

    pub(super) fn committed(&self, log: &'static str, position: u64, by_now: bool) {
        self.stream(log, |stream, times| {
            stream.committed = Some(position);
            stream.visible = Some(stream.visible.map_or(position, |visible| visible.max(position)));
            if by_now {
                times.commit = Some(Instant::now());
            }
        });
    }

    pub(super) fn spooled(&self, log: &'static str, bytes: u64) {
        self.stream(log, |stream, _| stream.spooled_bytes = bytes);
    }

    pub(super) fn lag_messages(&self, log: &'static str, messages: u64) {
        self.stream(log, |stream, _| stream.lag_messages = Some(messages));
    }

    pub(super) fn unusable(&self, log: &'static str, count: u64) {
        self.stream(log, |stream, _| stream.unusable += count);
    }

    pub(super) fn broker_end(&self, log: &'static str, end: u64) {
        self.stream(log, |stream, times| {
            stream.broker_end = Some(end);
            if times.maxima.back().is_none_or(|(_, known)| *known < end) {
                times.maxima.push_back((Instant::now(), end));
            }
            if times.maxima.len() > MOST_MAXIMA {
                times.maxima.remove(1);
            }
        });
    }
}
