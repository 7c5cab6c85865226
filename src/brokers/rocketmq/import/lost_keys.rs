//! Keys of messages that have left the commit log: what index files still tell of them.
//!
//! An entry has a hash of topic and key, an offset and a time to the second. Only entries below the start of the log
//! that no import had before are kept, once. Index files are written in the order of the log, so the stream's position is
//! an offset: a commit covers the entries below it, and memory holds one commit.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::{RocketMqSummary, store_error};
use crate::brokers::rocketmq::format::host::Host;
use crate::brokers::rocketmq::format::index_file::{IndexFile, Layout};
use crate::brokers::rocketmq::format::message_id::OffsetId;
use crate::brokers::rocketmq::replay::{QueueOffsets, RocketMqBatch, lost_key_text};
use crate::brokers::rocketmq::store::StoreDirectory;
use crate::brokers::rocketmq::store::log::{CommitLog, Item, WalkOptions};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::schema::MESSAGE_KEY;
use crate::lake::{Lake, Log, StreamId};
use crate::rows::DayRule;
use crate::stream::encode;

/// Entries below an offset.
struct Gathered {
    batch: RocketMqBatch,
    entries: u64,
    to: u64,
}

impl Lake {
    /// Adds the keys whose records were gone before any import.
    pub(super) async fn import_lost_keys(
        &self,
        store: &Arc<StoreDirectory>,
        broker: &str,
        config: &Config,
        summary: &mut RocketMqSummary,
    ) -> Result<()> {
        let stream = StreamId::rocketmq(broker, Log::KeyIndex);
        let read = StreamId::rocketmq(broker, Log::CommitLog);
        let imported = match self.table(&MESSAGE_KEY)?.position(&read).await? {
            Some(position) => {
                let offsets = QueueOffsets::from_bytes(&self.state(&read, position).await?)?;
                offsets.trail.offset(position)
            }
            None => 0,
        };
        let [mut position] = self.positions(&stream, [&MESSAGE_KEY]).await?;
        let from = imported.max(position.position.unwrap_or(0));
        let most = config.import.index_entries;
        let (sender, mut batches) = mpsc::channel::<Gathered>(1);
        let gathering = {
            let store = store.clone();
            tokio::task::spawn_blocking(move || gather(&store, from, most, &sender))
        };
        let mut committing = Ok(());
        while let Some(gathered) = batches.recv().await {
            let (settings, owner) = (self.settings.clone(), broker.to_owned());
            let Gathered { batch, entries, to } = gathered;
            let job = move || {
                let [.., keys] = batch.tables();
                encode(keys, &batch.context(&owner), &settings, &DayRule::default())
            };
            committing = match tokio::task::spawn_blocking(job).await? {
                Ok(encoded) => self.commit_encoded(encoded, &stream, &mut position, to).await.map(|is_new| {
                    summary.commits += u64::from(is_new);
                    summary.lost_keys += entries;
                }),
                Err(error) => Err(error),
            };
            if committing.is_err() {
                break;
            }
        }
        drop(batches);
        let gathered = gathering.await?;
        committing?;
        gathered
    }
}

/// Gathers the entries between `from` and the start of the log, at most about so many at a time.
fn gather(store: &StoreDirectory, from: u64, most: usize, sender: &mpsc::Sender<Gathered>) -> Result<()> {
    let log = CommitLog::open(store.commit_log_directories()).map_err(input(store))?;
    let Some(start) = log.start_of_log().filter(|start| *start > from) else { return Ok(()) };
    let Some(host) = store_host(&log).map_err(input(store))? else { return Ok(()) };
    let number = |offset: u64| i64::try_from(offset).unwrap_or(i64::MAX);
    let mut left: Range<i64> = number(from)..number(start);
    let mut batch = RocketMqBatch::default();
    let mut seen: HashSet<(u32, i64)> = HashSet::new();
    let mut newest = left.start;
    let mut layout: Option<Layout> = None;
    for file in store.index_files().map_err(store_error)? {
        let bytes = std::fs::read(&file.path).map_err(|error| Error::input(&file.path, error.to_string()))?;
        layout = Layout::detect(&bytes).or(layout);
        let Some(index) = layout.and_then(|layout| IndexFile::new(&bytes, layout).ok()) else {
            tracing::warn!(file = %file.path.display(), "no index file of a known layout; left out");
            continue;
        };
        if index.header().begin_offset >= left.end {
            break;
        }
        for item in index.items() {
            // the entries of a record stay together; what a crash made a broker enter again was read before
            if seen.len() >= most && item.physical_offset > newest && item.physical_offset < left.end {
                let (full, entries) = (std::mem::take(&mut batch), seen.len() as u64);
                seen.clear();
                let to = u64::try_from(newest).unwrap_or(0).saturating_add(1);
                left.start = newest.saturating_add(1);
                send(sender, Gathered { batch: full, entries, to })?;
            }
            if left.contains(&item.physical_offset) && seen.insert((item.key_hash, item.physical_offset)) {
                newest = newest.max(item.physical_offset);
                let id = OffsetId { host, offset: item.physical_offset }.to_string();
                batch.lost_key(&lost_key_text(item.key_hash), &id, item.store_time_ms);
            }
        }
    }
    send(sender, Gathered { batch, entries: seen.len() as u64, to: start })
}

fn send(sender: &mpsc::Sender<Gathered>, gathered: Gathered) -> Result<()> {
    // the reader ends because the committer did; its error is the one to show
    let stopped = |_| Error::Invariant("reading stopped because committing failed".to_owned());
    sender.blocking_send(gathered).map_err(stopped)
}

/// The address that the broker puts into its records.
fn store_host(log: &CommitLog) -> Result<Option<Host>, crate::brokers::rocketmq::store::log::Error> {
    let mut walker = log.walk(WalkOptions::default())?;
    while let Some(item) = walker.next()? {
        if let Item::Record { record, .. } = item {
            return Ok(Some(record.store_host));
        }
    }
    Ok(None)
}

fn input(store: &StoreDirectory) -> impl Fn(crate::brokers::rocketmq::store::log::Error) -> Error + '_ {
    |error| Error::input(store.root(), error.to_string())
}
