//! One Delta table: its snapshot, its stream positions, its commits.
//!
//! The `deltalake` crate implements the Delta log (protocol, conflicts, checkpoints). This file adds the rule
//! that a commit is *files plus positions*:
//!
//! **EXACTLY-ONCE**: a commit that moves a stream from `from` to `to` is only made on a snapshot in which
//! the stream stands at `from`, and only as the snapshot's direct successor. So each range of a log
//! enters a table once, whatever crashes and whoever races.
//!
//! **BESIDE**: where two streams bring rows of the same log (import and following of one broker), a commit of
//! one is made only while the other stands where it stood when the rows were read. So one of two writers loses, and
//! has to read again with what the other has committed.
//!
//! **FRESH**: a commit only names files that were stored less than half of `lake.leftover_age` ago. So a file that
//! is older than `lake.leftover_age` and that no commit names will never be named, and may be deleted.
//!
//! No lock is held during calls to the store, with one exception: appends of one process wait for each other. Merging
//! and retention do not take that lock, so they never delay a commit of rows.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use deltalake::DeltaTable;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Remove, StructField, Transaction};
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;

use super::file::LakeFile;
use super::schema::{DAY_COLUMN, TableDef};
use super::store::Store;
use super::stream::{Move, StreamId};
use crate::config;
use crate::error::{Error, Result};

/// Value of `in_doubt` if every known commit is on disk.
const NONE_IN_DOUBT: u64 = u64::MAX;

/// A table of the lake.
pub struct Table {
    /// What it holds.
    pub def: &'static TableDef,
    /// Its folder inside the store.
    pub folder: Path,
    log: LogStoreRef,
    store: Store,
    may_create: bool,
    /// Maximum age of the files of a commit: FRESH.
    freshness: chrono::Duration,
    /// The newest known state; never locked during a call to the store.
    known: Mutex<Option<DeltaTable>>,
    /// Held while the table is opened for the first time.
    opening: tokio::sync::Mutex<()>,
    /// Held during an append, so that appends of one process do not race.
    commit_lock: tokio::sync::Mutex<()>,
    /// First version that exists although its write returned an error, so it may not be on disk yet.
    in_doubt: AtomicU64,
}

/// The files of a table at one version.
#[derive(Debug)]
pub struct Snapshot {
    /// What the table holds.
    pub def: &'static TableDef,
    /// Delta version.
    pub version: u64,
    /// Live files.
    pub files: Vec<Arc<LakeFile>>,
    /// Positions of the requested streams; a stream without a commit in this table is missing.
    pub positions: HashMap<StreamId, u64>,
}

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log.
    Committed,
    /// Another writer has moved the stream; nothing was committed.
    Moved,
    /// The stream that brings rows of the same log has moved; nothing was committed.
    BesideMoved,
    /// The files were stored too long ago (FRESH); nothing was committed. They have to be stored again, under new names.
    Stale,
}

/// Position of the other stream of BESIDE when the rows of a commit were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// The stream.
    pub stream: StreamId,
    /// Its position; `None` before its first commit.
    pub position: Option<u64>,
}

/// Files that the log names.
pub(super) struct Named {
    /// Files of the newest version.
    pub(super) live: HashSet<String>,
    /// Removed files, with the time of their removal.
    pub(super) removed: HashMap<String, Option<DateTime<Utc>>>,
}

/// What a commit does, and what has to hold for it.
struct Commit<'a> {
    actions: Vec<Action>,
    moves: &'a [Move],
    beside: Option<&'a Beside>,
    operation: DeltaOperation,
    /// Files that it adds.
    new: &'a [LakeFile],
    /// Files that have to be live.
    old: &'a [Arc<LakeFile>],
}

impl Table {
    /// The table, without a call to the store: it is opened at its first use. A table that does not exist is created
    /// then if `may_create`, and is an error otherwise.
    ///
    /// # Errors
    /// [`Error::Config`] if the store's URL cannot hold it.
    pub fn new(
        store: &Store,
        def: &'static TableDef,
        may_create: bool,
        settings: &config::Lake,
    ) -> Result<Table> {
        let folder = store.table_folder(def.name);
        let url = store
            .url
            .join(&format!("{}/", def.name))
            .map_err(|error| Error::Config(format!("data: {error}")))?;
        let prefixed: Arc<dyn ObjectStore> =
            Arc::new(PrefixStore::new(store.objects.clone(), folder.clone()));
        let log = default_logstore(prefixed, store.objects.clone(), &url, &StorageConfig::default());
        Ok(Table {
            def,
            folder,
            log,
            store: store.clone(),
            may_create,
            freshness: chrono::Duration::from_std(settings.leftover_age / 2).unwrap_or(chrono::Duration::MAX),
            known: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            commit_lock: tokio::sync::Mutex::default(),
            in_doubt: AtomicU64::new(NONE_IN_DOUBT),
        })
    }

    /// Opens the table, unless it is open.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::NoData`] if it does not exist and must not be created.
    pub async fn open(&self) -> Result<()> {
        if self.known().is_some() {
            return Ok(());
        }
        let _opening = self.opening.lock().await;
        if self.known().is_some() {
            return Ok(());
        }
        if self.may_create {
            self.store.check_refuses_taken_names().await?;
        }
        let mut delta = DeltaTable::new(self.log.clone());
        if self.log.is_delta_table_location().await? {
            delta.load().await?;
            let missing = missing_columns(&delta, self.def)?;
            if self.may_create && !missing.is_empty() {
                // an older version created the table; new columns read as null in its files
                delta = delta.add_columns().with_fields(missing).await?;
            }
        } else if self.may_create {
            delta = create(self.log.clone(), self.def).await?;
        } else {
            return Err(Error::NoData(format!(
                "there is no data at {}, or it lacks table `{}` because an older version made it; run `mqlake import`, \
                 which adds what is missing, or pass another --data",
                self.store.url, self.def.name
            )));
        }
        self.keep(&delta);
        Ok(())
    }

    fn known(&self) -> Option<DeltaTable> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps a state as the newest known one, unless a newer one is known.
    fn keep(&self, delta: &DeltaTable) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|known| known.version() < delta.version()) {
            *known = Some(delta.clone());
        }
    }

    /// The newest state in the store.
    async fn newest(&self) -> Result<DeltaTable> {
        self.open().await?;
        let mut delta = self.known().unwrap_or_else(|| DeltaTable::new(self.log.clone()));
        delta.update_state().await?;
        self.keep(&delta);
        Ok(delta)
    }

    /// Reads new commits and returns the live files.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Invariant`] if the log holds entries that mqlake did not write.
    pub async fn refresh(&self) -> Result<Snapshot> {
        self.refresh_with(&[]).await
    }

    /// As [`Table::refresh`], with the positions of some streams at the same version.
    ///
    /// # Errors
    /// As [`Table::refresh`].
    pub async fn refresh_with(&self, streams: &[StreamId]) -> Result<Snapshot> {
        let delta = self.newest().await?;
        let state = delta.snapshot()?;
        let files = state
            .log_data()
            .iter()
            .map(|view| LakeFile::from_log(self.def, &view).map(Arc::new))
            .collect::<Result<Vec<_>>>()?;
        let version = state.version();
        let mut positions = HashMap::with_capacity(streams.len());
        for stream in streams {
            if let Some(position) = self.position_in(&delta, stream).await? {
                positions.insert(stream.clone(), position);
            }
        }
        Ok(Snapshot { def: self.def, version, files, positions })
    }

    /// Number of the newest version in the store; its commits are not read.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn latest_version(&self) -> Result<u64> {
        self.open().await?;
        let known = self.known().and_then(|delta| delta.version()).unwrap_or(0);
        Ok(self.log.get_latest_version(known).await?)
    }

    /// Position of a stream in the newest snapshot: the offset of the first byte not yet in the table.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn position(&self, stream: &StreamId) -> Result<Option<u64>> {
        let delta = self.newest().await?;
        self.position_in(&delta, stream).await
    }

    async fn position_in(&self, delta: &DeltaTable, stream: &StreamId) -> Result<Option<u64>> {
        let version = delta.snapshot()?.transaction_version(&self.log, stream.application_id()).await?;
        Ok(version.and_then(|v| u64::try_from(v).ok()))
    }

    /// The files that the newest version and its history name.
    pub(super) async fn named(&self) -> Result<Named> {
        let delta = self.newest().await?;
        let state = delta.snapshot()?;
        let live = state.log_data().iter().map(|view| view.path().into_owned()).collect();
        let removed = self.removed(&delta).await?;
        Ok(Named { live, removed })
    }

    async fn removed(&self, delta: &DeltaTable) -> Result<HashMap<String, Option<DateTime<Utc>>>> {
        let state = delta.snapshot()?;
        let tombstones = state.all_tombstones(&self.log).map_ok(|removed| {
            let at = removed.deletion_timestamp().and_then(DateTime::from_timestamp_millis);
            (removed.path().into_owned(), at)
        });
        Ok(tombstones.try_collect().await?)
    }

    /// Adds files and moves streams, in one commit.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Conflict`] after `attempts` lost races.
    pub async fn append(&self, files: &[LakeFile], moves: &[Move], attempts: usize) -> Result<Outcome> {
        self.append_beside(files, moves, None, attempts).await
    }

    /// As [`Table::append`], on the condition that another stream has not moved: BESIDE.
    ///
    /// # Errors
    /// As [`Table::append`].
    pub async fn append_beside(
        &self,
        files: &[LakeFile],
        moves: &[Move],
        beside: Option<&Beside>,
        attempts: usize,
    ) -> Result<Outcome> {
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(vec![DAY_COLUMN.to_owned()]),
            predicate: None,
        };
        let now = self.store.now().timestamp_millis();
        let actions = files.iter().map(|file| Action::Add(file.to_add(self.def, now))).collect();
        let _commit_lock = self.commit_lock.lock().await;
        self.commit(Commit { actions, moves, beside, operation, new: files, old: &[] }, attempts).await
    }

    /// Replaces files by others with the same rows, in one commit.
    ///
    /// # Errors
    /// As [`Table::append`]. [`Outcome::Moved`] means that the table no longer has one of the old files.
    pub async fn replace(&self, old: &[Arc<LakeFile>], new: &[LakeFile], attempts: usize) -> Result<Outcome> {
        let now = self.store.now().timestamp_millis();
        let mut actions: Vec<Action> = Vec::with_capacity(old.len() + new.len());
        for file in new {
            let mut add = file.to_add(self.def, now);
            add.data_change = false;
            actions.push(Action::Add(add));
        }
        actions.extend(old.iter().map(|file| remove_action(file, self.def, now, false)));
        let operation = DeltaOperation::Optimize { predicate: None, target_size: 0 };
        self.commit(Commit { actions, moves: &[], beside: None, operation, new, old }, attempts).await
    }

    /// Drops files with their rows, in one commit.
    ///
    /// # Errors
    /// As [`Table::append`]. [`Outcome::Moved`] means that the table no longer has one of the files.
    pub async fn expire(&self, old: &[Arc<LakeFile>], attempts: usize) -> Result<Outcome> {
        let now = self.store.now().timestamp_millis();
        let actions = old.iter().map(|file| remove_action(file, self.def, now, true)).collect();
        let operation = DeltaOperation::Delete { predicate: None };
        self.commit(Commit { actions, moves: &[], beside: None, operation, new: &[], old }, attempts).await
    }

    async fn commit(&self, commit: Commit<'_>, attempts: usize) -> Result<Outcome> {
        for _ in 0..attempts {
            let delta = self.newest().await?;
            let before = delta.version().unwrap_or(0);
            if let Some(outcome) = self.hindrance(&delta, &commit).await? {
                return Ok(outcome);
            }
            match self.attempt(&delta, &commit).await {
                Ok(()) => {
                    // the commit stands, even if it cannot be read back now
                    let _ = self.newest().await;
                    return Ok(Outcome::Committed);
                }
                Err(error) => {
                    if self.log.get_latest_version(before).await? == before {
                        // nobody has committed since, so this was no lost race: the store failed
                        return Err(error);
                    }
                    self.in_doubt.fetch_min(before + 1, Ordering::Relaxed);
                    let delta = self.newest().await?;
                    // this commit may have succeeded: its answer was lost, or the checkpoint after it failed
                    if self.is_committed(&delta, &commit).await? {
                        tracing::warn!(table = self.def.name, %error, "committed despite an error");
                        return Ok(Outcome::Committed);
                    }
                }
            }
        }
        Err(Error::Conflict { table: self.def.name.to_owned(), attempts })
    }

    /// The outcome of a commit that must not be made on this state; `None` if it may be made.
    async fn hindrance(&self, delta: &DeltaTable, commit: &Commit<'_>) -> Result<Option<Outcome>> {
        for stream_move in commit.moves {
            if self.position_in(delta, &stream_move.stream).await? == stream_move.from {
                continue;
            }
            // an earlier attempt may have succeeded while the store's answer was lost
            let is_own = self.is_committed(delta, commit).await?;
            return Ok(Some(if is_own { Outcome::Committed } else { Outcome::Moved }));
        }
        if let Some(beside) = commit.beside
            && self.position_in(delta, &beside.stream).await? != beside.position
        {
            return Ok(Some(Outcome::BesideMoved));
        }
        if !commit.old.is_empty() {
            let live: HashSet<String> =
                delta.snapshot()?.log_data().iter().map(|view| view.path().into_owned()).collect();
            if commit.old.iter().any(|file| !live.contains(&file.path)) {
                return Ok(Some(Outcome::Moved));
            }
        }
        let now = self.store.now();
        let is_stale = commit.new.iter().any(|file| !file.is_fresh(now, self.freshness));
        Ok(is_stale.then_some(Outcome::Stale))
    }

    /// One commit on a state, as its direct successor.
    async fn attempt(&self, delta: &DeltaTable, commit: &Commit<'_>) -> Result<()> {
        let transactions = commit
            .moves
            .iter()
            .map(|m| Transaction::new(m.stream.application_id(), i64::try_from(m.to).unwrap_or(i64::MAX)))
            .collect();
        let builder: CommitBuilder = CommitProperties::default()
            // the library's conflict resolution would accept a position a second time
            .with_max_retries(0)
            .with_application_transactions(transactions)
            .into();
        builder
            .with_actions(commit.actions.clone())
            .build(Some(delta.snapshot()?), self.log.clone(), commit.operation.clone())
            .await?;
        Ok(())
    }

    /// Whether the log already holds a commit. A file of it is the proof, since names are never used twice; it may
    /// have been merged since, so removed files count, too. For a commit without files, and so without rows, the
    /// positions are enough.
    async fn is_committed(&self, delta: &DeltaTable, commit: &Commit<'_>) -> Result<bool> {
        let is_there = match commit.new.first() {
            Some(file) => {
                let is_live = delta.snapshot()?.log_data().iter().any(|view| view.path() == file.path);
                is_live || self.removed(delta).await?.contains_key(&file.path)
            }
            None if commit.moves.is_empty() => false,
            None => {
                let mut are_there = true;
                for stream_move in commit.moves {
                    let position = self.position_in(delta, &stream_move.stream).await?;
                    are_there &= position == Some(stream_move.to);
                }
                are_there
            }
        };
        if is_there {
            self.force_what_is_in_doubt(delta).await?;
        }
        Ok(is_there)
    }

    /// Forces commits to disk whose write returned an error although they exist.
    async fn force_what_is_in_doubt(&self, delta: &DeltaTable) -> Result<()> {
        let first = self.in_doubt.load(Ordering::Relaxed);
        let newest = delta.version().unwrap_or(0);
        for version in first..=newest {
            let name = format!("{version:020}.json");
            self.store.force(&self.folder.clone().join("_delta_log").join(name)).await?;
        }
        let _ = self.in_doubt.compare_exchange(first, NONE_IN_DOUBT, Ordering::Relaxed, Ordering::Relaxed);
        Ok(())
    }
}

fn remove_action(file: &LakeFile, def: &TableDef, now_ms: i64, data_change: bool) -> Action {
    let add = file.to_add(def, now_ms);
    Action::Remove(Remove {
        path: add.path,
        data_change,
        deletion_timestamp: Some(now_ms),
        extended_file_metadata: Some(true),
        partition_values: Some(add.partition_values),
        size: Some(add.size),
        tags: None,
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
    })
}

/// Columns that are missing in a table that an older version created.
fn missing_columns(delta: &DeltaTable, def: &'static TableDef) -> Result<Vec<StructField>> {
    let schema = delta.snapshot()?.schema();
    let known: Vec<&String> = schema.fields().map(StructField::name).collect();
    let is_missing = |field: &StructField| !known.contains(&field.name());
    Ok(def.delta_columns().into_iter().filter(is_missing).collect())
}

async fn create(log: LogStoreRef, def: &'static TableDef) -> Result<DeltaTable> {
    let properties: HashMap<String, Option<String>> = [
        ("delta.checkpointInterval", "50"),
        ("delta.logRetentionDuration", "interval 7 days"),
        ("delta.enableExpiredLogCleanup", "true"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), Some(value.to_owned())))
    .collect();
    let created = CreateBuilder::new()
        .with_log_store(log.clone())
        .with_table_name(def.name)
        .with_columns(def.delta_columns())
        .with_partition_columns([DAY_COLUMN])
        .with_configuration(properties)
        .with_save_mode(SaveMode::Ignore)
        .await;
    match created {
        Ok(table) => Ok(table),
        // two processes can create it at the same time: one wins, and both open it
        Err(error) => {
            let mut table = DeltaTable::new(log);
            table.load().await.map_err(|_| Error::from(error))?;
            Ok(table)
        }
    }
}
