//! A broker group at work: its logs, how much of them is visible, and what was asked of it.
//!
//! All records of a group, of both logs, become visible in one order: that of their times.

use super::faults::{Dice, Faults};
use super::logs::{GroupLogs, Log};
use std::collections::BTreeSet;
use std::sync::{Mutex, RwLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// In an event: the record is an action.
const ACTION: u64 = 1 << 63;
/// How far ahead the next record of a log is looked for when its visible end is torn.
const TEAR_LOOK: usize = 4096;

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis() as u64
}

/// A moment when more became visible: everything below the two ends.
#[derive(Debug, Clone, Copy)]
pub struct Reveal {
    /// When, on the monotonic clock.
    pub at: Instant,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Visible end of the message log.
    pub message_end: u64,
    /// Visible end of the action log.
    pub action_end: u64,
}

/// What was asked of one type of sync request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// Number of requests.
    pub requests: u64,
    /// Message log offset of the last request.
    pub message_offset: i64,
    /// Action log offset of the last request.
    pub action_offset: i64,
    /// When the last request came, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Bytes of data in the answers.
    pub bytes: u64,
}

/// A register call to the metaserver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// Request type: 0 online, 1 heartbeat, 2 offline.
    pub request_type: i32,
    /// Address of the caller.
    pub address: String,
    /// Role code of the caller.
    pub role: i32,
    /// State code of the caller.
    pub state: i32,
}

/// What was asked of the servers of a group.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// Sync type 1.
    pub action: Asked,
    /// Sync type 2.
    pub message: Asked,
    /// Sync type 3.
    pub heartbeat: Asked,
    /// Sync type 5.
    pub index: Asked,
    /// Sync log requests of other types or with a short body.
    pub refused: u64,
    /// Checkpoint requests.
    pub checkpoints: u64,
    /// Other commands on the sync port.
    pub unknown: u64,
    /// Acquire-meta calls answered with this group.
    pub acquires: u64,
    /// Register calls for this group.
    pub registers: u64,
    /// The last register call.
    pub last_register: Option<Register>,
    /// Look-ups of the address of the detail server.
    pub slave_lookups: u64,
    /// Detail requests.
    pub details: u64,
    /// Messages in detail answers.
    pub detail_messages: u64,
    /// What went wrong on purpose.
    pub faults: Faults,
}

impl Counters {
    /// The counters of a sync type.
    pub fn asked(&mut self, sync_type: i8) -> Option<&mut Asked> {
        match sync_type {
            1 => Some(&mut self.action),
            2 => Some(&mut self.message),
            3 => Some(&mut self.heartbeat),
            5 => Some(&mut self.index),
            _ => None,
        }
    }
}

/// What a sync server finds for a log request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Data was appended; the start offset of the answer.
    Data(u64),
    Nothing,
    /// The worker dies.
    NoAnswer,
}

pub(super) struct State {
    pub(super) logs: GroupLogs,
    /// End offsets in the order in which records become visible.
    events: Vec<u64>,
    shown: usize,
    /// Ends of what is shown as whole records: message log, action log.
    whole: (u64, u64),
    pub(super) visible: (u64, u64),
    pub(super) reveals: Vec<Reveal>,
    /// Offsets of messages that no type 5 answer gets past.
    pub(super) swallowed: BTreeSet<u64>,
    /// Start of the current pace: what was shown, when.
    pub(super) pace: (usize, Instant),
}

impl State {
    /// Everything is visible.
    pub(super) fn new(mut logs: GroupLogs) -> Self {
        let events = merge(points(&mut logs.messages), points(&mut logs.actions));
        let whole = logs.minimums();
        let mut state = Self {
            logs,
            events,
            shown: 0,
            whole,
            visible: whole,
            reveals: Vec::new(),
            swallowed: BTreeSet::new(),
            pace: (0, Instant::now()),
        };
        state.show(state.events.len(), None);
        state
    }

    pub(super) fn total(&self) -> usize {
        self.events.len()
    }

    pub(super) fn shown(&self) -> usize {
        self.shown
    }

    pub(super) fn is_all_visible(&self) -> bool {
        self.shown == self.events.len()
    }

    /// Makes the first `count` records visible, and hides the others. With dice, part of the next ones too.
    pub(super) fn show(&mut self, count: usize, torn: Option<&Dice>) {
        let count = count.min(self.events.len());
        if count < self.shown {
            let first = |log: &Log| log.segments.first().map_or(0, |segment| segment.base).max(log.minimum);
            self.whole = (first(&self.logs.messages), first(&self.logs.actions));
            self.visible = self.whole;
            self.shown = 0;
            self.reveals.clear();
        } else if count == self.shown && !self.reveals.is_empty() {
            return;
        }
        for event in &self.events[self.shown..count] {
            if event & ACTION == 0 {
                self.whole.0 = *event;
            } else {
                self.whole.1 = event & !ACTION;
            }
        }
        self.shown = count;
        let mut ends = self.whole;
        if let Some(dice) = torn {
            self.tear(dice, &mut ends);
        }
        self.visible = (self.visible.0.max(ends.0), self.visible.1.max(ends.1));
        let (message_end, action_end) = self.visible;
        self.reveals.push(Reveal { at: Instant::now(), at_ms: now_ms(), message_end, action_end });
    }

    fn tear(&self, dice: &Dice, ends: &mut (u64, u64)) {
        let ahead = || self.events[self.shown..].iter().take(TEAR_LOOK);
        if let Some(next) = ahead().find(|event| **event & ACTION == 0) {
            ends.0 = dice.tear(ends.0, *next, self.logs.messages.stream.segment_bytes());
        }
        if let Some(next) = ahead().find(|event| **event & ACTION != 0) {
            ends.1 = dice.tear(ends.1, *next & !ACTION, self.logs.actions.stream.segment_bytes());
        }
    }

    /// Adds bytes to the end of one log. They are visible at once if everything was.
    pub(super) fn append(&mut self, action: bool, bytes: &[u8]) {
        let all = self.is_all_visible();
        let (log, bit) = if action { (&mut self.logs.actions, ACTION) } else { (&mut self.logs.messages, 0) };
        log.append(bytes);
        self.events.extend(points(log).into_iter().map(|(_, end)| end | bit));
        if all {
            self.show(self.events.len(), None);
        }
    }

    /// Retention: bytes below are gone.
    pub(super) fn set_minimum(&mut self, message: u64, action: u64) {
        self.logs.messages.minimum = self.logs.messages.minimum.max(message);
        self.logs.actions.minimum = self.logs.actions.minimum.max(action);
        self.visible = (self.visible.0.max(message), self.visible.1.max(action));
    }

    /// Looks for the data of a sync log request and appends it to `out`.
    pub(super) fn look(&self, kind: i8, message: i64, action: i64, batch: usize, out: &mut Vec<u8>) -> Found {
        let found = match kind {
            1 => self.logs.actions.raw(action, self.visible.1, batch, out),
            2 => self.logs.messages.raw(message, self.visible.0, batch, out),
            _ => return self.look_index(message, batch, out),
        };
        found.map_or(Found::Nothing, Found::Data)
    }

    fn look_index(&self, requested: i64, batch: usize, out: &mut Vec<u8>) -> Found {
        let visible = self.visible.0;
        let Some((start, next)) = self.logs.messages.index(requested, visible, batch, out) else {
            return Found::NoAnswer;
        };
        let met =
            |offset: &u64| (start == *offset && visible > *offset) || (start < *offset && *offset < next);
        if self.swallowed.iter().any(met) {
            return Found::NoAnswer;
        }
        if i64::try_from(next) == Ok(requested) { Found::Nothing } else { Found::Data(next) }
    }
}

/// Where records of a log end that were not asked for yet, with times that never go back.
fn points(log: &mut Log) -> Vec<(i64, u64)> {
    let mut latest = i64::MIN;
    let mut all = Vec::new();
    for segment in &mut log.segments {
        for (time, end) in segment.take_points() {
            latest = latest.max(time);
            all.push((latest, segment.base + u64::from(end)));
        }
    }
    all
}

fn merge(messages: Vec<(i64, u64)>, actions: Vec<(i64, u64)>) -> Vec<u64> {
    let mut events = Vec::with_capacity(messages.len() + actions.len());
    let mut actions = actions.into_iter().peekable();
    for (time, end) in messages {
        while let Some((_, action)) = actions.next_if(|(action, _)| *action < time) {
            events.push(action | ACTION);
        }
        events.push(end);
    }
    events.extend(actions.map(|(_, end)| end | ACTION));
    events
}

/// Ends of the message log and of the action log.
type Ends = (u64, u64);

/// A broker group and its counters.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) serve_port: u16,
    pub(super) state: RwLock<State>,
    pub(super) counters: Mutex<Counters>,
    pub(super) details: Mutex<super::detail::Places>,
    pub(super) addresses: Mutex<Addresses>,
    /// The last checkpoint and the ends it was made for; a broker has its own at hand, too.
    pub(super) checkpoint: Mutex<Option<(Ends, Vec<u8>)>>,
}

/// Ports of the servers of a group on the loopback address.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Addresses {
    pub(super) sync: u16,
    pub(super) detail: u16,
}

impl Group {
    pub(super) fn new(logs: GroupLogs, serve_port: u16) -> Self {
        Self {
            name: logs.name.clone(),
            serve_port,
            state: RwLock::new(State::new(logs)),
            counters: Mutex::default(),
            details: Mutex::default(),
            addresses: Mutex::default(),
            checkpoint: Mutex::default(),
        }
    }

    pub(super) fn count(&self, count: impl FnOnce(&mut Counters)) {
        count(&mut self.counters.lock().unwrap());
    }
}
