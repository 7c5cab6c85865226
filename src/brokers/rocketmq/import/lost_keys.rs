//! Keys of messages that have left the commit log but are still in index files.
//!
//! An entry has a hash of topic and key, an offset, and a time in whole seconds. Only entries below the start of the
//! log that no import had before are stored, once. Index files are written in the order of the log, so the stream's
//! position is an offset: a commit covers the entries below it, and memory holds one commit.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::errors::store_error;
use super::summary::RocketMqSummary;
use crate::brokers::rocketmq::format::index_file::{IndexFile, Layout};
use crate::brokers::rocketmq::logs;
use crate::brokers::rocketmq::replay::{QueueOffsets, RocketMqBatch, lost_key_text};
use crate::brokers::rocketmq::store::StoreDirectory;
use crate::brokers::rocketmq::store::log::{CommitLog, Item, WalkOptions};
use crate::codec::host::Host;
use crate::codec::offset_id::OffsetId;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::lake::schema::MESSAGE_KEY;
use crate::rows::{BatchContext, DayRule, Rows};
use crate::stream::{Batch, Flushes, LogReader};

impl Lake {
    /// Adds the keys of records that were gone before any import.
    pub(super) async fn import_lost_keys(
        &self,
        store: &Arc<StoreDirectory>,
        broker: &str,
        config: &Config,
        summary: &mut RocketMqSummary,
    ) -> Result<()> {
        let stream = logs::stream(broker, logs::KEY_INDEX);
        let read = logs::stream(broker, logs::COMMIT_LOG);
        let imported = match self.table(&MESSAGE_KEY)?.position(&read).await? {
            Some(position) => {
                let offsets = QueueOffsets::from_bytes(&self.state(&read, position).await?)?;
                offsets.trail.offset(position)
            }
            None => 0,
        };
        let mut tables = self.positions(&stream).await?;
        let known = tables.first().and_then(|table| table.position).unwrap_or(0);
        let reader = LostKeysReader {
            store: store.clone(),
            from: imported.max(known),
            most: config.import.index_entries,
        };
        let imported = self.import_log(reader, &stream, &mut tables, &DayRule::default()).await?;
        summary.commits += imported.commits;
        summary.lost_keys += imported.outcome;
        Ok(())
    }
}

/// Keys alone.
struct LostKeys(RocketMqBatch);

impl Batch for LostKeys {
    fn tables(&self) -> Vec<Box<dyn Rows + '_>> {
        vec![Box::new(self.0.key_rows())]
    }

    fn context<'a>(&'a self, broker: &'a str) -> BatchContext<'a> {
        self.0.context(broker)
    }
}

/// Collects the entries between `from` and the start of the log, about `most` at a time.
struct LostKeysReader {
    store: Arc<StoreDirectory>,
    from: u64,
    most: usize,
}

impl LogReader for LostKeysReader {
    /// Entries.
    type Outcome = u64;

    fn read(self, flushes: &Flushes) -> Result<u64> {
        gather(&self.store, self.from, self.most, flushes)
    }
}

fn gather(store: &StoreDirectory, from: u64, most: usize, flushes: &Flushes) -> Result<u64> {
    let log = CommitLog::open(store.commit_log_directories()).map_err(input(store))?;
    let Some(start) = log.start_of_log().filter(|start| *start > from) else { return Ok(0) };
    let Some(host) = store_host(&log).map_err(input(store))? else { return Ok(0) };
    let number = |offset: u64| i64::try_from(offset).unwrap_or(i64::MAX);
    let mut left: Range<i64> = number(from)..number(start);
    let mut batch = RocketMqBatch::default();
    let mut seen: HashSet<(u32, i64)> = HashSet::new();
    let (mut newest, mut entries) = (left.start, 0);
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
            // the entries of a record stay together; entries that a broker added again after a crash were read before
            if seen.len() >= most && item.physical_offset > newest && item.physical_offset < left.end {
                let full = std::mem::take(&mut batch);
                entries += seen.len() as u64;
                seen.clear();
                let to = u64::try_from(newest).unwrap_or(0).saturating_add(1);
                left.start = newest.saturating_add(1);
                flushes.send(Box::new(LostKeys(full)), None, to)?;
            }
            if left.contains(&item.physical_offset) && seen.insert((item.key_hash, item.physical_offset)) {
                newest = newest.max(item.physical_offset);
                let id = OffsetId { host, offset: item.physical_offset }.to_string();
                batch.lost_key(&lost_key_text(item.key_hash), &id, item.store_time_ms);
            }
        }
    }
    flushes.send(Box::new(LostKeys(batch)), None, start)?;
    Ok(entries + seen.len() as u64)
}

/// The address that the broker writes into its records.
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
