//! From spool to hot rows: one thread per stream tails its spool, replays frames and makes rows visible.
//!
//! It decides when a commit is due and passes the cut to the flusher; it commits nothing itself. While the memory for
//! hot rows is used up it waits, and received frames stay in the spool.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::NaiveDate;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::commit::encode;
use super::cut::{Cut, HotBytes, HotShare, LARGE_ROWS};
use super::replay::{Pending, Replay};
use super::spool::SpoolReader;
use super::status::Board;
use super::wake::Wake;
use crate::config;
use crate::error::Result;
use crate::lake::schema::TableDef;
use crate::lake::{EncodedFile, Lake, LakeFile, Level, MergeKey, Owner, Run, StreamId, size_class};
use crate::query::{Catalog, HotFile};
use crate::rows::Rows;

/// Maximum rows of a hot file when it is published.
const PUBLISH_ROWS: usize = 256 * 1024;
/// Maximum bytes of ids and contents of a hot file when it is published.
const PUBLISH_BYTES: usize = 16 << 20;
/// Hot files of one size class at which they are merged.
const MERGE_FILES: usize = 8;
/// Compression level of files that are soon encoded again.
const HOT_ZSTD_LEVEL: i32 = 1;
/// Shortest wait for a notification before the spool is polled again.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
/// Pause while the memory for hot rows is used up.
const FULL_PAUSE: Duration = Duration::from_millis(50);

/// Replays one stream.
pub(super) struct Worker {
    pub(super) stream: StreamId,
    pub(super) owner: Owner,
    pub(super) replay: Box<dyn Replay>,
    pub(super) reader: SpoolReader,
    pub(super) lake: Arc<Lake>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) settings: config::Follow,
    pub(super) board: Arc<Board>,
    pub(super) hot: Arc<HotBytes>,
    pub(super) wake: Arc<Wake>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) cuts: mpsc::Sender<Cut>,
    pub(super) runtime: Handle,
}

/// What has been replayed since the last cut.
struct SinceCut {
    files: Vec<HotFile>,
    rows: u64,
    share: HotShare,
    began: Option<Instant>,
    to: Option<u64>,
}

impl Worker {
    /// Runs until a stop is requested and the spool is replayed to its end, or until the flusher has ended.
    ///
    /// # Errors
    /// Failures that make replay impossible: a spool that cannot be read, columns that do not fit.
    pub(super) fn run(mut self) -> Result<()> {
        let mut since = SinceCut::new(&self.hot);
        let mut published = Instant::now();
        loop {
            let is_stopping = self.stop.load(Ordering::Relaxed);
            if self.hot.used() >= usize_of(self.settings.hot_bytes) {
                // frames that are not replayed stay in the spool
                if !self.cut(&mut since, is_stopping)? || is_stopping {
                    return Ok(());
                }
                self.wake.wait(FULL_PAUSE);
                continue;
            }
            let frame = self.reader.next()?;
            let is_caught_up = frame.is_none();
            if let Some(frame) = frame {
                since.to = Some(frame.to);
                since.began.get_or_insert_with(Instant::now);
                self.board.unusable(self.stream.log.name(), self.replay.frame(&frame)?);
            }
            let is_full = self.replay.pending().reaches(PUBLISH_ROWS, PUBLISH_BYTES);
            if is_full || published.elapsed() >= self.settings.visible_every {
                self.publish(&mut since)?;
                published = Instant::now();
            }
            let ends = is_caught_up && is_stopping;
            if (ends || self.is_cut_due(&since)) && !self.cut(&mut since, ends)? {
                return Ok(());
            }
            if ends {
                return Ok(());
            }
            if is_caught_up {
                let left = self.settings.visible_every.saturating_sub(published.elapsed());
                self.wake.wait(left.max(SHORTEST_WAIT));
            }
        }
    }

    fn is_cut_due(&self, since: &SinceCut) -> bool {
        since.to.is_some()
            && (since.rows >= self.settings.flush_rows as u64
                || since.share.bytes >= usize_of(self.settings.flush_bytes)
                || since.began.is_some_and(|began| began.elapsed() >= self.settings.flush_every))
    }

    /// Makes the replayed rows visible.
    fn publish(&mut self, since: &mut SinceCut) -> Result<()> {
        let Some(to) = since.to else { return Ok(()) };
        let Pending { rows, .. } = self.replay.pending();
        if rows > 0 {
            let mut files = Vec::new();
            for (def, day, file) in self.encode()? {
                since.rows += file.stats.rows;
                since.share.set(since.share.bytes + file.bytes.len());
                let file = Arc::new(Lake::new_file(Level::Hot, day, &self.owner, file));
                files.push(HotFile { def, stream: self.stream.clone(), to, file });
            }
            since.files.extend(files.iter().cloned());
            self.runtime.block_on(self.catalog.publish(files, &[]));
            self.merge_small(since)?;
        }
        self.board.visible(self.stream.log.name(), to);
        Ok(())
    }

    /// Encodes all pending rows, one file per table and day.
    fn encode(&mut self) -> Result<Vec<(&'static TableDef, NaiveDate, EncodedFile)>> {
        let days = self.lake.days(self.lake.store.now());
        let batch = self.replay.take();
        let context = batch.context(&self.stream.broker_group);
        let mut files = Vec::new();
        for rows in batch.tables() {
            files.extend(encode(&*rows, &context, &fitting(&*rows, &self.lake.settings), &days)?.into_days());
        }
        Ok(files)
    }

    /// Merges small hot files, so that lookups read fewer files and the flusher has fewer to merge.
    fn merge_small(&mut self, since: &mut SinceCut) -> Result<()> {
        loop {
            let Some(alike) = alike(&since.files) else { return Ok(()) };
            let Some(first) = alike.first() else { return Ok(()) };
            let (def, day) = (first.def, first.file.day);
            let to = alike.iter().map(|hot| hot.to).max().unwrap_or(first.to);
            let runs: Vec<Run> = alike.iter().map(|hot| vec![hot.file.clone()]).collect();
            let table = self.lake.table(def)?.clone();
            let lake = self.lake.clone();
            let merged = self.runtime.block_on(async { lake.merge(&table, &runs)?.all().await })?;
            let before: usize = runs.iter().flatten().map(|file| bytes_in_memory(file)).sum();
            let new: Vec<HotFile> = merged
                .into_iter()
                .map(|file| {
                    let file = Arc::new(Lake::new_file(Level::Hot, day, &self.owner, file));
                    HotFile { def, stream: self.stream.clone(), to, file }
                })
                .collect();
            let after: usize = new.iter().map(|hot| bytes_in_memory(&hot.file)).sum();
            since.share.set(since.share.bytes.saturating_sub(before) + after);
            since.files.retain(|hot| !runs.iter().flatten().any(|source| Arc::ptr_eq(source, &hot.file)));
            since.files.extend(new.iter().cloned());
            self.runtime.block_on(self.catalog.publish(new, &alike));
        }
    }

    /// Passes a cut to the flusher. While the flusher is busy this waits only if `must_wait`, else the cut is left for
    /// later. `false` if the flusher has ended.
    fn cut(&mut self, since: &mut SinceCut, must_wait: bool) -> Result<bool> {
        if since.to.is_none() {
            return Ok(!self.cuts.is_closed());
        }
        let sender = self.cuts.clone();
        let permit = if must_wait {
            self.runtime.block_on(sender.reserve_owned()).ok()
        } else {
            match sender.try_reserve_owned() {
                Ok(permit) => Some(permit),
                Err(mpsc::error::TrySendError::Full(_)) => return Ok(true),
                Err(mpsc::error::TrySendError::Closed(_)) => None,
            }
        };
        let Some(permit) = permit else { return Ok(false) };
        self.publish(since)?;
        let state = self.replay.state()?;
        let all = std::mem::replace(since, SinceCut::new(&self.hot));
        if let Some(cut) = all.into_cut(state) {
            permit.send(cut);
        }
        Ok(true)
    }
}

impl SinceCut {
    fn new(hot: &Arc<HotBytes>) -> SinceCut {
        let share = HotShare { all: hot.clone(), bytes: 0 };
        SinceCut { files: Vec::new(), rows: 0, share, began: None, to: None }
    }

    fn into_cut(self, state: Option<Bytes>) -> Option<Cut> {
        Some(Cut { to: self.to?, files: self.files, state, _share: self.share })
    }
}

/// Small files of one table, day and size class, if there are enough of them to merge.
fn alike(files: &[HotFile]) -> Option<Vec<HotFile>> {
    let mut classes: std::collections::BTreeMap<(&str, MergeKey, u32), Vec<&HotFile>> = Default::default();
    for hot in files.iter().filter(|hot| hot.file.stats.rows < LARGE_ROWS) {
        let class = size_class(hot.file.stats.rows);
        let same = classes.entry((hot.def.name, hot.file.merge_key(hot.def), class)).or_default();
        same.push(hot);
        if same.len() >= MERGE_FILES {
            return Some(same.iter().map(|hot| (*hot).clone()).collect());
        }
    }
    None
}

/// Settings of a file that is soon merged into another: fast compression, small bloom filters.
fn fitting(rows: &dyn Rows, settings: &config::Lake) -> config::Lake {
    let mut fitting = settings.clone();
    if (rows.len() as u64) < LARGE_ROWS {
        fitting.zstd_level = HOT_ZSTD_LEVEL;
        fitting.row_group_rows = rows.len().max(64).next_power_of_two().min(settings.row_group_rows);
    }
    fitting
}

fn bytes_in_memory(file: &LakeFile) -> usize {
    file.bytes.as_ref().map_or(0, Bytes::len)
}

fn usize_of(size: bytesize::ByteSize) -> usize {
    usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
}
