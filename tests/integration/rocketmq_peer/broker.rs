//! A broker's state: topics, queues, groups and consumer offsets over one commit log.
//!
//! Answers nothing itself; the handlers of requests look at it and change it.

use super::log::Log;
use super::queue::{Entry, Queue, View};
use super::record::{Message, Place, Record, encode, is_queued};
use super::response::{GROUP_NOT_EXIST, Response, refuse};
use super::topics::{TopicConfig, system_groups, system_topics};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis() as i64
}

/// Offsets by (topic, group) and queue id.
pub(super) type Offsets = BTreeMap<(String, String), BTreeMap<i32, i64>>;

#[derive(Clone)]
pub(super) struct Broker {
    pub(super) name: String,
    pub(super) cluster: String,
    /// Port of the loopback address.
    pub(super) port: u16,
    pub(super) running: bool,
    pub(super) topics: BTreeMap<String, TopicConfig>,
    /// Topics as the name server has them from this broker.
    pub(super) registered: BTreeMap<String, TopicConfig>,
    pub(super) log: Log,
    pub(super) queues: HashMap<(String, i32), Queue>,
    pub(super) groups: BTreeSet<String>,
    /// Committed offsets.
    pub(super) offsets: Offsets,
    /// Where groups pulled last; in memory only.
    pub(super) pulled: Offsets,
    /// Resets that the group has not noticed.
    pub(super) pending: Offsets,
    /// Offsets of delay levels.
    pub(super) delay_offsets: BTreeMap<i32, i64>,
    pub(super) boot_time: i64,
    /// Pulls by topic that are still to be answered as if there were no such topic.
    pub(super) missed: BTreeMap<String, u32>,
}

impl Broker {
    pub(super) fn new(cluster: &str, name: &str, file_bytes: i64, with_system_topics: bool) -> Self {
        let topics = if with_system_topics { system_topics(cluster, name) } else { BTreeMap::new() };
        Self {
            name: name.to_owned(),
            cluster: cluster.to_owned(),
            port: 0,
            running: true,
            registered: topics.clone(),
            topics,
            log: Log::new(file_bytes),
            queues: HashMap::new(),
            groups: system_groups(),
            offsets: Offsets::new(),
            pulled: Offsets::new(),
            pending: Offsets::new(),
            delay_offsets: BTreeMap::new(),
            boot_time: now_ms(),
            missed: BTreeMap::new(),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Makes or changes a topic and registers it with the name server.
    pub(super) fn set_topic(&mut self, topic: &str, config: TopicConfig) {
        self.registered.insert(topic.to_owned(), config.clone());
        self.topics.insert(topic.to_owned(), config);
    }

    /// Deletes a topic with its queues and offsets; the name server does not learn of it.
    pub(super) fn delete_topic(&mut self, topic: &str) {
        self.topics.remove(topic);
        self.queues.retain(|(of, _), _| of != topic);
        for offsets in [&mut self.offsets, &mut self.pulled, &mut self.pending] {
            offsets.retain(|(of, _), _| of != topic);
        }
    }

    /// A topic, or the refusal that there is none.
    pub(super) fn topic(&self, topic: &str) -> Result<&TopicConfig, Box<Response>> {
        self.topics.get(topic).ok_or_else(|| Box::new(Response::no_topic(topic)))
    }

    /// The refusal of a group that there is not.
    pub(super) fn check_group(&self, group: &str) -> Result<(), Box<Response>> {
        if self.groups.contains(group) {
            return Ok(());
        }
        refuse(Response::error(GROUP_NOT_EXIST, format!("subscription group [{group}] does not exist")))
    }

    /// A queue; one that there is not looks empty.
    pub(super) fn view(&self, topic: &str, queue: i32) -> View<'_> {
        let queue = self.queues.get(&(topic.to_owned(), queue));
        queue.map_or_else(|| View::empty(&self.log), |queue| queue.view(&self.log))
    }

    /// Committed offset of a group.
    pub(super) fn offset(&self, group: &str, topic: &str, queue: i32) -> Option<i64> {
        get(&self.offsets, group, topic, queue)
    }

    /// Offset of a reset that the group has not noticed.
    pub(super) fn pending(&self, group: &str, topic: &str, queue: i32) -> Option<i64> {
        get(&self.pending, group, topic, queue)
    }

    /// Stores a message at the end of a queue: its queue offset and its physical offset.
    pub(super) fn append(&mut self, topic: &str, queue: i32, message: &Message) -> (i64, i64) {
        let queue_offset = match self.queues.get(&(topic.to_owned(), queue)) {
            Some(queue) if is_queued(message.sys_flag) => queue.next(),
            _ => 0,
        };
        let store_time = message.store_time.unwrap_or_else(|| now_ms().max(self.log.last_time()));
        let store_host = message.store_host.unwrap_or_else(|| self.address());
        let mut place = Place { topic, queue, queue_offset, physical: 0, store_time, store_host };
        place.physical = self.log.place(encode(message, &place).len());
        self.add(&Record::parse(&encode(message, &place)));
        (place.queue_offset, place.physical)
    }

    /// Adds a record where it says it is.
    pub(super) fn add(&mut self, record: &Record) {
        let number = self.log.push(record);
        if is_queued(record.sys_flag) {
            let (offset, next) = (record.queue_offset, record.queue_offset + record.places());
            let queue = self.queues.entry((record.topic.clone(), record.queue)).or_default();
            queue.push(Entry { offset, next, record: number });
        }
    }

    /// Retention: everything below the physical offset is gone, and trimmed from the queues if wanted.
    pub(super) fn drop_before(&mut self, physical: i64, trimmed: bool) {
        self.log.start = self.log.start.max(physical);
        if trimmed {
            self.queues.values_mut().for_each(|queue| queue.trim(&self.log));
        }
    }
}

/// An offset of a group.
pub(super) fn get(offsets: &Offsets, group: &str, topic: &str, queue: i32) -> Option<i64> {
    offsets.get(&(topic.to_owned(), group.to_owned()))?.get(&queue).copied()
}

/// Sets an offset of a group.
pub(super) fn set(offsets: &mut Offsets, group: &str, topic: &str, queue: i32, offset: i64) {
    offsets.entry((topic.to_owned(), group.to_owned())).or_default().insert(queue, offset);
}

/// Removes an offset of a group.
pub(super) fn take(offsets: &mut Offsets, group: &str, topic: &str, queue: i32) -> Option<i64> {
    offsets.get_mut(&(topic.to_owned(), group.to_owned()))?.remove(&queue)
}
