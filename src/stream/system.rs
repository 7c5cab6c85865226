//! The seam between the program and a system: its name, its followers, and the requests and orders to its brokers.
//!
//! [`crate::brokers::ALL`] lists the systems; everything else knows them only through these traits. Methods that a system
//! does not need have defaults.

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use tokio::task::JoinHandle;

use super::conventions::Conventions;
use super::pipeline::Shared;
use super::status::SourceStatus;
use crate::config::Config;
use crate::error::Result;
use crate::lake::{StreamId, StreamInfo};
use crate::query::lookup::StoredMessage;

/// A message queue whose history is kept.
pub(crate) trait System: Send + Sync {
    /// Its name: the value of the column `system`, the folder of sidecars and spools, the first part of stream names.
    fn name(&self) -> &'static str;

    /// The streams that a broker group can have.
    fn streams_of(&self, info: &StreamInfo) -> Vec<StreamId>;

    /// How its messages are found in the tables.
    fn conventions(&self) -> &dyn Conventions;

    /// The follower of all configured sources; `None` if there are none.
    ///
    /// # Errors
    /// [`crate::error::Error::Config`] if keys, certificates or clients cannot be used.
    fn follower(&self, config: &Config) -> Result<Option<Box<dyn Follower>>>;
}

/// All followed sources of a system. Its failures never end the process: they are shown in the status and retried.
#[async_trait]
pub(crate) trait Follower: Send + Sync {
    /// Name of the system.
    fn system(&self) -> &'static str;

    /// Starts to follow each source. The tasks end after a stop was requested and everything received is committed.
    fn start(&self, shared: &Shared) -> Vec<JoinHandle<()>>;

    /// The current status of the sources, per broker once the brokers are known.
    fn status(&self) -> Vec<SourceStatus>;

    /// The error of a source that rejects our identity or credentials, so that only an operator can help.
    fn refusal(&self) -> Option<String> {
        None
    }

    /// Whether every source is followed or its status has a reason why not.
    fn is_explained(&self) -> bool;

    /// The current content of a message in the brokers; `None` if no broker returns it.
    async fn content(&self, _broker_group: &str, _subject: &str, _sequence: i64) -> Option<Bytes> {
        None
    }

    /// The current positions of a group in the queues of a topic, without the brokers that do not answer.
    async fn group_positions(&self, _topic: &str, _group: &str) -> Vec<GroupPosition> {
        Vec::new()
    }

    /// Orders that change a broker; `None` if the system has none.
    fn orders(&self) -> Option<&dyn Orders> {
        None
    }
}

/// Orders that change a broker. Only reachable where an operator enabled them.
#[async_trait]
pub(crate) trait Orders: Send + Sync {
    /// Sets a group to a time in every queue of a topic; a negative time means the end. `targets` are the offsets of that
    /// time (broker, queue, offset). They are used where a broker leaves the reset to its consumers and none is online.
    async fn reset(
        &self,
        topic: &str,
        group: &str,
        timestamp: i64,
        force: bool,
        targets: &[(String, i32, i64)],
    ) -> Vec<QueueReset>;

    /// Sets a group to an offset of one queue: broker, queue, offset. `None` if the broker is not followed.
    async fn reset_queue(&self, topic: &str, group: &str, to: (&str, i32, i64)) -> Option<QueueReset>;

    /// A sender of messages to a topic.
    ///
    /// # Errors
    /// [`crate::error::Error::Usage`] if no cluster is followed to which it could be sent, [`crate::error::Error::Peer`] if
    /// no broker has the topic.
    async fn sender(&self, topic: &str) -> Result<Box<dyn Sender>>;
}

/// Sends messages to one topic, round robin over its brokers.
#[async_trait]
pub(crate) trait Sender: Send {
    /// Sends a message under a new unique key; returns its new offset id.
    ///
    /// # Errors
    /// [`crate::error::Error::Peer`] with what the broker said.
    async fn send(&mut self, unique_key: &str, message: &StoredMessage, body: Vec<u8>) -> Result<String>;
}

/// The position of a group in a queue, and the beginning of the queue.
#[derive(Debug, Clone)]
pub(crate) struct GroupPosition {
    /// Broker.
    pub(crate) broker: String,
    /// Queue.
    pub(crate) queue_id: i32,
    /// Next offset to consume.
    pub(crate) consumer_offset: Option<i64>,
    /// First offset that can still be read.
    pub(crate) min_offset: Option<i64>,
}

/// Result of a reset for one queue.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct QueueReset {
    /// Broker.
    pub(crate) broker: String,
    /// Queue; absent if the broker refused the whole request.
    pub(crate) queue_id: Option<i32>,
    /// Offset before.
    pub(crate) before: Option<i64>,
    /// Offset afterwards.
    pub(crate) after: Option<i64>,
    /// Why it was not reset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}
