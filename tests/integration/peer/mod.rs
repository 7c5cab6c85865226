//! A QMQ cluster played from log segments, as a backup server sees it: a metaserver (HTTP and TCP), and for each
//! broker group one sync server and one detail server of its slave, on free ports of the loopback address.
//!
//! It answers byte for byte what the broker would and misbehaves on demand. It never checks what it is given to play,
//! knows no delay servers, and panics on misuse: it is for tests and measurements only.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod checkpoint;
mod cluster;
mod detail;
mod faults;
pub mod frame;
mod logs;
mod metaserver;
mod net;
mod segment;
mod sync;
mod visitor;

pub use cluster::{Asked, Counters, Register, Reveal, now_ms};
pub use faults::{Faults, PeerSettings};
pub use logs::GroupLogs;
pub use net::{HttpRequest, HttpResponse, serve_http};

use cluster::{Group, State};
use faults::Dice;
use net::{Net, Owner};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval};

/// Serve port of the first group; the others follow.
const SERVE_PORT: u16 = 20_881;
const TICK: Duration = Duration::from_millis(5);

/// What all servers share.
struct Cluster {
    groups: Vec<Arc<Group>>,
    settings: RwLock<PeerSettings>,
    dice: Dice,
    meta_tcp: Mutex<u16>,
}

impl Cluster {
    /// The dice, if visible ends are to be torn.
    fn torn(&self) -> Option<&Dice> {
        self.settings.read().unwrap().torn.then_some(&self.dice)
    }
}

/// The cluster. Dropping it takes everything down.
pub struct Peer {
    cluster: Arc<Cluster>,
    net: Arc<Net>,
    meta_http: u16,
    ticker: Mutex<Option<AbortHandle>>,
}

impl Peer {
    /// Starts all servers; everything is visible.
    pub async fn start(groups: Vec<GroupLogs>, settings: PeerSettings) -> Self {
        let groups =
            (SERVE_PORT..).zip(groups).map(|(port, logs)| Arc::new(Group::new(logs, port))).collect();
        let dice = Dice::new(settings.seed);
        let settings = RwLock::new(settings);
        let cluster = Arc::new(Cluster { groups, settings, dice, meta_tcp: Mutex::default() });
        let net = Arc::new(Net::default());
        let shared = Arc::clone(&cluster);
        let meta_http = net.listen(Owner::Http, move |stream| {
            let cluster = Arc::clone(&shared);
            serve_http(stream, move |request| std::future::ready(metaserver::http(&cluster, &request)))
        });
        let peer = Self { cluster, net, meta_http, ticker: Mutex::default() };
        peer.start_metaserver();
        for group in &peer.cluster.groups {
            peer.listen_sync(group);
            peer.listen_detail(group);
        }
        peer
    }

    fn start_metaserver(&self) {
        let shared = Arc::clone(&self.cluster);
        let serve = move |stream| metaserver::connection(Arc::clone(&shared), stream);
        *self.cluster.meta_tcp.lock().unwrap() = self.net.listen(Owner::Metaserver, serve);
    }

    fn listen_sync(&self, group: &Arc<Group>) {
        let (cluster, shared) = (Arc::clone(&self.cluster), Arc::clone(group));
        let serve = move |stream| sync::connection(Arc::clone(&cluster), Arc::clone(&shared), stream);
        group.addresses.lock().unwrap().sync = self.net.listen(Owner::Sync(group.name.clone()), serve);
    }

    fn listen_detail(&self, group: &Arc<Group>) {
        let (cluster, shared) = (Arc::clone(&self.cluster), Arc::clone(group));
        let serve = move |stream| {
            let (cluster, group) = (Arc::clone(&cluster), Arc::clone(&shared));
            serve_http(stream, move |request| detail::http(Arc::clone(&cluster), Arc::clone(&group), request))
        };
        group.addresses.lock().unwrap().detail = self.net.listen(Owner::Detail(group.name.clone()), serve);
    }

    fn group(&self, name: &str) -> &Arc<Group> {
        let group = self.cluster.groups.iter().find(|group| group.name == name);
        group.unwrap_or_else(|| panic!("no broker group {name}"))
    }

    /// Names of the groups, in order.
    pub fn groups(&self) -> Vec<String> {
        self.cluster.groups.iter().map(|group| group.name.clone()).collect()
    }

    /// URL of the look-up of the metaserver.
    pub fn meta_url(&self) -> String {
        format!("http://127.0.0.1:{}/meta/address", self.meta_http)
    }

    /// URL of the look-up of detail servers, without the query.
    pub fn slave_meta_url(&self) -> String {
        format!("http://127.0.0.1:{}/slave/meta", self.meta_http)
    }

    /// TCP address of the metaserver.
    pub fn meta_tcp_addr(&self) -> SocketAddr {
        local(*self.cluster.meta_tcp.lock().unwrap())
    }

    /// Current address of the sync server of a group.
    pub fn sync_addr(&self, group: &str) -> SocketAddr {
        local(self.group(group).addresses.lock().unwrap().sync)
    }

    /// Current address of the detail server of a group.
    pub fn detail_addr(&self, group: &str) -> SocketAddr {
        local(self.group(group).addresses.lock().unwrap().detail)
    }

    /// Host name and serve port that acquire-meta recognises as the backup of a group. Without a host name in the
    /// settings, any does.
    pub fn identity(&self, group: &str) -> (String, u16) {
        let hostname = self.cluster.settings.read().unwrap().hostname.clone();
        (hostname.unwrap_or_else(|| "backup".to_owned()), self.group(group).serve_port)
    }

    /// Changes the settings.
    pub fn set(&self, change: impl FnOnce(&mut PeerSettings)) {
        change(&mut self.cluster.settings.write().unwrap());
    }

    /// The settings now.
    pub fn settings(&self) -> PeerSettings {
        self.cluster.settings.read().unwrap().clone()
    }

    fn show(&self, group: &Group, count: impl FnOnce(&State) -> usize) {
        let torn = self.cluster.torn();
        let mut state = group.state.write().unwrap();
        let (count, before) = (count(&state), state.shown());
        state.show(count, torn);
        state.pace = (state.shown(), Instant::now());
        if count < before {
            group.details.lock().unwrap().clear();
        }
    }

    fn show_all(&self, count: impl Fn(&State) -> usize) {
        self.cluster.groups.iter().for_each(|group| self.show(group, &count));
    }

    /// Makes everything visible.
    pub fn reveal_all(&self) {
        self.show_all(State::total);
    }

    /// Hides everything.
    pub fn reveal_none(&self) {
        self.show_all(|_| 0);
    }

    /// Makes some more records of a group visible, messages and actions by time.
    pub fn reveal_records(&self, group: &str, records: usize) {
        self.show(self.group(group), |state| state.shown().saturating_add(records));
    }

    /// Makes this part of the records of each group visible and hides the others.
    pub fn reveal_fraction(&self, fraction: f64) {
        self.show_all(|state| (state.total() as f64 * fraction) as usize);
    }

    /// From now on this many more records per second become visible in each group; 0 stops that.
    pub fn reveal_at_rate(&self, records_per_second: f64) {
        for group in &self.cluster.groups {
            let mut state = group.state.write().unwrap();
            state.pace = (state.shown(), Instant::now());
        }
        let cluster = Arc::clone(&self.cluster);
        let task = (records_per_second > 0.0).then(|| tokio::spawn(reveal(cluster, records_per_second)));
        let task = task.map(|task| task.abort_handle());
        if let Some(before) = std::mem::replace(&mut *self.ticker.lock().unwrap(), task) {
            before.abort();
        }
    }

    /// Visible ends of the message log and the action log of a group.
    pub fn visible(&self, group: &str) -> (u64, u64) {
        self.group(group).state.read().unwrap().visible
    }

    /// Ends of the message log and the action log of a group, visible or not.
    pub fn ends(&self, group: &str) -> (u64, u64) {
        self.group(group).state.read().unwrap().logs.ends()
    }

    /// Lowest offsets of the message log and the action log of a group.
    pub fn minimums(&self, group: &str) -> (u64, u64) {
        self.group(group).state.read().unwrap().logs.minimums()
    }

    /// Records of a group: visible ones and all, messages and actions together. The padding of a finished segment and
    /// trailing bytes that are no record count as one each.
    pub fn records(&self, group: &str) -> (usize, usize) {
        let state = self.group(group).state.read().unwrap();
        (state.shown(), state.total())
    }

    /// Whether everything of every group is visible.
    pub fn is_all_visible(&self) -> bool {
        self.cluster.groups.iter().all(|group| group.state.read().unwrap().is_all_visible())
    }

    /// When the visible ends of a group moved, since the start or since records were last hidden.
    pub fn reveals(&self, group: &str) -> Vec<Reveal> {
        self.group(group).state.read().unwrap().reveals.clone()
    }

    /// Breaks every connection to the metaserver's TCP port and the sync servers.
    pub fn drop_connections(&self) {
        self.net.drop_connections(|owner| matches!(owner, Owner::Sync(_) | Owner::Metaserver));
    }

    /// Number of open connections to the sync server of a group.
    pub fn sync_connections(&self, group: &str) -> usize {
        self.net.connections(|owner| *owner == Owner::Sync(group.to_owned()))
    }

    /// The slave is replaced: its sync server listens on another port, and its old connections break.
    pub fn move_slave(&self, group: &str) {
        let owner = Owner::Sync(group.to_owned());
        self.net.close(&owner);
        self.listen_sync(self.group(group));
        self.net.drop_connections(|of| *of == owner);
    }

    /// The detail server of a group listens on another port, and its old connections break.
    pub fn move_detail(&self, group: &str) {
        let owner = Owner::Detail(group.to_owned());
        self.net.close(&owner);
        self.listen_detail(self.group(group));
        self.net.drop_connections(|of| *of == owner);
    }

    /// From now on a type 5 request whose answer would have to look at the message at this offset gets no answer, as
    /// if its payload could not be parsed. Types 1, 2 and 3 are served.
    pub fn swallow_index_from(&self, group: &str, offset: u64) {
        self.group(group).state.write().unwrap().swallowed.insert(offset);
    }

    /// Undoes all [`Peer::swallow_index_from`] of a group.
    pub fn swallow_nothing(&self, group: &str) {
        self.group(group).state.write().unwrap().swallowed.clear();
    }

    /// Retention: the bytes of the logs of a group below these offsets are gone. An offset that is not a segment base
    /// should be the start of a record. Minimums never go down.
    pub fn set_minimum(&self, group: &str, message: u64, action: u64) {
        self.group(group).state.write().unwrap().set_minimum(message, action);
    }

    /// The broker was recreated: the group has other logs, all visible. Connections stay.
    pub fn replace_logs(&self, group: &str, logs: GroupLogs) {
        let group = self.group(group);
        let mut state = group.state.write().unwrap();
        *state = State::new(logs);
        group.details.lock().unwrap().clear();
    }

    /// Adds bytes to the end of the message log of a group; after an end marker they start the next segment. They are
    /// visible at once if everything was, otherwise after all the rest.
    pub fn append_message(&self, group: &str, bytes: &[u8]) {
        self.group(group).state.write().unwrap().append(false, bytes);
    }

    /// Adds bytes to the end of the action log of a group, as [`Peer::append_message`] does.
    pub fn append_action(&self, group: &str, bytes: &[u8]) {
        self.group(group).state.write().unwrap().append(true, bytes);
    }

    /// What the servers of a group were asked so far.
    pub fn counters(&self, group: &str) -> Counters {
        self.group(group).counters.lock().unwrap().clone()
    }

    /// Takes everything down, as dropping does.
    pub fn stop(self) {}
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.net.stop();
        if let Some(ticker) = self.ticker.lock().unwrap().take() {
            ticker.abort();
        }
    }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Live traffic.
async fn reveal(cluster: Arc<Cluster>, records_per_second: f64) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let torn = cluster.torn();
        for group in &cluster.groups {
            let mut state = group.state.write().unwrap();
            let (from, since) = state.pace;
            let count = from + (records_per_second * since.elapsed().as_secs_f64()) as usize;
            let count = count.max(state.shown());
            state.show(count, torn);
        }
    }
}
