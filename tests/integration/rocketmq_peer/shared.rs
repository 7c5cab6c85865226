//! What all servers and connections of a cluster share: the state of the brokers, and what was asked.

use super::broker::Broker;
use super::frame::Frame;
use super::handlers::PULL_MESSAGE;
use super::settings::{ClusterSettings, Dice, Plan, Played};
use super::topics::TOOLS_CONSUMER;
use std::collections::BTreeMap;
use std::sync::{Mutex, RwLock};
use tokio::sync::watch;

/// Name of the name server where brokers have theirs.
pub const NAME_SERVER: &str = "name server";
/// Codes that change nothing, pulls included.
const READ_ONLY: [i32; 21] =
    [11, 12, 14, 21, 26, 28, 29, 30, 31, 32, 33, 43, 45, 105, 106, 201, 202, 206, 208, 224, 300];
/// Flag of a pull that commits.
const COMMIT_OFFSET: i32 = 1;

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Name of the broker, or [`NAME_SERVER`].
    pub server: String,
    /// Request code.
    pub code: i32,
    /// The custom header.
    pub fields: BTreeMap<String, String>,
}

impl Asked {
    /// Whether a pure reader may ask this.
    pub fn is_read_only(&self) -> bool {
        let field = |name| self.fields.get(name).map(String::as_str);
        let flags = field("sysFlag").and_then(|flags| flags.parse::<i32>().ok());
        let pure_pull = field("consumerGroup") == Some(TOOLS_CONSUMER)
            && flags.is_some_and(|flags| flags & COMMIT_OFFSET == 0);
        READ_ONLY.contains(&self.code) && (self.code != PULL_MESSAGE || pure_pull)
    }
}

pub(super) struct Shared {
    pub(super) settings: RwLock<ClusterSettings>,
    pub(super) brokers: Mutex<BTreeMap<String, Broker>>,
    /// Wakes suspended pulls.
    pub(super) changed: watch::Sender<()>,
    pub(super) asked: Mutex<Vec<Asked>>,
    pub(super) played: Mutex<Played>,
    pub(super) dice: Dice,
}

impl Shared {
    pub(super) fn new(settings: ClusterSettings) -> Self {
        Self {
            brokers: Mutex::default(),
            changed: watch::Sender::new(()),
            asked: Mutex::default(),
            played: Mutex::default(),
            dice: Dice::new(settings.faults.seed),
            settings: RwLock::new(settings),
        }
    }

    /// Looks at a broker or changes it.
    pub(super) fn with<T>(&self, broker: &str, use_it: impl FnOnce(&mut Broker) -> T) -> T {
        let mut brokers = self.brokers.lock().unwrap();
        use_it(brokers.get_mut(broker).unwrap_or_else(|| panic!("no broker {broker}")))
    }

    /// Lets suspended pulls look again.
    pub(super) fn wake(&self) {
        self.changed.send_replace(());
    }

    /// Notes a request.
    pub(super) fn note(&self, server: &str, request: &Frame) {
        let (server, fields) = (server.to_owned(), request.fields.clone());
        self.asked.lock().unwrap().push(Asked { server, code: request.code, fields });
    }

    /// What fate decides for the answer to a request.
    pub(super) fn plan(&self, server: &str) -> Plan {
        let faults = self.settings.read().unwrap().faults.clone();
        if server == NAME_SERVER && !faults.name_server {
            return Plan::FINE;
        }
        self.dice.plan(&faults, &mut self.played.lock().unwrap())
    }
}
