//! Samples of the offsets of groups, so that backlog has a history.

use super::frames::{PROGRESS, Sample};
use super::inbox::Inbox;
use crate::brokers::rocketmq::wire::client::{Client, RemoteError};
use crate::error::{Error, Result};

/// Takes one sample of a broker and puts it into the stream.
///
/// # Errors
/// Only those of the spool. What the broker refuses is left out and logged.
pub(super) async fn sample(
    client: &Client,
    inbox: &Inbox,
    topics: &[String],
    stop: &tokio_util::sync::CancellationToken,
) -> Result<()> {
    let address = inbox.address();
    let warn = |error: &RemoteError| tracing::warn!(broker = inbox.stream(), %error, "no sample of progress");
    let mut sample = Sample { time_ms: chrono::Utc::now().timestamp_millis(), ..Sample::default() };
    match client.all_offsets(&address).await {
        Ok(all) => {
            sample.offsets = all
                .offsets
                .into_iter()
                .map(|stored| (stored.topic, stored.group, stored.queue_id, stored.offset))
                .collect();
        }
        Err(error) => warn(&error),
    }
    if let Ok(groups) = client.group_configs(&address).await {
        sample.groups = groups.into_iter().map(|group| group.name).collect();
    }
    for topic in topics {
        match client.topic_stats(&address, topic).await {
            Ok(stats) => sample.queues.extend(
                stats
                    .queues
                    .into_iter()
                    .map(|row| (topic.clone(), row.queue.queue_id, row.min_offset, row.max_offset)),
            ),
            Err(error) if error.is_not_found() || error.is_permission() => {}
            Err(error) => {
                warn(&error);
                break;
            }
        }
    }
    let payload = serde_json::to_vec(&sample).map_err(|error| Error::Invariant(error.to_string()))?;
    inbox.put(PROGRESS, payload.into(), stop).await
}
