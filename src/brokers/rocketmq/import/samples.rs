//! One sample of progress: the offsets of groups and the bounds of queues when a store directory was written.
//!
//! It is a stream of its own, whose position is the time of the newest sample. A digest of the sample is stored beside
//! it: the same directory adds its sample once, and a directory that only lost files adds another.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use md5::{Digest, Md5};

use super::errors::{store_error, unless_damaged};
use super::queues::QueueBounds;
use super::summary::RocketMqSummary;
use crate::brokers::rocketmq::logs;
use crate::brokers::rocketmq::replay::{ProgressSample, QueueOffsets, RocketMqBatch};
use crate::brokers::rocketmq::store::StoreDirectory;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::rows::DayRule;
use crate::stream::{Batch, encode};

impl Lake {
    /// Adds the sample of a store, unless it is already stored.
    pub(super) async fn import_sample(
        &self,
        store: &Arc<StoreDirectory>,
        broker: &str,
        offsets: QueueOffsets,
        now: DateTime<Utc>,
        summary: &mut RocketMqSummary,
    ) -> Result<()> {
        let stream = logs::stream(broker, logs::SAMPLES);
        let mut positions = self.positions(&stream).await?;
        let Some(position) = positions.first_mut() else { return Ok(()) };
        let (store, name, settings) = (store.clone(), broker.to_owned(), self.settings.clone());
        let days = DayRule::default();
        let known = position.position;
        let last = match known {
            Some(known) => self.state(&stream, known).await?,
            None => Bytes::new(),
        };
        let sampled = tokio::task::spawn_blocking(move || {
            let Some(time_ms) = time_of(&store, &offsets, now.timestamp_millis()) else { return Ok(None) };
            let to = u64::try_from(time_ms).unwrap_or(0);
            if known.is_some_and(|known| known >= to) {
                return Ok(None);
            }
            let (batch, digest) = sample(&store, &offsets, time_ms)?;
            if last == digest {
                // a copy of the same directory
                return Ok(None);
            }
            Ok::<_, Error>(Some((
                encode(batch.progress_rows(), &batch.context(&name), &settings, &days)?,
                to,
                digest,
            )))
        })
        .await??;
        let Some((encoded, to, digest)) = sampled else { return Ok(()) };
        self.put_state(&stream, to, digest).await?;
        if self.commit_encoded(encoded, &stream, position, to).await? {
            summary.commits += 1;
        }
        self.drop_states_below(&stream, to).await
    }
}

/// When the store was last written: the time of its file of offsets, but not before its newest record. A record that is
/// ahead of this machine's clock counts as written now: otherwise no later sample would count beside it.
fn time_of(store: &StoreDirectory, offsets: &QueueOffsets, now_ms: i64) -> Option<i64> {
    let written = std::fs::metadata(store.root().join("config/consumerOffset.json"))
        .and_then(|metadata| metadata.modified())
        .ok()
        .and_then(|time| i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok());
    written.max(offsets.last_stored.map(|stored| stored.min(now_ms)))
}

/// The sample, and a digest of its content without its time.
fn sample(store: &StoreDirectory, offsets: &QueueOffsets, time_ms: i64) -> Result<(RocketMqBatch, Bytes)> {
    let (mut batch, mut digest) = (RocketMqBatch::default(), Md5::new());
    let mut push = |row: ProgressSample<'_>| {
        digest.update(format!("{row:?}", row = ProgressSample { time_ms: 0, ..row }));
        batch.progress(&row);
    };
    for queue in QueueBounds::read(store).map_err(store_error)?.queues {
        let next = offsets.get(&queue.topic, queue.queue_id).map_or(queue.first, |place| place.next);
        push(ProgressSample {
            topic: &queue.topic,
            group: None,
            queue_id: queue.queue_id,
            time_ms,
            consumer_offset: None,
            min_offset: Some(queue.first.min(next)),
            max_offset: Some(next.max(queue.first)),
        });
    }
    for progress in unless_damaged(store.consumer_offsets())?.unwrap_or_default().groups {
        for (queue_id, next) in &progress.next_offsets {
            push(ProgressSample {
                topic: &progress.topic,
                group: Some(&progress.group),
                queue_id: *queue_id,
                time_ms,
                consumer_offset: Some(*next),
                min_offset: None,
                max_offset: None,
            });
        }
    }
    let digest: [u8; 16] = digest.finalize().into();
    Ok((batch, Bytes::copy_from_slice(&digest)))
}
