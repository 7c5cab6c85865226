//! The seam between the program and a system: what it is called, what follows its brokers, and what they can be asked.
//!
//! [`crate::brokers::ALL`] lists the systems; everything else knows them only through these traits. A default answers for
//! systems that have nothing to say.

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
    /// Value of the column `system`, folder of sidecars and spools, first part of stream names.
    fn name(&self) -> &'static str;

    /// The streams that a broker group can have.
    fn streams_of(&self, info: &StreamInfo) -> Vec<StreamId>;

    /// How its messages are found in the tables.
    fn conventions(&self) -> &dyn Conventions;

    /// What follows all configured sources; `None` if there are none.
    ///
    /// # Errors
    /// [`crate::error::Error::Config`] if keys, certificates or clients cannot be used.
    fn follower(&self, config: &Config) -> Result<Option<Box<dyn Follower>>>;
}

/// All sources of a system that are followed. Nothing ends the process: what goes wrong is shown and tried again.
#[async_trait]
pub(crate) trait Follower: Send + Sync {
    /// Name of the system.
    fn system(&self) -> &'static str;

    /// Begins to follow each source, until a stop is asked for and what was received is committed.
    fn start(&self, shared: &Shared) -> Vec<JoinHandle<()>>;

    /// The sources as they are now, broker by broker where they are known.
    fn status(&self) -> Vec<SourceStatus>;

    /// Why a source cannot be followed until an operator does something: it does not let in who is asking.
    fn refusal(&self) -> Option<String> {
        None
    }

    /// Whether every source follows or says why not.
    fn is_explained(&self) -> bool;

    /// The content of a message as the brokers have it now; `None` if they do not tell.
    async fn content(&self, _broker_group: &str, _subject: &str, _sequence: i64) -> Option<Bytes> {
        None
    }

    /// Where a group stands in the queues of a topic, as the brokers say now; what does not answer is left out.
    async fn group_places(&self, _topic: &str, _group: &str) -> Vec<GroupPlace> {
        Vec::new()
    }

    /// Orders that change a broker; `None` if the system has none.
    fn orders(&self) -> Option<&dyn Orders> {
        None
    }
}

/// Orders that change a broker. Reached only where an operator allowed them.
#[async_trait]
pub(crate) trait Orders: Send + Sync {
    /// Sets a group to a time in every queue of a topic; a negative one means the end. `targets` are the offsets of that
    /// time (broker, queue, offset), for brokers that leave a reset to consumers and have none online.
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

    /// Something that sends messages to a topic.
    ///
    /// # Errors
    /// [`crate::error::Error::Usage`] if nothing is followed that could be sent to, [`crate::error::Error::Peer`] if no
    /// broker has the topic.
    async fn sender(&self, topic: &str) -> Result<Box<dyn Sender>>;
}

/// Sends messages to one topic, broker by broker in turn.
#[async_trait]
pub(crate) trait Sender: Send {
    /// Sends a message under a new unique key; returns its new offset id.
    ///
    /// # Errors
    /// [`crate::error::Error::Peer`] with what the broker said.
    async fn send(&mut self, unique_key: &str, message: &StoredMessage, body: Vec<u8>) -> Result<String>;
}

/// Where a group stands in a queue, and what the broker still has of it.
#[derive(Debug, Clone)]
pub(crate) struct GroupPlace {
    /// Broker.
    pub(crate) broker: String,
    /// Queue.
    pub(crate) queue_id: i32,
    /// Next offset to consume.
    pub(crate) consumer_offset: Option<i64>,
    /// First offset that can still be read.
    pub(crate) min_offset: Option<i64>,
}

/// What a reset did to a queue.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct QueueReset {
    /// Broker.
    pub(crate) broker: String,
    /// Queue; absent if the broker refused as a whole.
    pub(crate) queue_id: Option<i32>,
    /// Offset before.
    pub(crate) before: Option<i64>,
    /// Offset afterwards.
    pub(crate) after: Option<i64>,
    /// Why it was not reset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}
