//! All configured clusters as one follower, and the operator's orders to them.

use async_trait::async_trait;
use tokio::task::JoinHandle;

use super::RocketMqCluster;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::schema::SYSTEM_ROCKETMQ;
use crate::query::lookup::StoredMessage;
use crate::stream::{Follower, GroupPosition, Orders, QueueReset, Sender, Shared, SourceStatus};

/// All configured clusters.
pub(in super::super) struct Clusters(Vec<RocketMqCluster>);

impl Clusters {
    /// # Errors
    /// [`Error::Config`] if keys or certificates cannot be used.
    pub(in super::super) fn new(config: &Config) -> Result<Clusters> {
        let clusters = config.rocketmq.iter().map(|settings| RocketMqCluster::new(settings, &config.follow));
        Ok(Clusters(clusters.collect::<Result<_>>()?))
    }
}

#[async_trait]
impl Follower for Clusters {
    fn system(&self) -> &'static str {
        SYSTEM_ROCKETMQ
    }

    fn start(&self, shared: &Shared) -> Vec<JoinHandle<()>> {
        self.0.iter().map(|cluster| tokio::spawn(cluster.clone().run(shared.clone()))).collect()
    }

    fn status(&self) -> Vec<SourceStatus> {
        self.0.iter().flat_map(RocketMqCluster::status).collect()
    }

    fn refusal(&self) -> Option<String> {
        self.0.iter().find_map(RocketMqCluster::refusal)
    }

    fn is_explained(&self) -> bool {
        self.0.iter().all(RocketMqCluster::is_explained)
    }

    async fn group_positions(&self, topic: &str, group: &str) -> Vec<GroupPosition> {
        let mut positions = Vec::new();
        for cluster in &self.0 {
            positions.extend(cluster.group_positions(topic, group).await);
        }
        positions
    }

    fn orders(&self) -> Option<&dyn Orders> {
        Some(self)
    }
}

#[async_trait]
impl Orders for Clusters {
    async fn reset(
        &self,
        topic: &str,
        group: &str,
        timestamp: i64,
        force: bool,
        targets: &[(String, i32, i64)],
    ) -> Vec<QueueReset> {
        let mut resets = Vec::new();
        for cluster in &self.0 {
            resets.extend(cluster.reset(topic, group, timestamp, force, targets).await);
        }
        resets
    }

    async fn reset_queue(&self, topic: &str, group: &str, to: (&str, i32, i64)) -> Option<QueueReset> {
        for cluster in &self.0 {
            if let Some(done) = cluster.reset_queue(topic, group, to).await {
                return Some(done);
            }
        }
        None
    }

    /// Sends to the first cluster that has the topic.
    async fn sender(&self, topic: &str) -> Result<Box<dyn Sender>> {
        let mut failed = Error::Usage("no RocketMQ cluster is followed that could be sent to".to_owned());
        for cluster in &self.0 {
            match cluster.brokers_of(topic).await {
                Ok(addresses) if !addresses.is_empty() => {
                    let (cluster, topic) = (cluster.clone(), topic.to_owned());
                    return Ok(Box::new(TopicSender { cluster, addresses, topic, sent: 0 }));
                }
                Ok(_) => {
                    failed = Error::Usage(format!("topic `{topic}` has no queue that can be written to"))
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

/// Sends messages to one topic, to its brokers in rotation.
struct TopicSender {
    cluster: RocketMqCluster,
    addresses: Vec<String>,
    topic: String,
    sent: usize,
}

#[async_trait]
impl Sender for TopicSender {
    async fn send(&mut self, unique_key: &str, message: &StoredMessage, body: Vec<u8>) -> Result<String> {
        let address =
            self.addresses.get(self.sent % self.addresses.len().max(1)).cloned().unwrap_or_default();
        self.sent += 1;
        let sent = self.cluster.send(&address, &self.topic, unique_key, message, body).await;
        sent.map_err(|error| Error::Peer(error.to_string()))
    }
}
