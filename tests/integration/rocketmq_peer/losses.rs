//! What happens to the store of a broker: it loses the end of its log, is copied and put back, or is made anew.
//!
//! Changes what is stored only. Who wants connections to break, as with a real broker that dies, stops it first.

use super::Cluster;
use super::broker::Broker;
use super::log::Log;

/// A copy of a broker's store: log, queues, topics, groups and offsets.
#[derive(Clone)]
pub struct StoreCopy(Broker);

impl Cluster {
    /// A copy of what a broker has stored.
    pub fn copy_store(&self, broker: &str) -> StoreCopy {
        StoreCopy(self.shared.with(broker, |broker| broker.clone()))
    }

    /// Puts a copy back in place of what a broker has stored now.
    pub fn put_store_back(&self, broker: &str, copy: &StoreCopy) {
        self.with(broker, |broker| {
            let StoreCopy(copy) = copy.clone();
            *broker = Broker { port: broker.port, running: broker.running, ..copy };
        });
    }

    /// The last so many records of a broker's log are gone, from all queues.
    pub fn lose_tail(&self, broker: &str, records: usize) {
        self.with(broker, |broker| {
            let left = broker.log.len().saturating_sub(records);
            broker.log.truncate(left);
            broker.queues.values_mut().for_each(|queue| queue.truncate(left));
        });
    }

    /// The last message of a queue seems gone, with those behind it, as while a broker has not built the queue from its
    /// log again.
    pub fn lose_entries(&self, broker: &str, topic: &str, queue: i32, entries: usize) {
        self.with(broker, |broker| {
            broker.queues.get_mut(&(topic.to_owned(), queue)).expect("a queue").drop_last(entries);
        });
    }

    /// A broker loses its store and begins a new one under its name, with the same topics: positions begin at 0.
    pub fn rebuild_broker(&self, broker: &str) {
        self.with(broker, |broker| {
            broker.log = Log::new(broker.log.file_bytes);
            broker.queues.clear();
            for offsets in [&mut broker.offsets, &mut broker.pulled, &mut broker.pending] {
                offsets.clear();
            }
        });
    }

    /// The next so many pulls of a topic are answered as if there were none (17), as while a broker loads its topics.
    pub fn miss_topic(&self, broker: &str, topic: &str, times: u32) {
        self.with(broker, |broker| broker.missed.insert(topic.to_owned(), times));
    }
}
