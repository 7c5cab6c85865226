//! From hot rows to commits: one task per stream commits the cuts of its worker, and retries while the store fails.
//!
//! **SPOOL-BEFORE-COMMIT**: the frames that a commit covers are forced to the spool's disk before the first table is
//! committed. So after a power loss the spool still has a frame boundary at every position that a table names. Files get
//! their names before they are stored and keep them in every attempt, so that the next attempt overwrites what a failed
//! one has stored.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::NaiveDate;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::commit::TablePosition;
use super::cut::{Cut, LARGE_ROWS};
use super::pause::Backoff;
use super::spool::Spool;
use super::status::Board;
use crate::config;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::schema::TableDef;
use crate::lake::{EncodedFile, Lake, LakeFile, Log, Move, Outcome, Owner, Run, StreamId};
use crate::query::{Catalog, HotFile};
use crate::rows::DayRule;

/// Commits one stream.
pub(super) struct Flusher {
    pub(super) stream: StreamId,
    pub(super) owner: Owner,
    /// Tables in the order of commits, see [`crate::lake::LogDef::tables`].
    pub(super) tables: Vec<TablePosition>,
    pub(super) lake: Arc<Lake>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) spool: Arc<Mutex<Spool>>,
    pub(super) settings: config::Follow,
    pub(super) board: Arc<Board>,
    /// Cancelled when a stop no longer waits for a failing store.
    pub(super) give_up: CancellationToken,
}

impl Flusher {
    /// Commits cuts in their order, until the worker ends or a commit fails for good.
    ///
    /// # Errors
    /// Failures that another attempt cannot cure: another writer, tables that contradict themselves. After a stop, also the
    /// last failure.
    pub(super) async fn run(mut self, mut cuts: mpsc::Receiver<Cut>) -> Result<()> {
        while let Some(cut) = cuts.recv().await {
            let mut prepared: Option<Vec<Prepared>> = None;
            let mut backoff = Backoff::new(self.settings.retry_min, self.settings.retry_max);
            loop {
                match self.attempt_in_time(&cut, &mut prepared).await {
                    Ok(()) => break,
                    Err(error) if !is_transient(&error) => {
                        self.board.alarm(
                            alarm_name(self.stream.log),
                            format!("{error}; this stream is opened anew"),
                        );
                        return Err(error);
                    }
                    Err(error) => {
                        let pause = backoff.next();
                        self.board
                            .alarm(alarm_name(self.stream.log), format!("{error}; committing again soon"));
                        metrics::counter!("mqlake_follow_commit_failures_total").increment(1);
                        if !self.sleep(pause).await {
                            return Err(error);
                        }
                    }
                }
            }
            self.board.clear_alarm(&alarm_name(self.stream.log));
        }
        Ok(())
    }

    async fn sleep(&self, pause: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            () = self.give_up.cancelled() => false,
        }
    }

    /// One attempt, with the time limit `follow.commit_timeout` on storing and committing.
    async fn attempt_in_time(&mut self, cut: &Cut, prepared: &mut Option<Vec<Prepared>>) -> Result<()> {
        self.with_spool(Spool::sync).await?;
        // no time limit: an abandoned merge would continue beside its repetition
        let tables = match prepared {
            Some(tables) => tables,
            None => prepared.insert(self.prepare(cut).await?),
        };
        let most = self.settings.commit_timeout;
        match tokio::time::timeout(most, self.attempt(cut, tables)).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => {
                *prepared = None;
                Err(Error::store(
                    "committing",
                    "storing the files took longer than half of lake.leftover_age; they are stored anew",
                ))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => {
                Err(Error::store("committing", format!("no end after {most:?} (follow.commit_timeout)")))
            }
        }
    }

    /// Commits and makes the commit visible; `false` if files are too old to be committed: FRESH.
    async fn attempt(&mut self, cut: &Cut, tables: &mut [Prepared]) -> Result<bool> {
        if !self.commit(cut, tables).await? {
            return Ok(false);
        }
        self.catalog.refresh().await?;
        let to = cut.to;
        self.with_spool(move |spool| spool.remove_below(to).map(drop)).await?;
        self.board.committed(self.stream.log.name(), to, true);
        Ok(true)
    }

    async fn with_spool(&self, work: impl FnOnce(&mut Spool) -> Result<()> + Send + 'static) -> Result<()> {
        let spool = self.spool.clone();
        tokio::task::spawn_blocking(move || work(&mut spool.lock().unwrap_or_else(PoisonError::into_inner)))
            .await?
    }

    /// Merges small files and names all files.
    async fn prepare(&self, cut: &Cut) -> Result<Vec<Prepared>> {
        let mut prepared = Vec::with_capacity(self.tables.len());
        let rule = self.lake.days(self.lake.store.now());
        for position in &self.tables {
            let hot = cut.files.iter().filter(|hot| hot.def.name == position.def.name);
            let mut files = Vec::new();
            for ((day, _), hot) in by_day(position.def, hot.collect(), &rule) {
                for encoded in self.encoded(position, hot).await? {
                    let level = self.lake.level_for(position.def, encoded.stats.rows);
                    files.push(Lake::new_file(level, day, &self.owner, encoded));
                }
            }
            prepared.push(Prepared { files, is_done: false });
        }
        Ok(prepared)
    }

    /// The files of one table and day: large ones unchanged, small ones merged.
    async fn encoded(&self, position: &TablePosition, hot: Vec<&HotFile>) -> Result<Vec<EncodedFile>> {
        let (large, small): (Vec<_>, Vec<_>) =
            hot.into_iter().partition(|hot| hot.file.stats.rows >= LARGE_ROWS);
        let unchanged = if small.len() == 1 { [large, small.clone()].concat() } else { large };
        let mut encoded: Vec<EncodedFile> = unchanged.iter().filter_map(|hot| hot.file.encoded()).collect();
        if small.len() > 1 {
            let (lake, table) = (self.lake.clone(), self.lake.table(position.def)?.clone());
            let runs: Vec<Run> = small.iter().map(|hot| vec![hot.file.clone()]).collect();
            // merging would block a thread that answers requests
            let runtime = tokio::runtime::Handle::current();
            let merged = tokio::task::spawn_blocking(move || {
                runtime.block_on(async move { lake.merge(&table, &runs)?.all().await })
            });
            encoded.extend(merged.await??);
        }
        Ok(encoded)
    }

    async fn commit(&mut self, cut: &Cut, prepared: &mut [Prepared]) -> Result<bool> {
        if let Some(state) = &cut.state {
            self.lake.put_state(&self.stream, cut.to, state.clone()).await?;
        }
        for (position, prepared) in self.tables.iter_mut().zip(prepared.iter_mut()) {
            if prepared.is_done || position.position.is_some_and(|known| known >= cut.to) {
                continue;
            }
            let table = self.lake.table(position.def)?;
            for file in &mut prepared.files {
                self.lake.store(table, file).await?;
            }
            let moves = [Move { stream: self.stream.clone(), from: position.position, to: cut.to }];
            let (beside, attempts) = (position.rests_on(&self.stream), self.lake.settings.commit_attempts);
            match table.append_beside(&prepared.files, &moves, beside.as_ref(), attempts).await? {
                Outcome::Committed => {
                    position.position = Some(cut.to);
                    prepared.is_done = true;
                }
                Outcome::Moved => {
                    return Err(Error::Usage(format!(
                        "another process commits {} into table `{}`; one writer per broker group, please",
                        self.stream, position.def.name
                    )));
                }
                Outcome::BesideMoved => {
                    return Err(Error::Usage(format!(
                        "an import has brought messages of broker `{}` meanwhile; what it brought is left out",
                        self.stream.broker_group
                    )));
                }
                Outcome::Stale => return Ok(false),
            }
        }
        if cut.state.is_some() {
            self.lake.drop_states_below(&self.stream, cut.to).await?;
        }
        Ok(true)
    }
}

/// Hot files of a table by partition and whether they are strays. If there are too many days, the files of the rarest
/// are strays, too (see [`DayRule`]).
fn by_day<'a>(
    def: &TableDef,
    hot: Vec<&'a HotFile>,
    rule: &DayRule,
) -> BTreeMap<(NaiveDate, bool), Vec<&'a HotFile>> {
    let mut rows: HashMap<NaiveDate, u64> = HashMap::new();
    for hot in hot.iter().filter(|hot| !hot.file.is_stray(def)) {
        *rows.entry(hot.file.day).or_default() += hot.file.stats.rows;
    }
    let kept = rule.kept_of(&rows);
    let mut days: BTreeMap<(NaiveDate, bool), Vec<&HotFile>> = BTreeMap::new();
    for hot in hot {
        let is_stray = hot.file.is_stray(def) || !kept.contains(&hot.file.day);
        let day = if is_stray { rule.today().unwrap_or(hot.file.day) } else { hot.file.day };
        days.entry((day, is_stray)).or_default().push(hot);
    }
    days
}

/// The named files of one table; some may be stored already.
struct Prepared {
    files: Vec<LakeFile>,
    is_done: bool,
}

/// Whether another attempt can succeed.
fn is_transient(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Conflict)
}

fn alarm_name(log: Log) -> String {
    format!("committing {}", log.0.holds)
}

impl LakeFile {
    fn encoded(&self) -> Option<EncodedFile> {
        Some(EncodedFile { bytes: self.bytes.clone()?, stats: self.stats.clone() })
    }
}
