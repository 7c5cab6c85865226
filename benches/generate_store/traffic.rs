//! The simulation: all events, in the order of the broker's clock.
//!
//! One event queue drives everything, so both logs come out in the order a broker would have written them. A real
//! subject has a retry and a dead-letter queue per consumer group; groups pull from the real subject and from their
//! retry queue.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::f64::consts::{PI, TAU};
use std::io;

use mqlake::brokers::qmq::format::Kind;
use mqlake::brokers::qmq::format::action_log::{Action, ActionKind};
use mqlake::brokers::qmq::format::subject::SubjectName;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::Options;
use crate::logs::{Logs, Message};
use crate::names::{MessageId, Names};
use crate::summary::Summary;

const MS: f64 = 1_000.0;
const SECOND: f64 = 1_000.0 * MS;
const DAY: f64 = 86_400.0 * SECOND;
/// The last minutes have no messages, so that all actions end on the last day.
const QUIET_END: f64 = 300.0 * SECOND;
/// Amplitude of the rate over a day.
const SWING: f64 = 0.5;
/// The quietest hour is four hours before midnight UTC.
const PHASE: f64 = PI / 3.0;

const RETRY_SHARE: f64 = 0.01;
/// Share of the retries that become dead letters.
const DEAD_SHARE: f64 = 0.1;
const LATE_ACK_SHARE: f64 = 0.0005;
const SPLIT_ACK_SHARE: f64 = 0.2;
const MAX_PULL: i64 = 50;
const MAX_BURST: f64 = 1_000.0;

/// An event of the simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A producer begins to send.
    Burst,
    /// It sends one message and has `left` more.
    Send { subject: usize, left: u32 },
    /// A message arrives again, in a retry or dead-letter queue.
    Resend { queue: usize, id: MessageId },
    /// A group asks for messages.
    Pull { subscription: usize },
    /// A consumer acknowledges pull sequences.
    Ack { subscription: usize, consumer: usize, first: i64, last: i64 },
}

#[derive(Debug)]
struct Queue {
    name: String,
    kind: Kind,
    next: i64,
    /// Producers of a real subject.
    producers: Vec<u32>,
    subscriptions: Vec<usize>,
}

#[derive(Debug)]
struct Subscription {
    queue: usize,
    app: usize,
    /// First message that was not pulled yet.
    next: i64,
    is_waiting: bool,
    consumers: Vec<Consumer>,
}

#[derive(Debug, Clone, Copy)]
struct Consumer {
    next_pull: i64,
    /// Acks of a consumer keep their order.
    last_ack_us: i64,
}

/// State of the simulation.
#[derive(Debug)]
pub(crate) struct Traffic {
    rng: SmallRng,
    events: BinaryHeap<Reverse<(i64, u64, Event)>>,
    scheduled: u64,
    now_us: i64,
    /// Real subjects, then the retry queues by subject and group, then the dead-letter queues likewise.
    queues: Vec<Queue>,
    subscriptions: Vec<Subscription>,
    /// Share of all messages up to and including each subject.
    shares: Vec<f64>,
    subjects: usize,
    groups: usize,
    wanted: u64,
    burst: f64,
    start_us: i64,
    /// Traffic time since the start; the clock follows it with the swing of a day.
    elapsed: f64,
    span: f64,
    id: String,
}

impl Traffic {
    /// The state before the first message.
    pub(crate) fn new(options: &Options, names: &Names) -> Traffic {
        let start_us = options.start_ms * 1_000;
        let mut traffic = Traffic {
            rng: SmallRng::seed_from_u64(options.seed),
            events: BinaryHeap::new(),
            scheduled: 0,
            now_us: start_us,
            queues: Vec::new(),
            subscriptions: Vec::new(),
            shares: zipf(options.subjects, options.zipf),
            subjects: options.subjects as usize,
            groups: options.groups as usize,
            wanted: options.messages,
            burst: options.burst.clamp(1.0, MAX_BURST),
            start_us,
            elapsed: 0.0,
            span: f64::from(options.days) * DAY - QUIET_END,
            id: String::new(),
        };
        traffic.add_queues(options, names);
        traffic
    }

    fn add_queues(&mut self, options: &Options, names: &Names) {
        let mut groups = Vec::with_capacity(self.subjects * self.groups);
        for (rank, subject) in (1_i64..).zip(names.subjects()) {
            // logs rarely begin with the first message of a subject
            let next = self.rng.random_range(1..2 + 20_000_000 / rank);
            let producers = (0..self.rng.random_range(1..=4))
                .map(|_| self.rng.random_range(0..options.producers))
                .collect();
            self.queues.push(Queue {
                name: subject.clone(),
                kind: Kind::Normal,
                next,
                producers,
                subscriptions: Vec::new(),
            });
            groups.extend(rand::seq::index::sample(&mut self.rng, names.apps().len(), self.groups));
        }
        for kind in [Kind::Retry, Kind::Dead] {
            for (place, app) in groups.iter().enumerate() {
                let subject = names.subjects().get(place / self.groups).cloned().unwrap_or_default();
                let consumer_group = names.apps().get(*app).map(|app| app.name.clone());
                let name = SubjectName { kind, subject, consumer_group }.full_name();
                let next = self.rng.random_range(1..1_000);
                self.queues.push(Queue {
                    name,
                    kind,
                    next,
                    producers: Vec::new(),
                    subscriptions: Vec::new(),
                });
            }
        }
        for (place, app) in groups.iter().enumerate() {
            self.subscribe(place / self.groups, *app, names);
            self.subscribe(self.subjects + place, *app, names);
        }
    }

    fn subscribe(&mut self, queue: usize, app: usize, names: &Names) {
        let consumers = names.apps().get(app).map_or(0, |app| app.consumers.len());
        let subscription = self.subscriptions.len();
        let Some(of) = self.queues.get_mut(queue) else { return };
        of.subscriptions.push(subscription);
        let consumers = (0..consumers)
            .map(|_| Consumer { next_pull: self.rng.random_range(0..100_000), last_ack_us: 0 })
            .collect();
        self.subscriptions.push(Subscription { queue, app, next: of.next, is_waiting: false, consumers });
    }

    /// Runs the traffic until every message is written, pulled and acknowledged.
    pub(crate) fn run(mut self, names: &mut Names, logs: &mut Logs, summary: &mut Summary) -> io::Result<()> {
        self.schedule_burst(summary.total());
        while let Some(Reverse((at_us, _, event))) = self.events.pop() {
            self.now_us = at_us;
            match event {
                Event::Burst => self.begin_burst(summary.total()),
                Event::Send { subject, left } => self.send(subject, left, names, logs, summary)?,
                Event::Resend { queue, id } => self.resend(queue, id, names, logs, summary)?,
                Event::Pull { subscription } => self.pull(subscription, names, logs, summary)?,
                Event::Ack { subscription, consumer, first, last } => {
                    let kind = ActionKind::RangeAck { first_sequence: first, last_sequence: last };
                    self.act(subscription, consumer, kind, names, logs)?;
                    summary.acks += 1;
                    summary.acked += (last - first + 1).unsigned_abs();
                }
            }
        }
        Ok(())
    }

    fn schedule(&mut self, at_us: i64, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse((at_us, self.scheduled, event)));
    }

    fn after(&mut self, delay: f64, event: Event) {
        self.schedule(self.now_us + delay as i64, event);
    }

    /// An exponentially distributed number with the given mean.
    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.rng.random::<f64>()).ln()
    }

    /// Spreads the remaining messages over the remaining time.
    fn schedule_burst(&mut self, written: u64) {
        let per_burst = self.burst * (1.0 + RETRY_SHARE * (1.0 + DEAD_SHARE));
        let left = (self.wanted.saturating_sub(written) as f64 / per_burst).max(1.0);
        let pause = self.exponential((self.span - self.elapsed) / left);
        self.elapsed = (self.elapsed + pause).min(self.span);
        let angle = TAU * self.elapsed / DAY + PHASE;
        let clock = self.elapsed + SWING * DAY / TAU * (angle.sin() - PHASE.sin());
        self.schedule((self.start_us + clock as i64).max(self.now_us), Event::Burst);
    }

    fn begin_burst(&mut self, written: u64) {
        if written >= self.wanted {
            return;
        }
        let share: f64 = self.rng.random();
        let subject = self.shares.partition_point(|upto| *upto < share).min(self.subjects - 1);
        let left = self.exponential(self.burst - 0.5).min(MAX_BURST) as u32;
        self.after(0.0, Event::Send { subject, left });
        self.schedule_burst(written);
    }

    fn send(
        &mut self,
        subject: usize,
        left: u32,
        names: &mut Names,
        logs: &mut Logs,
        summary: &mut Summary,
    ) -> io::Result<()> {
        if left > 0 {
            let pause = self.exponential(3.0 * MS);
            self.after(pause, Event::Send { subject, left: left - 1 });
        }
        let create_ms = self.create_ms();
        let Some(queue) = self.queues.get(subject) else { return Ok(()) };
        let producer = self.rng.random_range(0..queue.producers.len());
        let producer = queue.producers.get(producer).copied().unwrap_or_default();
        let id = names.next_id(producer, create_ms);
        let Some(sequence) = self.store(subject, id, create_ms, names, logs, summary)? else { return Ok(()) };
        summary.offer(subject, id, sequence);
        if self.groups > 0 && self.rng.random_bool(RETRY_SHARE) {
            let group = self.rng.random_range(0..self.groups);
            let queue = self.subjects + subject * self.groups + group;
            let delay = self.rng.random_range(6.0 * SECOND..30.0 * SECOND);
            self.after(delay, Event::Resend { queue, id });
        }
        Ok(())
    }

    fn resend(
        &mut self,
        queue: usize,
        id: MessageId,
        names: &mut Names,
        logs: &mut Logs,
        summary: &mut Summary,
    ) -> io::Result<()> {
        let create_ms = self.create_ms();
        self.store(queue, id, create_ms, names, logs, summary)?;
        let dead = queue + self.subjects * self.groups;
        if dead < self.queues.len() && self.rng.random_bool(DEAD_SHARE) {
            let delay = self.rng.random_range(30.0 * SECOND..90.0 * SECOND);
            self.after(delay, Event::Resend { queue: dead, id });
        }
        Ok(())
    }

    /// The producer's clock: most messages reach the broker within milliseconds, some after seconds.
    fn create_ms(&mut self) -> i64 {
        let delay = match self.rng.random_range(0..1_000) {
            0..900 => self.rng.random_range(1..20),
            900..990 => self.rng.random_range(20..1_000),
            _ => self.rng.random_range(1_000..8_000),
        };
        (self.now_us / 1_000 - delay).max(self.start_us / 1_000)
    }

    /// Writes a message, unless there are enough, and returns its sequence.
    fn store(
        &mut self,
        queue: usize,
        id: MessageId,
        create_ms: i64,
        names: &mut Names,
        logs: &mut Logs,
        summary: &mut Summary,
    ) -> io::Result<Option<i64>> {
        if summary.total() >= self.wanted {
            return Ok(None);
        }
        let Some(into) = self.queues.get_mut(queue) else { return Ok(None) };
        let sequence = into.next;
        into.next += 1;
        names.spell(id, &mut self.id);
        let store_ms = self.now_us / 1_000;
        logs.message(&Message { queue: &into.name, sequence, id: &self.id, create_ms, store_ms })?;
        summary.count(into.kind, create_ms);
        for place in 0..into.subscriptions.len() {
            self.await_messages(queue, place);
        }
        Ok(Some(sequence))
    }

    /// A consumer that waits for messages gets them between some milliseconds and some seconds later.
    fn await_messages(&mut self, queue: usize, place: usize) {
        let Some(&subscription) = self.queues.get(queue).and_then(|queue| queue.subscriptions.get(place))
        else {
            return;
        };
        let Some(waiting) = self.subscriptions.get_mut(subscription).filter(|found| !found.is_waiting) else {
            return;
        };
        waiting.is_waiting = true;
        let delay = 5.0 * MS * 1_000_f64.powf(self.rng.random());
        self.after(delay, Event::Pull { subscription });
    }

    fn pull(
        &mut self,
        subscription: usize,
        names: &Names,
        logs: &mut Logs,
        summary: &mut Summary,
    ) -> io::Result<()> {
        let Some(puller) = self.subscriptions.get_mut(subscription) else { return Ok(()) };
        let available = self.queues.get(puller.queue).map_or(0, |queue| queue.next - puller.next);
        let count = available.min(MAX_PULL);
        let first_message_sequence = puller.next;
        puller.next += count;
        puller.is_waiting = count < available;
        let is_waiting = puller.is_waiting;
        let consumer = self.rng.random_range(0..puller.consumers.len());
        let Some(by) = puller.consumers.get_mut(consumer) else { return Ok(()) };
        let first_sequence = by.next_pull;
        by.next_pull += count;
        let kind = ActionKind::Pull {
            broadcast: false,
            first_sequence,
            last_sequence: first_sequence + count - 1,
            first_message_sequence,
            last_message_sequence: first_message_sequence + count - 1,
        };
        self.act(subscription, consumer, kind, names, logs)?;
        summary.pulls += 1;
        summary.pulled += count.unsigned_abs();
        self.plan_acks(subscription, consumer, first_sequence, first_sequence + count - 1);
        if is_waiting {
            let pause = self.exponential(10.0 * MS);
            self.after(pause, Event::Pull { subscription });
        }
        Ok(())
    }

    /// Acknowledges a run in one or two parts, never before earlier pulls of the consumer.
    fn plan_acks(&mut self, subscription: usize, consumer: usize, first: i64, last: i64) {
        let mut ranges = [Some((first, last)), None];
        if first < last && self.rng.random_bool(SPLIT_ACK_SHARE) {
            let middle = self.rng.random_range(first..last);
            ranges = [Some((first, middle)), Some((middle + 1, last))];
        }
        for (first, last) in ranges.into_iter().flatten() {
            let delay = if self.rng.random_bool(LATE_ACK_SHARE) {
                self.rng.random_range(20.0 * SECOND..180.0 * SECOND)
            } else {
                10.0 * MS + self.exponential(200.0 * MS)
            };
            let mut at_us = self.now_us + delay as i64;
            let by =
                self.subscriptions.get_mut(subscription).and_then(|found| found.consumers.get_mut(consumer));
            if let Some(by) = by {
                at_us = at_us.max(by.last_ack_us);
                by.last_ack_us = at_us;
            }
            self.schedule(at_us, Event::Ack { subscription, consumer, first, last });
        }
    }

    /// Writes an action of a consumer.
    fn act(
        &self,
        subscription: usize,
        consumer: usize,
        kind: ActionKind,
        names: &Names,
        logs: &mut Logs,
    ) -> io::Result<()> {
        let Some(actor) = self.subscriptions.get(subscription) else { return Ok(()) };
        let (Some(queue), Some(app)) = (self.queues.get(actor.queue), names.apps().get(actor.app)) else {
            return Ok(());
        };
        let consumer_id = app.consumers.get(consumer).map_or("", String::as_str);
        logs.action(&Action {
            subject: queue.name.as_bytes(),
            consumer_group: app.name.as_bytes(),
            consumer_id: consumer_id.as_bytes(),
            timestamp_ms: self.now_us / 1_000,
            kind,
        })
    }
}

/// Cumulative shares of subjects whose share falls with the power `exponent` of their rank.
fn zipf(subjects: u32, exponent: f64) -> Vec<f64> {
    let mut total = 0.0;
    let mut shares: Vec<f64> = (1..=subjects)
        .map(|rank| {
            total += f64::from(rank).powf(-exponent);
            total
        })
        .collect();
    for share in &mut shares {
        *share /= total;
    }
    shares
}
