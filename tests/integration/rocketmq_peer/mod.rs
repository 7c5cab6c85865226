//! A RocketMQ cluster played in this process, as a reader sees it: a name server and brokers on free ports of the
//! loopback address, over records that tests append or that were loaded from the store of a real broker.
//!
//! It answers as brokers 5.3 do and misbehaves on demand. Frames, records and signatures are its own, so that they
//! check the project's. It knows no slaves, proxies, TLS or online consumers, and panics on misuse: it is for tests
//! and measurements only.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod acl;
mod broker;
mod connection;
pub mod frame;
mod handlers;
mod info;
mod json;
mod load;
mod log;
mod losses;
mod name_server;
mod net;
mod offsets;
mod progress;
mod pull;
mod query;
mod queue;
mod record;
mod response;
mod send;
mod settings;
mod shared;
mod topics;

pub use acl::Acl;
pub use broker::now_ms;
pub use frame::{Frame, HeaderType};
pub use losses::StoreCopy;
pub use record::{Message, Record, java_hash, offset_id};
pub use settings::{ClusterSettings, Faults, Played};
pub use shared::{Asked, NAME_SERVER};
pub use topics::TopicConfig;

use broker::Broker;
use net::Net;
use shared::Shared;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// The cluster. Dropping it takes everything down.
pub struct Cluster {
    shared: Arc<Shared>,
    net: Arc<Net>,
    name_server: Mutex<u16>,
}

impl Cluster {
    /// Starts the name server and the brokers of the settings, which have no messages.
    pub async fn start(settings: ClusterSettings) -> Self {
        let brokers = settings.brokers.clone();
        let cluster = Self {
            shared: Arc::new(Shared::new(settings)),
            net: Arc::default(),
            name_server: Mutex::default(),
        };
        cluster.start_name_server();
        for broker in brokers {
            cluster.add_broker(&broker);
        }
        cluster
    }

    fn listen(&self, server: &str, port: u16) -> u16 {
        let (shared, of) = (Arc::clone(&self.shared), server.to_owned());
        self.net
            .listen(server, port, move |stream| connection::serve(Arc::clone(&shared), of.clone(), stream))
    }

    /// Changes a broker.
    fn with<T>(&self, broker: &str, use_it: impl FnOnce(&mut Broker) -> T) -> T {
        let result = self.shared.with(broker, use_it);
        self.shared.wake();
        result
    }

    fn with_all(&self, use_it: impl FnMut(&mut Broker)) {
        self.shared.brokers.lock().unwrap().values_mut().for_each(use_it);
        self.shared.wake();
    }

    // What clients need to know.

    /// Address of the name server.
    pub fn name_server_addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, *self.name_server.lock().unwrap()).into()
    }

    /// Current address of a broker, running or not.
    pub fn broker_addr(&self, broker: &str) -> SocketAddr {
        self.shared.with(broker, |broker| broker.address())
    }

    /// Names of the brokers, in order.
    pub fn brokers(&self) -> Vec<String> {
        self.shared.brokers.lock().unwrap().keys().cloned().collect()
    }

    // Behaviour.

    /// Changes the settings.
    pub fn set(&self, change: impl FnOnce(&mut ClusterSettings)) {
        change(&mut self.shared.settings.write().unwrap());
    }

    /// The settings now.
    pub fn settings(&self) -> ClusterSettings {
        self.shared.settings.read().unwrap().clone()
    }

    /// Changes what goes wrong from now on, and starts the dice anew from the seed.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.dice.restart(faults.seed);
        self.set(|settings| settings.faults = faults);
    }

    /// What went wrong on purpose so far.
    pub fn played(&self) -> Played {
        *self.shared.played.lock().unwrap()
    }

    // Records.

    /// Stores a message: its queue offset and its physical offset. The topic has to exist; the queue id is not checked.
    pub fn append(&self, broker: &str, topic: &str, queue: i32, message: Message) -> (i64, i64) {
        self.with(broker, |broker| {
            assert!(broker.topics.contains_key(topic), "no topic {topic}");
            broker.append(topic, queue, &message)
        })
    }

    /// Fills a broker that has no messages with the store directory of a real one: `commitlog`, and if they are there
    /// the times of `index` and the tables of `config`. Everything is visible.
    pub fn load_store(&self, broker: &str, dir: &Path) {
        self.with(broker, |broker| load::load(broker, dir));
    }

    /// Changes the stored bytes of a record, and nothing that the broker knows of it.
    pub fn edit_record(&self, broker: &str, physical_offset: i64, change: impl FnOnce(&mut Vec<u8>)) {
        self.with(broker, |broker| broker.log.edit(physical_offset, change));
    }

    /// The records of a queue that clients can see, whether or not retention left them in the log.
    pub fn queue_records(&self, broker: &str, topic: &str, queue: i32) -> Vec<Record> {
        self.shared.with(broker, |broker| {
            let entries = broker.view(topic, queue).from(0);
            entries.iter().map(|entry| Record::parse(&broker.log.get(entry.record).raw)).collect()
        })
    }

    // Visibility. Records become visible in the order of the commit log. What is appended is visible at once if
    // everything was, otherwise after all the rest.

    /// Makes this part of the records of each broker visible and hides the others.
    pub fn reveal(&self, fraction: f64) {
        self.with_all(|broker| broker.log.visible = (broker.log.len() as f64 * fraction) as usize);
    }

    /// Makes so many more records of a broker visible.
    pub fn reveal_count(&self, broker: &str, records: usize) {
        self.with(broker, |broker| {
            broker.log.visible = broker.log.visible.saturating_add(records).min(broker.log.len());
        });
    }

    /// Makes everything visible.
    pub fn reveal_all(&self) {
        self.reveal(1.0);
    }

    /// Hides everything.
    pub fn reveal_none(&self) {
        self.reveal(0.0);
    }

    /// Records of a broker: visible ones and all.
    pub fn records(&self, broker: &str) -> (usize, usize) {
        self.shared.with(broker, |broker| (broker.log.visible, broker.log.len()))
    }

    // Topology.

    /// Adds a broker and starts it.
    pub fn add_broker(&self, name: &str) {
        assert!(name != NAME_SERVER && !self.brokers().contains(&name.to_owned()), "name {name} is taken");
        let settings = self.settings();
        let mut broker = Broker::new(&settings.name, name, settings.file_bytes, settings.system_topics);
        broker.port = self.listen(name, 0);
        self.shared.brokers.lock().unwrap().insert(name.to_owned(), broker);
    }

    /// Stops a broker: its connections break, and it leaves the routes.
    pub async fn stop_broker(&self, broker: &str) {
        self.with(broker, |broker| broker.running = false);
        self.net.close(broker).await;
    }

    /// Starts a stopped broker at its old address.
    pub fn start_broker(&self, broker: &str) {
        let port = self.shared.with(broker, |broker| broker.port);
        self.start_broker_at(broker, port);
    }

    /// Stops a broker and starts it at another address.
    pub async fn move_broker(&self, broker: &str) {
        self.stop_broker(broker).await;
        self.start_broker_at(broker, 0);
    }

    fn start_broker_at(&self, broker: &str, port: u16) {
        assert!(!self.shared.with(broker, |broker| broker.running), "broker {broker} runs");
        let port = self.listen(broker, port);
        self.with(broker, |broker| (broker.port, broker.running) = (port, true));
    }

    /// Stops the name server.
    pub async fn stop_name_server(&self) {
        self.net.close(NAME_SERVER).await;
    }

    /// Starts the stopped name server at its old address.
    pub fn start_name_server(&self) {
        let mut port = self.name_server.lock().unwrap();
        *port = self.listen(NAME_SERVER, *port);
    }

    /// Breaks the connections of a broker, or of the name server with [`NAME_SERVER`].
    pub fn drop_connections(&self, server: &str) {
        self.net.drop_connections(server);
    }

    /// Number of open connections of a broker, or of the name server.
    pub fn connections(&self, server: &str) -> usize {
        self.net.connections(server)
    }

    /// Makes a topic with so many queues on every broker, or gives it that many: more or fewer.
    pub fn set_queues(&self, topic: &str, queues: i32) {
        self.with_all(|broker| broker.set_topic(topic, TopicConfig::new(queues)));
    }

    /// Makes or changes a topic on one broker.
    pub fn set_topic(&self, broker: &str, topic: &str, config: TopicConfig) {
        self.with(broker, |broker| broker.set_topic(topic, config));
    }

    /// Settings of the topics of a broker.
    pub fn topics(&self, broker: &str) -> BTreeMap<String, TopicConfig> {
        self.shared.with(broker, |broker| broker.topics.clone())
    }

    /// Deletes a topic everywhere, with its queues and the offsets of groups. Its records stay in the commit log.
    pub fn delete_topic(&self, topic: &str) {
        self.with_all(|broker| {
            broker.delete_topic(topic);
            broker.registered.remove(topic);
        });
    }

    /// Deletes a topic on one broker only; it stays in the route.
    pub fn delete_topic_on_broker(&self, broker: &str, topic: &str) {
        self.with(broker, |broker| broker.delete_topic(topic));
    }

    /// Deletes a topic everywhere and makes it again: its offsets start at 0.
    pub fn recreate_topic(&self, topic: &str) {
        self.with_all(|broker| {
            if let Some(config) = broker.topics.get(topic).cloned() {
                broker.delete_topic(topic);
                broker.set_topic(topic, config);
            }
        });
    }

    /// Retention: the records of a broker below the physical offset are gone. While the queues are not `trimmed`,
    /// pulls of what is gone silently answer what comes later.
    pub fn drop_before(&self, broker: &str, physical_offset: i64, trimmed: bool) {
        self.with(broker, |broker| broker.drop_before(physical_offset, trimmed));
    }

    // Groups.

    /// Makes a group on every broker.
    pub fn add_group(&self, group: &str) {
        self.with_all(|broker| broker.groups.extend([group.to_owned()]));
    }

    /// Groups that a broker has; pulls of unknown ones make them.
    pub fn groups(&self, broker: &str) -> Vec<String> {
        self.shared.with(broker, |broker| broker.groups.iter().cloned().collect())
    }

    /// Commits an offset of a group, which is made if there is none.
    pub fn set_consumer_offset(&self, broker: &str, group: &str, topic: &str, queue: i32, offset: i64) {
        self.with(broker, |broker| {
            broker.groups.insert(group.to_owned());
            broker::set(&mut broker.offsets, group, topic, queue, offset);
        });
    }

    /// Committed offset of a group.
    pub fn consumer_offset(&self, broker: &str, group: &str, topic: &str, queue: i32) -> Option<i64> {
        self.shared.with(broker, |broker| broker.offset(group, topic, queue))
    }

    // What was asked.

    /// All requests so far, in order.
    pub fn requests(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.shared.asked.lock().unwrap().clear();
    }

    /// Panics if a request so far was not one of a pure reader: only codes that change nothing, and pulls only for
    /// `TOOLS_CONSUMER` and without a commit.
    pub fn assert_read_only(&self) {
        if let Some(asked) = self.requests().iter().find(|asked| !asked.is_read_only()) {
            panic!("not a request of a pure reader: {asked:?}");
        }
    }

    /// Takes everything down, as dropping does.
    pub fn stop(self) {}
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.net.stop();
    }
}
