//! Keys of messages that have left the commit log: what index files still tell of them.
//!
//! An entry has a hash of topic and key, an offset and a time to the second. Only entries below the start of the log
//! that no import had before are kept, once.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::commit::encode;
use super::{RocketMqSummary, store_error};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::schema::MESSAGE_KEY;
use crate::lake::{Lake, Log, StreamId};
use crate::replay::{RocketMqBatch, lost_key_text};
use crate::rocketmq::host::Host;
use crate::rocketmq::index_file::{IndexFile, Layout};
use crate::rocketmq::message_id::OffsetId;
use crate::source::rocketmq::log::{CommitLog, Item, WalkOptions};
use crate::source::rocketmq::store::StoreDirectory;

/// Entries gathered before a warning that only so many are kept.
const MOST_ENTRIES: usize = 50_000_000;

impl Lake {
    /// Adds the keys whose records were gone before any import.
    pub(super) async fn import_lost_keys(
        &self,
        store: &Arc<StoreDirectory>,
        broker: &str,
        _config: &Config,
        summary: &mut RocketMqSummary,
    ) -> Result<()> {
        let stream = StreamId::rocketmq(broker, Log::KeyIndex);
        let imported =
            self.table(&MESSAGE_KEY)?.position(&StreamId::rocketmq(broker, Log::CommitLog)).await?;
        let [mut position] = self.positions(&stream, [&MESSAGE_KEY]).await?;
        let from = imported.unwrap_or(0).max(position.position.unwrap_or(0));
        let found = {
            let store = store.clone();
            tokio::task::spawn_blocking(move || gather(&store, from)).await??
        };
        let Some((batch, entries, to)) = found else { return Ok(()) };
        summary.lost_keys = entries;
        let settings = self.settings.clone();
        let owner = broker.to_owned();
        let encoded = tokio::task::spawn_blocking(move || {
            let [.., keys] = batch.tables();
            encode(keys, &batch.context(&owner), &settings)
        })
        .await??;
        if self.commit_encoded(encoded, &stream, &mut position, to).await? {
            summary.commits += 1;
        }
        Ok(())
    }
}

/// The entries between `from` and the start of the log, with their number and that start.
fn gather(store: &StoreDirectory, from: u64) -> Result<Option<(RocketMqBatch, u64, u64)>> {
    let log = CommitLog::open(store.commit_log_directories()).map_err(input(store))?;
    let Some(start) = log.start_of_log().filter(|start| *start > from) else { return Ok(None) };
    let Some(host) = store_host(&log).map_err(input(store))? else { return Ok(None) };
    let range = i64::try_from(from).unwrap_or(i64::MAX)..i64::try_from(start).unwrap_or(i64::MAX);
    let mut batch = RocketMqBatch::default();
    let mut seen: HashSet<(u32, i64)> = HashSet::new();
    let mut layout: Option<Layout> = None;
    for file in store.index_files().map_err(store_error)? {
        let bytes = std::fs::read(&file.path).map_err(|error| Error::input(&file.path, error.to_string()))?;
        layout = Layout::detect(&bytes).or(layout);
        let Some(index) = layout.and_then(|layout| IndexFile::new(&bytes, layout).ok()) else {
            tracing::warn!(file = %file.path.display(), "no index file of a known layout; left out");
            continue;
        };
        if index.header().begin_offset >= range.end {
            break;
        }
        for item in index.items().filter(|item| range.contains(&item.physical_offset)) {
            if seen.len() >= MOST_ENTRIES {
                tracing::warn!("more than {MOST_ENTRIES} keys of removed messages; the rest is left out");
                break;
            }
            if seen.insert((item.key_hash, item.physical_offset)) {
                let id = OffsetId { host, offset: item.physical_offset }.to_string();
                batch.lost_key(&lost_key_text(item.key_hash), &id, item.store_time_ms);
            }
        }
    }
    Ok(Some((batch, seen.len() as u64, start)))
}

/// The address that the broker puts into its records.
fn store_host(log: &CommitLog) -> Result<Option<Host>, crate::source::rocketmq::log::Error> {
    let mut walker = log.walk(WalkOptions::default())?;
    while let Some(item) = walker.next()? {
        if let Item::Record { record, .. } = item {
            return Ok(Some(record.store_host));
        }
    }
    Ok(None)
}

fn input(store: &StoreDirectory) -> impl Fn(crate::source::rocketmq::log::Error) -> Error + '_ {
    |error| Error::input(store.root(), error.to_string())
}
