//! How the cluster behaves and misbehaves, and the dice that decide when.
//!
//! The dice are seeded, so that one connection asking one thing at a time sees the same faults in every run.

use super::acl::Acl;
use super::frame::HeaderType;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::sync::Mutex;
use std::time::Duration;

/// How the cluster behaves. All of it can change at run time, except what only the start reads.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// Name of the cluster; read at the start only.
    pub name: String,
    /// Names of the brokers at the start.
    pub brokers: Vec<String>,
    /// Whether brokers come with the topics that real ones make at their first start.
    pub system_topics: bool,
    /// Size of commit log files of brokers that load no store; read when a broker is added.
    pub file_bytes: i64,
    /// Header type of answers.
    pub header: HeaderType,
    /// Routes are fastjson although the request asks for strict JSON, as with brokers before 4.9.4.
    pub old_routes: bool,
    /// Whether the name server lists all topics.
    pub topic_list: bool,
    /// Whether searches by time know boundaries; if not, they answer the nearer neighbour.
    pub boundaries: bool,
    /// Whether brokers say 0 for the next offset to whoever asks beyond a queue whose first message is there, as those
    /// before 4.9 do.
    pub old_brokers: bool,
    /// Whether brokers answer as slaves that serve pulls: what is out of range is code 20 and the offset asked for.
    pub slaves: bool,
    /// Whether brokers let nobody read (`brokerPermission`).
    pub closed_brokers: bool,
    /// Topics that the user of `acl`, or anybody without one, has no rights to.
    pub denied_topics: Vec<String>,
    /// The user that brokers know; without one they answer anybody. The name server always does.
    pub acl: Option<Acl>,
    /// Most messages of a pull.
    pub batch_messages: usize,
    /// Most bytes of a pull; the first message counts as fitting.
    pub batch_bytes: usize,
    /// How much later than asked the answer of a suspended pull can be (5 s with a real broker).
    pub suspend_tick: Duration,
    /// Connections with no traffic for this long are closed.
    pub idle: Duration,
    /// Whether a pull makes the group it names.
    pub create_groups: bool,
    /// Whether a send makes the topic it names.
    pub create_topics: bool,
    /// Whether brokers reset offsets themselves; if not, they would ask the clients, of which there are none.
    pub server_side_reset: bool,
    /// What goes wrong.
    pub faults: Faults,
}

impl Default for ClusterSettings {
    fn default() -> Self {
        Self {
            name: "DefaultCluster".to_owned(),
            brokers: vec!["broker-a".to_owned(), "broker-b".to_owned()],
            system_topics: true,
            file_bytes: 1 << 20,
            header: HeaderType::Json,
            old_routes: false,
            topic_list: true,
            boundaries: true,
            old_brokers: false,
            slaves: false,
            closed_brokers: false,
            denied_topics: Vec::new(),
            acl: None,
            batch_messages: 32,
            batch_bytes: 256 << 10,
            suspend_tick: Duration::ZERO,
            idle: Duration::from_secs(120),
            create_groups: true,
            create_topics: true,
            server_side_reset: true,
            faults: Faults::default(),
        }
    }
}

/// Chances, between 0 and 1, of what can go wrong with the answer to a request.
#[derive(Debug, Clone)]
pub struct Faults {
    /// The connection is closed in the middle of the answer.
    pub torn: f64,
    /// The answer comes in tiny pieces.
    pub cut: f64,
    /// The answer comes late.
    pub slow: f64,
    /// By how much a late answer is late.
    pub slow_by: Duration,
    /// The request is not executed but answered with code 2.
    pub error: f64,
    /// There is no answer.
    pub silent: f64,
    /// A response that nobody asked for comes before the answer.
    pub wrong_opaque: f64,
    /// Bytes that are no frame come instead of the answer; the connection stays open.
    pub garbage: f64,
    /// Whether the name server does all this, too.
    pub name_server: bool,
    /// Seed of the chances.
    pub seed: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            torn: 0.0,
            cut: 0.0,
            slow: 0.0,
            slow_by: Duration::from_millis(300),
            error: 0.0,
            silent: 0.0,
            wrong_opaque: 0.0,
            garbage: 0.0,
            name_server: false,
            seed: 1,
        }
    }
}

/// How often something went wrong on purpose; the fields are those of [`Faults`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Played {
    pub torn: u64,
    pub cut: u64,
    pub slow: u64,
    pub error: u64,
    pub silent: u64,
    pub wrong_opaque: u64,
    pub garbage: u64,
}

/// What happens to the answer as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Fine,
    Torn,
    Error,
    Silent,
    Garbage,
}

/// What fate decides for the answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) fate: Fate,
    pub(super) cut: bool,
    pub(super) late: Option<Duration>,
    pub(super) wrong_opaque: bool,
}

impl Plan {
    pub(super) const FINE: Self = Self { fate: Fate::Fine, cut: false, late: None, wrong_opaque: false };
}

pub(super) struct Dice(Mutex<SmallRng>);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(Mutex::new(SmallRng::seed_from_u64(seed)))
    }

    pub(super) fn restart(&self, seed: u64) {
        *self.0.lock().unwrap() = SmallRng::seed_from_u64(seed);
    }

    fn chance(&self, probability: f64) -> bool {
        probability > 0.0 && self.0.lock().unwrap().random_bool(probability.min(1.0))
    }

    /// A number below `limit`; 0 if that is 0.
    pub(super) fn below(&self, limit: usize) -> usize {
        if limit == 0 { 0 } else { self.0.lock().unwrap().random_range(0..limit) }
    }

    /// A time below `limit`.
    pub(super) fn within(&self, limit: Duration) -> Duration {
        Duration::from_millis(self.below(limit.as_millis() as usize) as u64)
    }

    pub(super) fn plan(&self, faults: &Faults, played: &mut Played) -> Plan {
        let fates = [
            (faults.silent, Fate::Silent, &mut played.silent),
            (faults.error, Fate::Error, &mut played.error),
            (faults.torn, Fate::Torn, &mut played.torn),
            (faults.garbage, Fate::Garbage, &mut played.garbage),
        ];
        let mut plan = Plan::FINE;
        for (probability, fate, count) in fates {
            if self.chance(probability) {
                *count += 1;
                plan.fate = fate;
                break;
            }
        }
        // What gets no answer has none that could be cut.
        if plan.fate != Fate::Silent {
            let roll = |probability, count: &mut u64| {
                let played = self.chance(probability);
                *count += u64::from(played);
                played
            };
            plan.cut = roll(faults.cut, &mut played.cut);
            plan.late = roll(faults.slow, &mut played.slow).then_some(faults.slow_by);
            plan.wrong_opaque = roll(faults.wrong_opaque, &mut played.wrong_opaque);
        }
        plan
    }
}
