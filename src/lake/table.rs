//! One Delta table: its snapshot, its stream positions, its commits.
//!
//! The Delta log (protocol, conflicts, checkpoints) is the `deltalake` crate's; what is here is the rule
//! that a commit is *files plus positions*:
//!
//! **EXACTLY-ONCE**: a commit that moves a stream from `from` to `to` is only made on a snapshot in which
//! the stream stands at `from`, and only as the snapshot's direct successor. So each stretch of a log
//! enters a table once, whatever crashes and whoever races.

use std::collections::HashMap;
use std::sync::Arc;

use deltalake::DeltaTable;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Remove, StructField, Transaction};
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use tokio::sync::Mutex;

use super::file::LakeFile;
use super::schema::{DAY_COLUMN, TableDef};
use super::store::Store;
use super::stream::{Move, StreamId};
use crate::error::{Error, Result};

/// A table of the lake.
pub struct Table {
    /// What it holds.
    pub def: &'static TableDef,
    /// Its folder inside the store.
    pub folder: Path,
    log: LogStoreRef,
    store: Store,
    delta: Mutex<DeltaTable>,
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
    /// Positions of the streams that were asked for, as far as the table has any of them.
    pub positions: HashMap<StreamId, u64>,
}

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log.
    Committed,
    /// Another writer has moved the stream; nothing was committed.
    Moved,
}

impl Table {
    /// Opens the table; if there is none it is created, or refused.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::NoData`] if there is none and it shall not be created.
    pub async fn open(store: &Store, def: &'static TableDef, may_create: bool) -> Result<Table> {
        let folder = store.table_folder(def.name);
        let url = store
            .url
            .join(&format!("{}/", def.name))
            .map_err(|error| Error::Config(format!("data: {error}")))?;
        let prefixed: Arc<dyn ObjectStore> =
            Arc::new(PrefixStore::new(store.objects.clone(), folder.clone()));
        let log = default_logstore(prefixed, store.objects.clone(), &url, &StorageConfig::default());
        let mut delta = DeltaTable::new(log.clone());
        if log.is_delta_table_location().await? {
            delta.load().await?;
            let missing = missing_columns(&delta, def)?;
            if may_create && !missing.is_empty() {
                // made by an older version; in its files the new columns read as null
                delta = delta.add_columns().with_fields(missing).await?;
            }
        } else if may_create {
            delta = create(log.clone(), def).await?;
        } else {
            return Err(Error::NoData(format!(
                "there is no data at {}, or it lacks table `{}` because an older version made it; run `mqlake import`, \
                 which adds what is missing, or pass another --data",
                store.url, def.name
            )));
        }
        Ok(Table { def, folder, log, store: store.clone(), delta: Mutex::new(delta) })
    }

    /// Reads new commits and returns the live files.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Invariant`] if the log holds entries that mqlake did not write.
    pub async fn refresh(&self) -> Result<Snapshot> {
        self.refresh_with(&[]).await
    }

    /// As [`Table::refresh`], with the positions of some streams at the very same version.
    ///
    /// # Errors
    /// As [`Table::refresh`].
    pub async fn refresh_with(&self, streams: &[StreamId]) -> Result<Snapshot> {
        let mut delta = self.delta.lock().await;
        delta.update_state().await?;
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

    /// Newest version in the store, without reading it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn latest_version(&self) -> Result<u64> {
        let known = self.delta.lock().await.version().unwrap_or(0);
        Ok(self.log.get_latest_version(known).await?)
    }

    /// Position of a stream in the newest snapshot: the offset of the first byte not yet in the table.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn position(&self, stream: &StreamId) -> Result<Option<u64>> {
        let mut delta = self.delta.lock().await;
        delta.update_state().await?;
        self.position_in(&delta, stream).await
    }

    async fn position_in(&self, delta: &DeltaTable, stream: &StreamId) -> Result<Option<u64>> {
        let version = delta.snapshot()?.transaction_version(&self.log, stream.application_id()).await?;
        Ok(version.and_then(|v| u64::try_from(v).ok()))
    }

    /// Adds files and moves streams, in one commit.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Conflict`] after `attempts` lost races.
    pub async fn append(&self, files: &[LakeFile], moves: &[Move], attempts: usize) -> Result<Outcome> {
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(vec![DAY_COLUMN.to_owned()]),
            predicate: None,
        };
        let now = chrono::Utc::now().timestamp_millis();
        let actions: Vec<Action> = files.iter().map(|file| Action::Add(file.to_add(self.def, now))).collect();
        self.commit(actions, moves, operation, attempts, &[]).await
    }

    /// Replaces files by others with the same rows, in one commit.
    ///
    /// # Errors
    /// As [`Table::append`]. [`Outcome::Moved`] means that one of the old files is gone already.
    pub async fn replace(&self, old: &[Arc<LakeFile>], new: &[LakeFile], attempts: usize) -> Result<Outcome> {
        let now = chrono::Utc::now().timestamp_millis();
        let mut actions: Vec<Action> = Vec::with_capacity(old.len() + new.len());
        for file in new {
            let mut add = file.to_add(self.def, now);
            add.data_change = false;
            actions.push(Action::Add(add));
        }
        actions.extend(old.iter().map(|file| remove_action(file, self.def, now, false)));
        let operation = DeltaOperation::Optimize { predicate: None, target_size: 0 };
        self.commit(actions, &[], operation, attempts, old).await
    }

    /// Drops files with their rows, in one commit.
    ///
    /// # Errors
    /// As [`Table::append`]. [`Outcome::Moved`] means that one of the files is gone already.
    pub async fn expire(&self, old: &[Arc<LakeFile>], attempts: usize) -> Result<Outcome> {
        let now = chrono::Utc::now().timestamp_millis();
        let actions = old.iter().map(|file| remove_action(file, self.def, now, true)).collect();
        self.commit(actions, &[], DeltaOperation::Delete { predicate: None }, attempts, old).await
    }

    async fn commit(
        &self,
        actions: Vec<Action>,
        moves: &[Move],
        operation: DeltaOperation,
        attempts: usize,
        must_be_live: &[Arc<LakeFile>],
    ) -> Result<Outcome> {
        let mut delta = self.delta.lock().await;
        for _ in 0..attempts {
            delta.update_state().await?;
            for stream_move in moves {
                if self.position_in(&delta, &stream_move.stream).await? == stream_move.from {
                    continue;
                }
                // an earlier attempt may have succeeded although the store's answer was lost
                let is_own = self.is_committed(&delta, &actions, moves).await?;
                return Ok(if is_own { Outcome::Committed } else { Outcome::Moved });
            }
            if !must_be_live.is_empty() {
                let live: std::collections::HashSet<String> =
                    delta.snapshot()?.log_data().iter().map(|view| view.path().into_owned()).collect();
                if must_be_live.iter().any(|file| !live.contains(&file.path)) {
                    return Ok(Outcome::Moved);
                }
            }
            let transactions = moves
                .iter()
                .map(|m| Transaction::new(m.stream.application_id(), i64::try_from(m.to).unwrap_or(i64::MAX)))
                .collect();
            let builder: CommitBuilder = CommitProperties::default()
                // no conflict resolution by the library: it would let a repeated position through
                .with_max_retries(0)
                .with_application_transactions(transactions)
                .into();
            let state = delta.snapshot()?.clone();
            let commit = builder
                .with_actions(actions.clone())
                .build(Some(&state), self.log.clone(), operation.clone())
                .await;
            match commit {
                Ok(done) => {
                    let version = done.version();
                    self.force_commit(version).await?;
                    delta.update_state().await?;
                    return Ok(Outcome::Committed);
                }
                Err(error) => {
                    let before = state.version();
                    if self.log.get_latest_version(before).await? == before {
                        // nothing was committed by anyone: the store failed
                        return Err(error.into());
                    }
                    delta.update_state().await?;
                    // the commit itself can have succeeded: its answer was lost, or the checkpoint after it failed
                    if self.is_committed(&delta, &actions, moves).await? {
                        tracing::warn!(table = self.def.name, %error, "committed, but not cleanly");
                        return Ok(Outcome::Committed);
                    }
                }
            }
        }
        Err(Error::Conflict { table: self.def.name.to_owned(), attempts })
    }

    /// Whether the log already holds these very actions. Where streams move, their positions are the proof: files of
    /// the commit can have been merged into others since.
    async fn is_committed(&self, delta: &DeltaTable, actions: &[Action], moves: &[Move]) -> Result<bool> {
        if moves.is_empty() {
            let added = actions.iter().find_map(|action| match action {
                Action::Add(add) => Some(add.path.as_str()),
                _ => None,
            });
            let Some(path) = added else { return Ok(false) };
            // names are never used twice, and all files of a commit come together
            return Ok(delta.snapshot()?.log_data().iter().any(|view| view.path() == path));
        }
        for stream_move in moves {
            if self.position_in(delta, &stream_move.stream).await? != Some(stream_move.to) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn force_commit(&self, version: u64) -> Result<()> {
        let path = self.folder.clone().join("_delta_log").join(format!("{version:020}.json"));
        match self.store.force(&path).await {
            // a checkpoint may already have cleaned the commit away
            Err(Error::Store { .. }) | Ok(()) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// Deletes files that no snapshot within `keep` refers to.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn vacuum(&self, keep: std::time::Duration) -> Result<usize> {
        let mut delta = self.delta.lock().await;
        delta.update_state().await?;
        let keep = chrono::Duration::from_std(keep).unwrap_or(chrono::Duration::days(7));
        let (table, metrics) = delta
            .clone()
            .vacuum()
            .with_retention_period(keep)
            .with_enforce_retention_duration(false)
            .with_mode(deltalake::operations::vacuum::VacuumMode::Full)
            .await?;
        *delta = table;
        Ok(metrics.files_deleted.len())
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

/// Columns that a table made by an older version does not have.
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
        // two processes may create it at once: one wins, both open it
        Err(error) => {
            let mut table = DeltaTable::new(log);
            table.load().await.map_err(|_| Error::from(error))?;
            Ok(table)
        }
    }
}
