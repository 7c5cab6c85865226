//! The path of every object of the lake, built and parsed in one place.
//!
//! ```text
//! <root>/<table>/_delta_log/…                        commits (Delta's own)
//! <root>/<table>/recent/<owner>-<id>.parquet         recent files: rewritten freely
//! <root>/<table>/dt=YYYY-MM-DD/<owner>-<id>.parquet  settled files: never rewritten
//! <root>/_mqlake/demo.json                           marks the tables of the demo
//! <root>/_mqlake/streams/<system>/<group>.json       what each broker group was read from
//! <root>/_mqlake/writers/<owner>.lock                held by the writer of a broker group (local roots)
//! <root>/_mqlake/acks/<system>/<group>/<position>.parquet   ack state at a position of the action log
//! <root>/_mqlake/offsets/<system>/<broker>/<log>/<position>.json   queue offsets at a position
//! ```

use chrono::NaiveDate;
use object_store::path::Path;

use super::schema::TableDef;
use super::stream::{StateDef, StreamId};

/// Level of a data file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// In memory only: rows that are not committed yet.
    Hot,
    /// Small, frequent, merged later.
    Recent,
    /// Right-sized, or the rest of a closed day.
    Settled,
}

impl Level {
    /// Level of a new file. A file with at least `settled_rows` rows is settled from the start, unless its table is
    /// merged by day.
    #[must_use]
    pub fn of_new(def: &TableDef, rows: u64, settled_rows: usize) -> Level {
        let is_large = usize::try_from(rows).is_ok_and(|rows| rows >= settled_rows);
        if is_large && !def.is_merged_by_day { Level::Settled } else { Level::Recent }
    }

    /// `hot`, `recent` or `settled`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Hot => "hot",
            Level::Recent => "recent",
            Level::Settled => "settled",
        }
    }
}

/// The object that marks the tables of the demo, which writes to no others.
#[must_use]
pub fn demo_mark(root: &Path) -> Path {
    root.clone().join("_mqlake").join("demo.json")
}

/// Path of a new data file relative to its table. The name begins with the owner's name, so that a writer recognizes
/// the files that it left behind when it was killed.
#[must_use]
pub(super) fn data_file(level: Level, day: NaiveDate, owner: &str, id: uuid::Uuid) -> String {
    match level {
        // never stored; the name only has to be unique
        Level::Hot => format!("hot/{owner}-{id}.parquet"),
        Level::Recent => format!("recent/{owner}-{id}.parquet"),
        Level::Settled => format!("dt={day}/{owner}-{id}.parquet"),
    }
}

/// Lock file of a broker group's writer, relative to a local root.
#[must_use]
pub(super) fn writer_lock(owner: &str) -> String {
    format!("_mqlake/writers/{owner}.lock")
}

/// Level of a data file, from its path relative to its table.
#[must_use]
pub fn level_of(path: &str) -> Level {
    match path.split('/').next() {
        Some("hot") => Level::Hot,
        Some("recent") => Level::Recent,
        _ => Level::Settled,
    }
}

/// The sidecar with the sources of a broker group.
#[must_use]
pub fn stream_sidecar(root: &Path, system: &str, broker_group: &str) -> Path {
    // `child` escapes what an object path cannot hold
    streams_folder(root).join(system).join(format!("{broker_group}.json"))
}

/// Folder of the sidecars of all systems.
#[must_use]
pub fn streams_folder(root: &Path) -> Path {
    root.clone().join("_mqlake").join("streams")
}

/// Folder of a stream's states.
#[must_use]
pub(super) fn state_folder(root: &Path, stream: &StreamId) -> Path {
    let own = root.clone().join("_mqlake");
    let StreamId { system, broker_group, log } = stream;
    let folder = log.0.state.as_ref().map_or("offsets", |state| state.folder);
    let of_group = own.join(folder).join(system.as_str()).join(broker_group.as_str());
    match &log.0.state {
        Some(StateDef { is_by_log: false, .. }) => of_group,
        _ => of_group.join(log.name()),
    }
}

/// State of a stream at a position.
#[must_use]
pub fn state(root: &Path, stream: &StreamId, position: u64) -> Path {
    let ending = stream.log.0.state.as_ref().map_or("json", |state| state.ending);
    state_folder(root, stream).join(format!("{position:020}.{ending}"))
}

/// Description of what was read of a log up to a position, in the folder of its stream.
#[must_use]
pub fn seen(root: &Path, stream: &StreamId, position: u64) -> Path {
    seen_folder(root, stream).join(format!("{position:020}.json"))
}

/// Folder of [`seen`].
#[must_use]
pub(super) fn seen_folder(root: &Path, stream: &StreamId) -> Path {
    let StreamId { system, broker_group, log } = stream;
    let own = root.clone().join("_mqlake").join("seen");
    own.join(system.as_str()).join(broker_group.as_str()).join(log.name())
}

/// Position of a state, from its path.
#[must_use]
pub(super) fn state_position(path: &Path) -> Option<u64> {
    path.filename()?.split('.').next()?.parse().ok()
}
