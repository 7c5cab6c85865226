//! The state of the tables in a worker: the files of each table, without the Delta log. The server sends what changed
//! since the worker's last statement.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use chrono::NaiveDate;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::lake::schema::TABLES;
use crate::lake::{Bound, ColumnStats, FileStats, LakeFile, Snapshot};
use crate::query::catalog::{Pinned, PinnedTable};

/// Maximum files in one message. A large lake is sent in parts, so that no frame gets too large.
const FILES_A_PART: usize = 1000;

/// A change of one table.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TableChange {
    table: String,
    folder: String,
    removed: Vec<String>,
    added: Vec<FileEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct FileEntry {
    path: String,
    size: u64,
    day: NaiveDate,
    rows: u64,
    columns: Vec<(String, Value, Value, u64)>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Value {
    Number(i64),
    Text(String),
}

impl From<&Bound> for Value {
    fn from(bound: &Bound) -> Value {
        match bound {
            Bound::Number(number) => Value::Number(*number),
            Bound::Text(text) => Value::Text(text.clone()),
        }
    }
}

impl From<Value> for Bound {
    fn from(value: Value) -> Bound {
        match value {
            Value::Number(number) => Bound::Number(number),
            Value::Text(text) => Bound::Text(text),
        }
    }
}

impl From<&LakeFile> for FileEntry {
    fn from(file: &LakeFile) -> FileEntry {
        let columns = file.stats.columns.iter();
        let columns = columns
            .map(|(name, stats)| (name.clone(), (&stats.min).into(), (&stats.max).into(), stats.nulls));
        FileEntry {
            path: file.path.clone(),
            size: file.size,
            day: file.day,
            rows: file.stats.rows,
            columns: columns.collect(),
        }
    }
}

impl From<FileEntry> for LakeFile {
    fn from(entry: FileEntry) -> LakeFile {
        let columns = entry.columns.into_iter();
        let columns = columns
            .map(|(name, min, max, nulls)| (name, ColumnStats { min: min.into(), max: max.into(), nulls }));
        // the bytes of hot files stay in the server; the worker reads them like files of the store
        let stats = FileStats { rows: entry.rows, columns: columns.collect() };
        LakeFile::named(entry.path, entry.size, entry.day, stats)
    }
}

/// The changes between two states, in parts.
pub(super) fn changes(before: Option<&Pinned>, now: &Pinned) -> Vec<TableChange> {
    now.tables().flat_map(|table| changes_of(before, table)).collect()
}

fn changes_of(before: Option<&Pinned>, now: &PinnedTable) -> Vec<TableChange> {
    let known = before.and_then(|before| before.table(now.snapshot.def).ok());
    let (removed, added) = match known {
        Some(known) if Arc::ptr_eq(&known.files, &now.files) => return Vec::new(),
        // publishing does not change the snapshot, so only hot files must be compared
        Some(known) if Arc::ptr_eq(&known.snapshot, &now.snapshot) => {
            difference(known.hot_files(), now.hot_files())
        }
        Some(known) => difference(known.files.iter(), now.files.iter()),
        None => difference(std::iter::empty(), now.files.iter()),
    };
    let table = now.snapshot.def.name;
    let part = |removed: Vec<String>, added: &[&Arc<LakeFile>]| TableChange {
        table: table.to_owned(),
        folder: now.folder.to_string(),
        removed,
        added: added.iter().map(|file| FileEntry::from(file.as_ref())).collect(),
    };
    let mut parts = vec![part(removed, &[])];
    parts.extend(added.chunks(FILES_A_PART).map(|files| part(Vec::new(), files)));
    parts
}

fn difference<'a>(
    before: impl Iterator<Item = &'a Arc<LakeFile>> + Clone,
    now: impl Iterator<Item = &'a Arc<LakeFile>> + Clone,
) -> (Vec<String>, Vec<&'a Arc<LakeFile>>) {
    let had: HashSet<&str> = before.clone().map(|file| file.path.as_str()).collect();
    let has: HashSet<&str> = now.clone().map(|file| file.path.as_str()).collect();
    let removed = before.filter(|file| !has.contains(file.path.as_str())).map(|file| file.path.clone());
    let added = now.filter(|file| !had.contains(file.path.as_str()));
    (removed.collect(), added.collect())
}

/// The tables as the worker knows them.
#[derive(Debug, Default)]
pub(super) struct Tables {
    tables: BTreeMap<&'static str, KnownTable>,
    pinned: Arc<Pinned>,
}

#[derive(Debug)]
struct KnownTable {
    files: BTreeMap<String, Arc<LakeFile>>,
    pinned: PinnedTable,
}

impl Tables {
    /// Applies a change. The error says what does not fit.
    pub(super) fn apply(&mut self, change: TableChange) -> Result<(), String> {
        let def = TABLES.into_iter().find(|def| def.name == change.table);
        let def = def.ok_or_else(|| format!("unknown table {}", change.table))?;
        let folder = Path::parse(&change.folder).map_err(|error| error.to_string())?;
        let table = self.tables.entry(def.name).or_insert_with(|| KnownTable {
            files: BTreeMap::new(),
            pinned: PinnedTable {
                snapshot: Arc::new(Snapshot {
                    def,
                    version: 0,
                    files: Vec::new(),
                    positions: HashMap::new(),
                }),
                folder,
                files: Arc::default(),
            },
        });
        for path in &change.removed {
            table.files.remove(path);
        }
        for entry in change.added {
            let file = LakeFile::from(entry);
            table.files.insert(file.path.clone(), Arc::new(file));
        }
        table.pinned.files = Arc::new(table.files.values().cloned().collect());
        self.pinned = Arc::new(Pinned::of(self.tables.values().map(|table| table.pinned.clone()).collect()));
        Ok(())
    }

    /// All tables as a statement sees them.
    pub(super) fn pinned(&self) -> Arc<Pinned> {
        self.pinned.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::Level;
    use crate::lake::paths::level_of;
    use crate::lake::schema::MESSAGE;

    fn file(path: &str) -> Arc<LakeFile> {
        let text = |text: &str| Bound::Text(text.to_owned());
        let columns = [
            ("subject".to_owned(), ColumnStats { min: text("1"), max: text("é"), nulls: 3 }),
            (
                "sequence".to_owned(),
                ColumnStats { min: Bound::Number(-1), max: Bound::Number(i64::MAX), nulls: 0 },
            ),
        ];
        let stats = FileStats { rows: 9, columns: columns.into() };
        Arc::new(LakeFile::named(path.to_owned(), 5, NaiveDate::default(), stats))
    }

    fn pinned(snapshot: &Arc<Snapshot>, hot: &[&str]) -> Pinned {
        let files = snapshot.files.iter().cloned().chain(hot.iter().map(|path| file(path))).collect();
        let table = PinnedTable {
            snapshot: snapshot.clone(),
            folder: Path::from("lake/message"),
            files: Arc::new(files),
        };
        Pinned::of(vec![table])
    }

    fn snapshot(paths: &[&str]) -> Arc<Snapshot> {
        let files = paths.iter().map(|path| file(path)).collect();
        Arc::new(Snapshot { def: &MESSAGE, version: 1, files, positions: HashMap::new() })
    }

    /// After each change the worker must have the same files as the server.
    #[test]
    fn differences_lead_from_each_state_to_the_next() {
        let many: Vec<String> = (0..2500).map(|n| format!("recent/{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let first = snapshot(&["dt=1970-01-01/a", "recent/b"]);
        let second = snapshot(&many);
        let states = [
            pinned(&first, &[]),
            pinned(&first, &["hot/1", "hot/2"]),
            pinned(&first, &["hot/2", "hot/3"]),
            pinned(&second, &["hot/3"]),
            pinned(&snapshot(&[]), &[]),
        ];
        let mut worker = Tables::default();
        let mut before = None;
        for state in &states {
            for change in changes(before, state) {
                let sent = serde_json::to_vec(&change).unwrap();
                worker.apply(serde_json::from_slice(&sent).unwrap()).unwrap();
            }
            let sorted = |pinned: &Pinned| {
                let table = pinned.table(&MESSAGE).unwrap();
                let mut files: Vec<LakeFile> = table.files.iter().map(|file| file.as_ref().clone()).collect();
                files.sort_by(|a, b| a.path.cmp(&b.path));
                let files = files.into_iter().map(|file| (file.path, file.size, file.level, file.stats));
                (table.folder.clone(), files.collect::<Vec<_>>())
            };
            assert_eq!(sorted(&worker.pinned()), sorted(state));
            before = Some(state);
        }
        assert!(changes(before, before.unwrap()).is_empty());
        assert_eq!(level_of("hot/1"), Level::Hot);
    }
}
