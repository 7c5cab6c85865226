//! What a query sees: one snapshot of every table and the hot rows beyond it, pinned until the query ends.
//!
//! **VISIBLE-ONCE**: a row is in exactly one visible file at every moment. A hot file has the position in its stream at
//! which it ends, and a snapshot has the position up to which the stream is committed. A hot file is visible if and
//! only if it ends beyond the snapshot's position. Commits end where hot files end, so a query sees each row once,
//! whether it observes the commit or the drop from memory first.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use object_store::path::Path;

use super::files::FileCache;
use crate::config;
use crate::error::{Error, Result};
use crate::lake::scan::object_path;
use crate::lake::schema::{CONTENT, DEAD_MESSAGE, MESSAGE, MESSAGE_KEY, RECORD, TRACE, TableDef};
use crate::lake::{Lake, LakeFile, Snapshot, StreamId};

/// One table at one version, with its hot files.
#[derive(Debug, Clone)]
pub struct PinnedTable {
    /// Version and committed files.
    pub snapshot: Arc<Snapshot>,
    /// Folder of the table inside the store.
    pub folder: Path,
    /// The snapshot's files, then the hot ones.
    pub files: Arc<Vec<Arc<LakeFile>>>,
}

impl PinnedTable {
    /// Files whose rows are not committed yet.
    pub fn hot_files(&self) -> impl Iterator<Item = &Arc<LakeFile>> + Clone {
        self.files.iter().skip(self.snapshot.files.len())
    }
}

/// A file in memory: rows of one table, and the position in their stream at which they end.
#[derive(Debug, Clone)]
pub struct HotFile {
    /// The table.
    pub def: &'static TableDef,
    /// The stream its rows come from.
    pub stream: StreamId,
    /// Position in the stream after its last row.
    pub to: u64,
    /// The file itself.
    pub file: Arc<LakeFile>,
}

/// All tables, each at one version.
#[derive(Debug, Clone, Default)]
pub struct Pinned {
    tables: Vec<PinnedTable>,
}

impl Pinned {
    /// Tables that another process has pinned.
    pub(super) fn of(tables: Vec<PinnedTable>) -> Pinned {
        Pinned { tables }
    }

    /// One table.
    ///
    /// # Errors
    /// [`Error::Store`] if the tables were never opened.
    pub fn table(&self, def: &TableDef) -> Result<&PinnedTable> {
        self.tables
            .iter()
            .find(|table| table.snapshot.def.name == def.name)
            .ok_or_else(|| Error::store("opening tables", "not opened yet; /readyz says why"))
    }

    /// All tables.
    pub fn tables(&self) -> impl Iterator<Item = &PinnedTable> {
        self.tables.iter()
    }
}

/// The newest known snapshots of a lake, the hot rows beyond them, and the cache of both.
pub struct Catalog {
    /// Tables and store.
    pub lake: Arc<Lake>,
    /// Readers of files, with cached indexes.
    pub files: FileCache,
    current: RwLock<Current>,
    /// Streams that can have hot rows. Locked while snapshots are read, so that each snapshot has all their positions.
    followed: tokio::sync::Mutex<Vec<StreamId>>,
    /// Files of the last snapshot that was warmed.
    warmed: Mutex<HashSet<Path>>,
}

#[derive(Default)]
struct Current {
    snapshots: Vec<(Arc<Snapshot>, Path)>,
    hot: Vec<HotFile>,
    pinned: Arc<Pinned>,
}

impl Current {
    fn pin(&mut self) {
        let tables = self.snapshots.iter().map(|(snapshot, folder)| {
            let mut files = snapshot.files.clone();
            let hot = self.hot.iter().filter(|hot| is_visible(hot, snapshot));
            files.extend(hot.map(|hot| hot.file.clone()));
            PinnedTable { snapshot: snapshot.clone(), folder: folder.clone(), files: Arc::new(files) }
        });
        self.pinned = Arc::new(Pinned { tables: tables.collect() });
    }
}

fn is_visible(hot: &HotFile, snapshot: &Snapshot) -> bool {
    hot.def.name == snapshot.def.name
        && snapshot.positions.get(&hot.stream).is_none_or(|position| hot.to > *position)
}

impl Catalog {
    /// Opens the catalogue and reads the tables once.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn open(lake: Arc<Lake>, settings: &config::Cache) -> Result<Catalog> {
        let catalog = Catalog::unopened(lake, settings);
        catalog.refresh().await?;
        Ok(catalog)
    }

    /// A catalogue that has not read the store yet: queries fail with an error until [`Catalog::refresh`] succeeds.
    #[must_use]
    pub fn unopened(lake: Arc<Lake>, settings: &config::Cache) -> Catalog {
        let files = FileCache::new(&lake.store, settings);
        let (current, followed) = (RwLock::default(), tokio::sync::Mutex::default());
        Catalog { lake, files, current, followed, warmed: Mutex::default() }
    }

    /// Registers a stream. Its hot files may be published only after that. Hot files of an earlier run of the stream
    /// are dropped, because their rows are replayed.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn follow(&self, stream: &StreamId) -> Result<()> {
        let mut followed = self.followed.lock().await;
        if !followed.contains(stream) {
            followed.push(stream.clone());
        }
        let dropped = self.change(|current| {
            let (dropped, left) =
                std::mem::take(&mut current.hot).into_iter().partition(|hot| hot.stream == *stream);
            current.hot = left;
            dropped
        });
        self.forget(dropped).await;
        self.read_snapshots(&followed, true).await
    }

    /// Reads new commits. Running queries keep their snapshots.
    ///
    /// # Errors
    /// [`Error::Store`]; the previous snapshots stay in use.
    pub async fn refresh(&self) -> Result<()> {
        let followed = self.followed.lock().await;
        self.read_snapshots(&followed, false).await
    }

    async fn read_snapshots(&self, streams: &[StreamId], force: bool) -> Result<()> {
        let before = self.pin();
        let mut snapshots = Vec::new();
        for table in self.lake.tables() {
            let known = before.tables.iter().find(|known| known.snapshot.def.name == table.def.name);
            let unchanged = match known {
                Some(known) if !force && table.latest_version().await? == known.snapshot.version => {
                    Some(known.snapshot.clone())
                }
                _ => None,
            };
            let snapshot = match unchanged {
                Some(known) => known,
                None => Arc::new(table.refresh_with(streams).await?),
            };
            snapshots.push((snapshot, table.folder.clone()));
        }
        let gone = gone_files(&before, &snapshots);
        let dropped = self.change(|current| {
            current.snapshots = snapshots;
            let Current { snapshots, hot, .. } = current;
            let is_left = |hot: &HotFile| snapshots.iter().any(|(snapshot, _)| is_visible(hot, snapshot));
            let (left, dropped) = std::mem::take(hot).into_iter().partition(is_left);
            *hot = left;
            dropped
        });
        self.forget(dropped).await;
        // cache entries of merged or dropped files must not crowd out those of their replacements
        for path in gone {
            self.files.forget(&path).await;
        }
        Ok(())
    }

    /// Makes hot files visible. They replace those in `merged`, which have the same rows.
    pub async fn publish(&self, files: Vec<HotFile>, merged: &[HotFile]) {
        let dropped = self.change(|current| {
            let is_merged = |hot: &HotFile| merged.iter().any(|other| Arc::ptr_eq(&other.file, &hot.file));
            let (dropped, mut left): (Vec<_>, Vec<_>) =
                std::mem::take(&mut current.hot).into_iter().partition(is_merged);
            left.extend(files);
            current.hot = left;
            dropped
        });
        self.forget(dropped).await;
    }

    fn change(&self, change: impl FnOnce(&mut Current) -> Vec<HotFile>) -> Vec<HotFile> {
        let Ok(mut current) = self.current.write() else { return Vec::new() };
        let dropped = change(&mut current);
        current.pin();
        dropped
    }

    /// Evicts cache entries of hot files that were dropped. Queries that still use such a file read it again.
    async fn forget(&self, dropped: Vec<HotFile>) {
        for hot in dropped {
            let folder = self.lake.store.table_folder(hot.def.name);
            self.files.forget(&object_path(&folder, &hot.file.path)).await;
        }
    }

    /// Reads footers and runs ahead, so that requests find them in the caches: for files that lookups use and that are
    /// new since the last call, newest days first, until the caches are full enough. Each file is tried once. One that
    /// was evicted or could not be read is read on demand.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn warm(&self) -> Result<()> {
        for (path, folder, def, file) in self.not_warmed() {
            if !self.files.has_room().await {
                return Ok(());
            }
            let reader = self.files.reader(&folder, &file);
            let outcome = if def.sort.first().is_some_and(|key| key.column == "subject") {
                self.files.runs(&reader, def).await.map(drop)
            } else {
                reader.index().await.map(drop)
            };
            if let Err(error) = outcome {
                // no request waits for this file, and the remaining files may be unreadable for the same reason
                return Err(Error::store(format!("reading {path} ahead"), error));
            }
        }
        Ok(())
    }

    /// Files that lookups use and that were not warmed before, newest first. This call marks them as warmed.
    fn not_warmed(&self) -> Vec<(Path, Path, &'static TableDef, Arc<LakeFile>)> {
        let pinned = self.pin();
        let mut live = HashSet::new();
        let mut new = Vec::new();
        let mut warmed = self.warmed.lock().unwrap_or_else(PoisonError::into_inner);
        for table in pinned.tables().filter(|table| is_looked_up(table.snapshot.def)) {
            for file in &table.snapshot.files {
                let path = object_path(&table.folder, &file.path);
                if !warmed.contains(&path) {
                    new.push((path.clone(), table.folder.clone(), table.snapshot.def, file.clone()));
                }
                live.insert(path);
            }
        }
        *warmed = live;
        new.sort_by_key(|(_, _, _, file)| std::cmp::Reverse(file.day));
        new
    }

    /// Subjects of a table that satisfy a condition.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn subjects_where(
        &self,
        table: &PinnedTable,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<BTreeSet<String>> {
        let mut subjects = BTreeSet::new();
        for file in table.files.iter() {
            let reader = self.files.reader(&table.folder, file);
            let runs = self.files.runs(&reader, table.snapshot.def).await?;
            subjects.extend(runs.subjects().filter(|subject| is_wanted(subject)).map(str::to_owned));
        }
        Ok(subjects)
    }

    /// Whether the tables have been read at least once.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.current.read().is_ok_and(|current| !current.snapshots.is_empty())
    }

    /// Fails if the tables have not been read yet.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(super) fn check_open(&self) -> Result<()> {
        match self.is_open() {
            true => Ok(()),
            false => Err(Error::store("opening tables", "not opened yet; /readyz says why")),
        }
    }

    /// The newest known snapshots and the hot rows beyond them.
    #[must_use]
    pub fn pin(&self) -> Arc<Pinned> {
        self.current.read().map(|current| current.pinned.clone()).unwrap_or_default()
    }
}

/// Files of the previous snapshots that the new ones do not contain.
fn gone_files(before: &Pinned, snapshots: &[(Arc<Snapshot>, Path)]) -> Vec<Path> {
    let mut gone = Vec::new();
    for table in before.tables() {
        let now = snapshots.iter().find(|(snapshot, _)| snapshot.def.name == table.snapshot.def.name);
        let Some((now, _)) = now.filter(|(now, _)| !Arc::ptr_eq(now, &table.snapshot)) else { continue };
        let live: HashSet<&str> = now.files.iter().map(|file| file.path.as_str()).collect();
        let files = table.snapshot.files.iter().filter(|file| !live.contains(file.path.as_str()));
        gone.extend(files.map(|file| object_path(&table.folder, &file.path)));
    }
    gone
}

fn is_looked_up(def: &TableDef) -> bool {
    [&MESSAGE, &DEAD_MESSAGE, &RECORD, &CONTENT, &MESSAGE_KEY, &TRACE]
        .iter()
        .any(|known| known.name == def.name)
}
