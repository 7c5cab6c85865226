//! What an operator may change in a cluster: offsets of groups, and messages sent again.
//!
//! It is a type of its own beside the [`Client`], so that it is plain that nothing which follows or queries a cluster
//! uses it. A failed call may have taken effect: check before repeating it.

use super::error::RemoteError;
use super::reads::Client;
use crate::brokers::rocketmq::wire::requests::MessageQueue;
use crate::brokers::rocketmq::wire::writes;
use crate::brokers::rocketmq::wire::writes::{ResetTo, SendMessage, Sent};

/// Sends requests that change something.
#[derive(Debug, Clone, Copy)]
pub struct Writes<'a> {
    client: &'a Client,
}

#[allow(clippy::missing_errors_doc)] // all fail with a `RemoteError`
impl<'a> Writes<'a> {
    /// Over the connections of a client.
    #[must_use]
    pub const fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// Resets a group in a topic on one master, and returns the queues with their new offsets; see
    /// [`writes::reset_offset`].
    pub async fn reset_offset(
        &self,
        broker: &str,
        topic: &str,
        group: &str,
        to: ResetTo,
    ) -> Result<Vec<(MessageQueue, i64)>, RemoteError> {
        let request = writes::reset_offset(topic, group, to).into_inner();
        self.client.ask_plainly(broker, request, |r| writes::parse_reset_table(&r.body)).await
    }

    /// Commits an offset for a group without a consumer online; see [`writes::update_offset`].
    pub async fn update_offset(
        &self,
        broker: &str,
        topic: &str,
        group: &str,
        queue_id: i32,
        offset: i64,
    ) -> Result<(), RemoteError> {
        let request = writes::update_offset(topic, group, queue_id, offset).into_inner();
        self.client.ask_plainly(broker, request, |_| Ok(())).await
    }

    /// Sends a message to a master; see [`writes::send_message`].
    pub async fn send_message(&self, broker: &str, message: SendMessage<'_>) -> Result<Sent, RemoteError> {
        let request = writes::send_message(message).into_inner();
        self.client.ask(broker, request, Sent::parse).await
    }
}
