//! What a query sees: one snapshot of every table, pinned for its life.

use std::sync::{Arc, RwLock};

use object_store::path::Path;

use super::files::FileCache;
use crate::config;
use crate::error::{Error, Result};
use crate::lake::schema::{CONTENT, DEAD_MESSAGE, MESSAGE, RECORD, TableDef};
use crate::lake::{Lake, Snapshot};

/// One table at one version.
#[derive(Debug, Clone)]
pub struct PinnedTable {
    /// Files and version.
    pub snapshot: Arc<Snapshot>,
    /// Folder inside the store.
    pub folder: Path,
}

/// All tables, each at one version.
#[derive(Debug, Clone, Default)]
pub struct Pinned {
    tables: Vec<PinnedTable>,
}

impl Pinned {
    /// One table.
    ///
    /// # Errors
    /// [`Error::Store`] if the tables were never opened.
    pub fn table(&self, def: &TableDef) -> Result<&PinnedTable> {
        self.tables
            .iter()
            .find(|table| table.snapshot.def.name == def.name)
            .ok_or_else(|| Error::store("opening tables", "not ready yet"))
    }

    /// All tables.
    pub fn tables(&self) -> impl Iterator<Item = &PinnedTable> {
        self.tables.iter()
    }
}

/// The newest known snapshots of a lake, and the cache over its files.
pub struct Catalog {
    /// The lake.
    pub lake: Arc<Lake>,
    /// Files.
    pub files: FileCache,
    current: RwLock<Arc<Pinned>>,
}

impl Catalog {
    /// Opens the catalogue and reads the tables once.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn open(lake: Arc<Lake>, settings: &config::Cache) -> Result<Catalog> {
        let files = FileCache::new(lake.store.objects.clone(), settings);
        let catalog = Catalog { lake, files, current: RwLock::default() };
        catalog.refresh().await?;
        Ok(catalog)
    }

    /// Reads new commits; running queries keep what they have.
    ///
    /// # Errors
    /// [`Error::Store`]; what was known before stays.
    pub async fn refresh(&self) -> Result<()> {
        let before = self.pin();
        let mut tables = Vec::new();
        for table in self.lake.tables() {
            let known = before.tables.iter().find(|known| known.snapshot.def.name == table.def.name);
            let unchanged = match known {
                Some(known) if table.latest_version().await? == known.snapshot.version => Some(known.clone()),
                _ => None,
            };
            tables.push(match unchanged {
                Some(known) => known,
                None => {
                    PinnedTable { snapshot: Arc::new(table.refresh().await?), folder: table.folder.clone() }
                }
            });
        }
        if let Ok(mut current) = self.current.write() {
            *current = Arc::new(Pinned { tables });
        }
        Ok(())
    }

    /// Reads the footers and runs of all files that lookups use, so that no request has to; newest days first.
    ///
    /// # Errors
    /// [`Error::Store`]; what is missing is read when it is needed.
    pub async fn warm(&self) -> Result<()> {
        for table in self.pin().tables().filter(|table| is_looked_up(table.snapshot.def)) {
            let mut files = table.snapshot.files.clone();
            files.sort_by_key(|file| std::cmp::Reverse(file.day));
            for file in files {
                let reader = self.files.reader(&table.folder, &file);
                self.files.runs(&reader, table.snapshot.def).await?;
            }
        }
        Ok(())
    }

    /// The newest known snapshots.
    #[must_use]
    pub fn pin(&self) -> Arc<Pinned> {
        self.current.read().map(|current| current.clone()).unwrap_or_default()
    }
}

fn is_looked_up(def: &TableDef) -> bool {
    [&MESSAGE, &DEAD_MESSAGE, &RECORD, &CONTENT].iter().any(|known| known.name == def.name)
}
