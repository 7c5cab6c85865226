//! What an operator asks of a running cluster: the offsets of a group, a reset, a message sent again.

use super::RocketMqCluster;
use crate::brokers::rocketmq::format::properties;
use crate::brokers::rocketmq::wire::client::{RemoteError, Writes};
use crate::brokers::rocketmq::wire::codes::response;
use crate::brokers::rocketmq::wire::writes::{ResetTo, SendMessage};
use crate::error::{Error, Result};
use crate::query::lookup::StoredMessage;
use crate::stream::{GroupPosition, QueueReset};

/// Answer of a broker that leaves a reset to the consumers of the group, none of which is online.
const CONSUMER_NOT_ONLINE: i32 = 206;

/// The result for a broker that set no offset.
fn failed(broker: &str, error: String) -> QueueReset {
    QueueReset { broker: broker.to_owned(), queue_id: None, before: None, after: None, error: Some(error) }
}

impl RocketMqCluster {
    /// The offsets of a group in a topic, as the brokers report them now. Brokers that do not answer are left out.
    pub(super) async fn group_positions(&self, topic: &str, group: &str) -> Vec<GroupPosition> {
        let mut positions = Vec::new();
        for (name, broker) in self.brokers() {
            let address = broker.address.borrow().clone();
            let Ok(stats) = self.client.topic_stats(&address, topic).await else { continue };
            let offsets = self.client.all_offsets(&address).await.unwrap_or_default();
            for row in stats.queues {
                let stored = offsets.offsets.iter().find(|stored| {
                    stored.topic == topic && stored.group == group && stored.queue_id == row.queue.queue_id
                });
                positions.push(GroupPosition {
                    broker: name.clone(),
                    queue_id: row.queue.queue_id,
                    consumer_offset: stored.map(|stored| stored.offset),
                    min_offset: Some(row.min_offset),
                });
            }
        }
        positions
    }

    /// Resets a group to a time in every queue of a topic. A negative time means the end; `force` also moves forward.
    pub(super) async fn reset(
        &self,
        topic: &str,
        group: &str,
        timestamp: i64,
        force: bool,
        targets: &[(String, i32, i64)],
    ) -> Vec<QueueReset> {
        let before = self.group_positions(topic, group).await;
        let old = |broker: &str, queue: i32| {
            let place = before.iter().find(|place| place.broker == broker && place.queue_id == queue);
            place.and_then(|place| place.consumer_offset)
        };
        let mut resets = Vec::new();
        for (name, broker) in self.brokers() {
            let address = broker.address.borrow().clone();
            if !before.iter().any(|place| place.broker == name) {
                // a broker without the topic has nothing to set; one that does not answer is reported
                if let Err(error) = self.client.topic_stats(&address, topic).await
                    && error.code() != Some(response::TOPIC_NOT_EXIST)
                {
                    resets.push(failed(&name, error.to_string()));
                }
                continue;
            }
            let writes = Writes::new(&self.client);
            let to = match timestamp {
                ..0 => ResetTo::End { force },
                _ => ResetTo::Time { timestamp, force },
            };
            let done = writes.reset_offset(&address, topic, group, to).await;
            match done {
                Ok(table) => resets.extend(table.into_iter().map(|(queue, after)| QueueReset {
                    before: old(&name, queue.queue_id),
                    broker: name.clone(),
                    queue_id: Some(queue.queue_id),
                    after: Some(after),
                    error: None,
                })),
                Err(error) if error.code() == Some(CONSUMER_NOT_ONLINE) => {
                    // such a broker leaves the reset to consumers; while none is online its offsets can be written
                    for (_, queue_id, target) in targets.iter().filter(|(broker, ..)| *broker == name) {
                        let current = old(&name, *queue_id);
                        if !force && current.is_some_and(|current| current < *target) {
                            continue;
                        }
                        let written = writes.update_offset(&address, topic, group, *queue_id, *target).await;
                        resets.push(QueueReset {
                            broker: name.clone(),
                            queue_id: Some(*queue_id),
                            before: current,
                            after: written.is_ok().then_some(*target),
                            error: written.err().map(|error| error.to_string()),
                        });
                    }
                }
                Err(error) => resets.push(failed(&name, error.to_string())),
            }
        }
        resets.sort_by(|a, b| (&a.broker, a.queue_id).cmp(&(&b.broker, b.queue_id)));
        resets
    }

    /// Sets a group to an offset of one queue.
    pub(super) async fn reset_queue(
        &self,
        topic: &str,
        group: &str,
        (broker, queue_id, offset): (&str, i32, i64),
    ) -> Option<QueueReset> {
        let address = self.brokers().get(broker)?.address.borrow().clone();
        let before = self.group_positions(topic, group).await;
        let place = before.iter().find(|place| place.broker == broker && place.queue_id == queue_id);
        let writes = Writes::new(&self.client);
        let done = writes.reset_offset(&address, topic, group, ResetTo::Offset { queue_id, offset }).await;
        let (after, error) = match done {
            Ok(table) => {
                let row = table.iter().find(|(queue, _)| queue.queue_id == queue_id);
                (row.map(|(_, after)| *after), None)
            }
            Err(error) if error.code() == Some(CONSUMER_NOT_ONLINE) => {
                match writes.update_offset(&address, topic, group, queue_id, offset).await {
                    Ok(()) => (Some(offset), None),
                    Err(error) => (None, Some(error.to_string())),
                }
            }
            Err(error) => (None, Some(error.to_string())),
        };
        let before = place.and_then(|place| place.consumer_offset);
        Some(QueueReset { broker: broker.to_owned(), queue_id: Some(queue_id), before, after, error })
    }

    /// The brokers on which a topic can be written. A missing topic is refused, because brokers would create it.
    pub(super) async fn brokers_of(&self, topic: &str) -> Result<Vec<String>> {
        let mut failed = None;
        for name_server in &self.settings.name_servers {
            match self.client.topic_route(name_server, topic).await {
                Ok(route) => {
                    let names: Vec<&str> = route
                        .queues
                        .iter()
                        .filter(|queue| {
                            queue.perm & crate::brokers::rocketmq::wire::requests::PERM_WRITE != 0
                        })
                        .map(|queue| queue.broker.as_str())
                        .collect();
                    let masters = route.brokers.iter().filter(|broker| names.contains(&broker.name.as_str()));
                    let addresses = masters.filter_map(|broker| broker.master());
                    return Ok(addresses
                        .map(|address| self.settings.reachable(address).to_owned())
                        .collect());
                }
                Err(error) if error.code() == Some(response::TOPIC_NOT_EXIST) => {
                    return Err(Error::Usage(format!(
                        "topic `{topic}` does not exist; messages are sent to topics that were made before"
                    )));
                }
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.map_or_else(
            || Error::Peer("there is no name server".to_owned()),
            |error| Error::Peer(format!("topic `{topic}` cannot be sent to: {error}")),
        ))
    }

    /// Sends a message again, to a topic that exists; returns its new offset id.
    pub(super) async fn send(
        &self,
        address: &str,
        topic: &str,
        unique_key: &str,
        message: &StoredMessage,
        body: Vec<u8>,
    ) -> Result<String, RemoteError> {
        let properties = properties_of(message, unique_key);
        let request = SendMessage {
            producer_group: "MQLAKE_REPLAY",
            topic,
            queue_id: None,
            sys_flag: 0,
            flag: message.flag.and_then(|flag| i32::try_from(flag).ok()).unwrap_or(0),
            born_timestamp: chrono::Utc::now().timestamp_millis(),
            properties: &properties,
            body: body.into(),
        };
        let sent = Writes::new(&self.client).send_message(address, request).await?;
        Ok(sent.message_id)
    }
}

/// The properties of a copy: those of the message itself, without those of its delivery.
fn properties_of(message: &StoredMessage, unique_key: &str) -> String {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut kept: Vec<(String, String)> = message
        .properties
        .iter()
        .filter(|(name, _)| !belongs_to_the_way(name))
        .map(|(name, value)| (name.clone(), text(value)))
        .collect();
    kept.push((properties::names::UNIQUE_KEY.to_owned(), unique_key.to_owned()));
    let mut out = Vec::new();
    properties::encode(&mut out, kept.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    String::from_utf8_lossy(&out).into_owned()
}

fn belongs_to_the_way(name: &str) -> bool {
    const EXACT: [&str; 20] = [
        "DELAY",
        "REAL_TOPIC",
        "REAL_QID",
        "RETRY_TOPIC",
        "ORIGIN_MESSAGE_ID",
        "RECONSUME_TIME",
        "MAX_RECONSUME_TIMES",
        "PGROUP",
        "CONSUME_START_TIME",
        "MIN_OFFSET",
        "MAX_OFFSET",
        "1ST_POP_TIME",
        "POP_CK",
        "UNIQ_KEY",
        "CLUSTER",
        "MSG_REGION",
        "TRACE_ON",
        "__transactionId__",
        "INNER_NUM",
        "INNER_BASE",
    ];
    EXACT.contains(&name)
        || ["DLQ_", "TRAN_", "TRANSACTION_", "TIMER_"].iter().any(|prefix| name.starts_with(prefix))
}
