//! The lake: Delta tables of sorted Parquet in an object store.
//!
//! It turns sorted batches into files, commits files together with stream positions, settles closed days
//! and verifies itself. It knows neither the bytes of a broker nor queries, and takes the time as an argument.
//! Only `store/` knows local paths.

mod compact;
mod encode;
mod file;
mod known;
mod library_errors;
mod merge;
mod owner;
pub mod paths;
mod retention;
pub mod scan;
pub mod schema;
mod settle;
mod sidecar;
mod store;
mod stream;
mod sweep;
mod table;
pub mod verify;

use std::sync::Arc;

use chrono::NaiveDate;
use uuid::Uuid;

pub use compact::{Compacted, size_class};
pub use encode::{EncodedFile, FileEncoder};
pub use file::{Bound, ColumnStats, FileStats, LakeFile, MergeKey};
pub use known::{KnownMessage, KnownRecords, RecordFingerprint};
pub use merge::{Merge, Run, in_memory};
pub use owner::{Owner, WriterLock};
pub use paths::Level;
pub use retention::Expired;
pub use settle::Settled;
pub use sidecar::{LostQueue, Replaced, StreamInfo};
pub use store::{Clock, Store};
pub use stream::{Gap, Log, LogDef, Move, Positions, StateDef, StreamId};
pub use table::{Beside, Outcome, Snapshot, Table};

use crate::config;
use crate::error::{Error, Result};

/// All tables under one root.
pub struct Lake {
    /// The object store and the folder in it.
    pub store: Store,
    /// Settings of files and tables.
    pub settings: config::Lake,
    tables: Vec<Arc<Table>>,
}

impl Lake {
    /// Opens the tables, creating those that are missing.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Config`] if the store cannot hold tables.
    pub async fn open(store: Store, settings: config::Lake) -> Result<Lake> {
        let lake = Lake::unopened(store, settings, true)?;
        lake.connect().await?;
        Ok(lake)
    }

    /// Opens the tables for reading; creates nothing.
    ///
    /// # Errors
    /// [`Error::NoData`] if there are none, [`Error::Store`].
    pub async fn open_existing(store: Store, settings: config::Lake) -> Result<Lake> {
        let lake = Lake::unopened(store, settings, false)?;
        lake.connect().await?;
        Ok(lake)
    }

    /// The tables, without a call to the store: each is opened at its first use. So a server can start before its
    /// store does.
    ///
    /// # Errors
    /// [`Error::Config`] if the store's URL cannot hold tables.
    pub fn unopened(store: Store, settings: config::Lake, may_create: bool) -> Result<Lake> {
        let store = store.with_limit(settings.store_timeout);
        let tables = schema::TABLES.iter().map(|def| Table::new(&store, def, may_create, &settings));
        let tables = tables.map(|table| table.map(Arc::new)).collect::<Result<_>>()?;
        Ok(Lake { store, settings, tables })
    }

    /// Opens what is not open yet.
    ///
    /// # Errors
    /// [`Error::NoData`] if a table is missing and must not be created, [`Error::Store`].
    pub async fn connect(&self) -> Result<()> {
        for table in &self.tables {
            table.open().await?;
        }
        Ok(())
    }

    /// All tables.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.iter()
    }

    /// One table.
    ///
    /// # Errors
    /// [`Error::Invariant`] if `def` is not one of [`schema::TABLES`].
    pub fn table(&self, def: &TableDef) -> Result<&Arc<Table>> {
        self.tables
            .iter()
            .find(|table| table.def.name == def.name)
            .ok_or_else(|| Error::Invariant(format!("there is no table `{}`", def.name)))
    }

    /// Stores an encoded file; it belongs to the table only once a commit names it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn store_file(
        &self,
        table: &Table,
        day: NaiveDate,
        level: Level,
        owner: &Owner,
        encoded: EncodedFile,
    ) -> Result<LakeFile> {
        let mut file = Lake::new_file(level, day, owner, encoded);
        self.store(table, &mut file).await?;
        Ok(file)
    }

    /// A file with a new unique name, not stored yet. Hot files are never stored: their rows are queried from memory
    /// until they are committed.
    #[must_use]
    pub fn new_file(level: Level, day: NaiveDate, owner: &Owner, encoded: EncodedFile) -> LakeFile {
        LakeFile {
            path: paths::data_file(level, day, &owner.0, Uuid::new_v4()),
            size: encoded.bytes.len() as u64,
            day,
            level,
            stats: encoded.stats,
            bytes: Some(encoded.bytes),
            stored: None,
        }
    }

    /// Stores a new file under its name and drops its bytes. Does nothing if the file is stored already, so it can be
    /// called again after a failure.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn store(&self, table: &Table, file: &mut LakeFile) -> Result<()> {
        if let Some(bytes) = &file.bytes {
            let path = scan::object_path(&table.folder, &file.path);
            file.stored = Some(self.store.now());
            self.store.put_durably(&path, bytes.clone()).await?;
            file.bytes = None;
        }
        Ok(())
    }

    /// Level of a new file with this many rows, see [`Level::of_new`].
    #[must_use]
    pub fn level_for(&self, def: &TableDef, rows: u64) -> Level {
        Level::of_new(def, rows, self.settings.settled_rows)
    }
}

use schema::TableDef;

fn sql_error(error: datafusion::error::DataFusionError) -> Error {
    Error::store("reading data files", error)
}
