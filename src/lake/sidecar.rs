//! Small objects beside the tables: what each broker group was read from, and the states of streams.
//!
//! A sidecar is written before the commit that relies on it. A state has its position in its name and is never
//! rewritten with other content, so a crash before the commit leaves only an unused object.

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};

use super::stream::{Gap, Log, StreamId};
use super::{Lake, paths};
use crate::error::{Error, Result};

/// The sources of a broker group's rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamInfo {
    /// Value of the column `system`.
    pub system: String,
    /// Broker group.
    pub broker_group: String,
    /// Name of the log that messages are read from. It never changes, since offsets of different logs cannot be compared.
    pub messages_from: String,
    /// Ranges that the broker no longer had when they were requested.
    #[serde(default)]
    pub gaps: Vec<Gap>,
    /// Ends of the log that were read and that the broker has since lost and overwritten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<Replaced>,
    /// An operator is moving a position; no server may follow until that is done.
    #[serde(default)]
    pub seeking: bool,
}

/// An end of a log that was read, and that the broker has since lost and overwritten with other records. The rows stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// The stream.
    pub stream: String,
    /// Offset from which the log has other records.
    pub from: u64,
    /// Offset up to which it had been read.
    pub to: u64,
    /// Queues that lost messages, as far as they were counted; empty if the whole log was replaced.
    pub queues: Vec<LostQueue>,
}

/// A range of queue offsets that a broker lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostQueue {
    /// Topic.
    pub topic: String,
    /// Queue.
    pub queue_id: i32,
    /// First lost offset.
    pub from: i64,
    /// Offset after the last lost one.
    pub to: i64,
}

impl Replaced {
    /// Messages that the broker lost; `None` if that was not counted.
    #[must_use]
    pub fn messages(&self) -> Option<i64> {
        (!self.queues.is_empty()).then(|| self.queues.iter().map(|queue| queue.to - queue.from).sum())
    }
}

impl StreamInfo {
    /// A broker group from which nothing was read yet.
    #[must_use]
    pub fn new(system: &str, broker_group: &str, messages_from: Log) -> StreamInfo {
        StreamInfo {
            system: system.to_owned(),
            broker_group: broker_group.to_owned(),
            messages_from: messages_from.name().to_owned(),
            gaps: Vec::new(),
            replaced: Vec::new(),
            seeking: false,
        }
    }
}

impl Lake {
    /// The sources of a broker group; `None` if nothing was read from it yet.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn stream_info(&self, system: &str, broker_group: &str) -> Result<Option<StreamInfo>> {
        let path = paths::stream_sidecar(&self.store.root, system, broker_group);
        match self.store.objects.get(&path).await {
            Ok(found) => Ok(Some(parse(&path, &found.bytes().await?)?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(Error::store(format!("reading {path}"), error)),
        }
    }

    /// Stores the sources of a broker group.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn put_stream_info(&self, info: &StreamInfo) -> Result<()> {
        let path = paths::stream_sidecar(&self.store.root, &info.system, &info.broker_group);
        let text = serde_json::to_vec_pretty(info)
            .map_err(|error| Error::Invariant(format!("stream description: {error}")))?;
        self.store.put_durably(&path, Bytes::from(text)).await
    }

    /// The sources of a broker group; the first call for a group stores `new`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn stream_info_or(&self, new: StreamInfo) -> Result<StreamInfo> {
        if let Some(info) = self.stream_info(&new.system, &new.broker_group).await? {
            return Ok(info);
        }
        self.put_stream_info(&new).await?;
        Ok(new)
    }

    /// Records that a broker lost the end of its log.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn note_replaced(&self, system: &str, broker: &str, replaced: Replaced) -> Result<()> {
        if let Some(mut info) = self.stream_info(system, broker).await?
            && !info.replaced.contains(&replaced)
        {
            info.replaced.push(replaced);
            self.put_stream_info(&info).await?;
        }
        Ok(())
    }

    /// All broker groups.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn streams(&self) -> Result<Vec<StreamInfo>> {
        let mut streams = Vec::new();
        let folder = paths::streams_folder(&self.store.root);
        let objects: Vec<_> = self.store.objects.list(Some(&folder)).try_collect().await?;
        for object in objects {
            let bytes = self.store.objects.get(&object.location).await?.bytes().await?;
            streams.push(parse(&object.location, &bytes)?);
        }
        streams.sort_by(|a, b| (&a.system, &a.broker_group).cmp(&(&b.system, &b.broker_group)));
        Ok(streams)
    }

    /// The stored state from which replay continues at a position of a stream.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Invariant`] if there is none, since every commit of such a stream has one.
    pub async fn state(&self, stream: &StreamId, position: u64) -> Result<Bytes> {
        let path = paths::state(&self.store.root, stream, position);
        match self.store.objects.get(&path).await {
            Ok(found) => Ok(found.bytes().await?),
            Err(object_store::Error::NotFound { .. }) => Err(Error::Invariant(format!(
                "the {} {path} is missing; {stream} cannot go on after it. Import into a new data root",
                stream.log.0.state.as_ref().map_or("state", |state| state.name)
            ))),
            Err(error) => Err(Error::store(format!("reading {path}"), error)),
        }
    }

    /// Stores a state.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn put_state(&self, stream: &StreamId, position: u64, state: Bytes) -> Result<()> {
        self.store.put_durably(&paths::state(&self.store.root, stream, position), state).await
    }

    /// Deletes states below `position`, which every table has passed.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn drop_states_below(&self, stream: &StreamId, position: u64) -> Result<()> {
        self.drop_below(&paths::state_folder(&self.store.root, stream), position).await
    }

    /// The stored description of what was read of a log up to a position; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn seen(&self, stream: &StreamId, position: u64) -> Result<Option<Bytes>> {
        let path = paths::seen(&self.store.root, stream, position);
        match self.store.objects.get(&path).await {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(Error::store(format!("reading {path}"), error)),
        }
    }

    /// Stores a description of what was read of a log up to a position, and deletes those of lower positions.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn put_seen(&self, stream: &StreamId, position: u64, seen: Bytes) -> Result<()> {
        self.store.put_durably(&paths::seen(&self.store.root, stream, position), seen).await?;
        self.drop_below(&paths::seen_folder(&self.store.root, stream), position).await
    }

    async fn drop_below(&self, folder: &object_store::path::Path, position: u64) -> Result<()> {
        let objects: Vec<_> = self.store.objects.list(Some(folder)).try_collect().await?;
        for object in objects {
            if paths::state_position(&object.location).is_some_and(|known| known < position) {
                self.store.objects.delete(&object.location).await?;
            }
        }
        Ok(())
    }
}

fn parse(path: &object_store::path::Path, bytes: &[u8]) -> Result<StreamInfo> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::Invariant(format!("{path} is not a stream description: {error}")))
}
