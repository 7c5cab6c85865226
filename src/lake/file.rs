//! What the lake knows of a data file without opening it: path, day, level, size, statistics.
//!
//! The Delta log stores statistics as JSON. [`FileStats`] is their typed form, used to prune files before any is
//! opened.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use deltalake::kernel::{Add, LogicalFileView};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::statistics::Statistics;
use serde_json::{Value, json};

use super::paths::{Level, level_of};
use super::schema::{DAY_COLUMN, FIRST_DAY, LAST_DAY, TableDef};
use crate::error::{Error, Result};

/// Maximum bytes of a bound. For a longer text the lower bound is a prefix of it, and the upper bound is greater than it.
pub(super) const MAX_BOUND_BYTES: usize = 256;

/// A bound of a column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// Integers and times (milliseconds).
    Number(i64),
    /// Text.
    Text(String),
}

/// Least value, greatest value and null count of a column in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnStats {
    /// Least value.
    pub min: Bound,
    /// Greatest value.
    pub max: Bound,
    /// Nulls.
    pub nulls: u64,
}

/// Statistics of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileStats {
    /// Rows.
    pub rows: u64,
    /// Statistics by column; a column without values is missing.
    pub columns: BTreeMap<String, ColumnStats>,
}

/// A data file of a table.
#[derive(Debug, Clone)]
pub struct LakeFile {
    /// Path relative to the table.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// UTC day of all its rows.
    pub day: NaiveDate,
    /// Level.
    pub level: Level,
    /// Statistics.
    pub stats: FileStats,
    /// The encoded file, if it is in memory only; see [`Level::Hot`].
    pub bytes: Option<Bytes>,
    /// When storing it began, if this process stored it.
    pub(super) stored: Option<DateTime<Utc>>,
}

/// Files of a table may be merged if their keys are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MergeKey {
    /// UTC day.
    pub day: NaiveDate,
    /// Whether their rows have times of other days; see [`LakeFile::is_stray`].
    pub is_stray: bool,
    /// The system of all rows; `None` for files in which an older version mixed systems.
    pub system: Option<String>,
}

impl ColumnStats {
    /// Whether these can be the statistics of rows whose exact statistics are `found`: bounds of long texts are cut.
    #[must_use]
    pub fn describe(&self, found: &ColumnStats) -> bool {
        let fits = |own: &Bound, found: &Bound, is_wide: bool| match found {
            Bound::Text(text) if text.len() > MAX_BOUND_BYTES => is_wide,
            _ => own == found,
        };
        self.nulls == found.nulls
            && fits(&self.min, &found.min, self.min <= found.min)
            && fits(&self.max, &found.max, self.max >= found.max)
    }
}

impl FileStats {
    /// Gathers the statistics of a written file from its footer.
    #[must_use]
    pub(super) fn from_parquet(def: &TableDef, metadata: &ParquetMetaData) -> FileStats {
        let mut rows = 0;
        let mut gathered: BTreeMap<String, Gathered> = BTreeMap::new();
        for group in metadata.row_groups() {
            rows += u64::try_from(group.num_rows()).unwrap_or(0);
            for column in group.columns() {
                let [name] = column.column_path().parts() else { continue };
                if def.index_of(name).is_some() {
                    gathered.entry(name.clone()).or_default().add(column);
                }
            }
        }
        let columns = gathered.into_iter().filter_map(|(name, column)| Some((name, column.finish()?)));
        FileStats { rows, columns: columns.collect() }
    }

    /// Delta's JSON form.
    #[must_use]
    fn to_delta(&self, def: &TableDef) -> String {
        let mut min_values = serde_json::Map::new();
        let mut max_values = serde_json::Map::new();
        let mut null_count = serde_json::Map::new();
        for (name, column) in &self.columns {
            let is_time = def.is_time(name);
            min_values.insert(name.clone(), bound_json(&column.min, is_time));
            max_values.insert(name.clone(), bound_json(&column.max, is_time));
            null_count.insert(name.clone(), json!(column.nulls));
        }
        json!({"numRecords": self.rows, "minValues": min_values, "maxValues": max_values, "nullCount": null_count})
            .to_string()
    }

    fn from_delta(def: &TableDef, text: &str) -> Option<FileStats> {
        let value: Value = serde_json::from_str(text).ok()?;
        let mut columns = BTreeMap::new();
        if let Some(min_values) = value.get("minValues").and_then(Value::as_object) {
            for (name, min) in min_values {
                let max = value.get("maxValues").and_then(|v| v.get(name));
                let nulls = value.get("nullCount").and_then(|v| v.get(name)).and_then(Value::as_u64);
                let is_time = def.is_time(name);
                if let (Some(min), Some(max)) =
                    (bound_from_json(min, is_time), max.and_then(|v| bound_from_json(v, is_time)))
                {
                    columns.insert(name.clone(), ColumnStats { min, max, nulls: nulls.unwrap_or(0) });
                }
            }
        }
        Some(FileStats { rows: value.get("numRecords")?.as_u64()?, columns })
    }

    /// Whether a row with this text can be in the file.
    #[must_use]
    pub fn may_contain_text(&self, column: &str, text: &str) -> bool {
        match self.columns.get(column) {
            Some(ColumnStats { min: Bound::Text(min), max: Bound::Text(max), .. }) => {
                min.as_str() <= text && text <= max.as_str()
            }
            _ => true,
        }
    }

    /// Whether every row has this text.
    #[must_use]
    pub fn is_always_text(&self, column: &str, text: &str) -> bool {
        matches!(
            self.columns.get(column),
            Some(ColumnStats { min: Bound::Text(min), max: Bound::Text(max), nulls: 0 }) if min == text && max == text
        )
    }

    /// Least and greatest value of a number column.
    #[must_use]
    pub fn number_range(&self, column: &str) -> Option<(i64, i64)> {
        match self.columns.get(column) {
            Some(ColumnStats { min: Bound::Number(min), max: Bound::Number(max), .. }) => Some((*min, *max)),
            _ => None,
        }
    }
}

/// Statistics of a column while row groups are added.
#[derive(Default)]
struct Gathered {
    bounds: Option<(Bound, Bound)>,
    nulls: u64,
    /// Whether a row group has values but no bounds.
    is_unbounded: bool,
}

impl Gathered {
    fn add(&mut self, column: &ColumnChunkMetaData) {
        let statistics = column.statistics();
        let nulls = statistics.and_then(Statistics::null_count_opt);
        self.nulls += nulls.unwrap_or(0);
        let Some((min, max)) = statistics.and_then(bounds) else {
            let all_null = nulls.is_some_and(|nulls| i64::try_from(nulls) == Ok(column.num_values()));
            self.is_unbounded |= !all_null;
            return;
        };
        self.bounds = Some(match self.bounds.take() {
            Some((least, greatest)) => (least.min(min), greatest.max(max)),
            None => (min, max),
        });
    }

    fn finish(self) -> Option<ColumnStats> {
        let (min, max) = self.bounds.filter(|_| !self.is_unbounded)?;
        Some(ColumnStats { min, max, nulls: self.nulls })
    }
}

fn bounds(statistics: &Statistics) -> Option<(Bound, Bound)> {
    match statistics {
        Statistics::Int32(s) => {
            Some((Bound::Number(i64::from(*s.min_opt()?)), Bound::Number(i64::from(*s.max_opt()?))))
        }
        Statistics::Int64(s) => Some((Bound::Number(*s.min_opt()?), Bound::Number(*s.max_opt()?))),
        Statistics::ByteArray(s) => {
            // the writer leaves an upper bound whole if all of its characters are the greatest: no cut form is greater
            let text = |bytes: &[u8]| {
                let is_short = bytes.len() <= MAX_BOUND_BYTES;
                is_short.then(|| String::from_utf8(bytes.to_vec()).ok().map(Bound::Text)).flatten()
            };
            Some((text(s.min_opt()?.data())?, text(s.max_opt()?.data())?))
        }
        _ => None,
    }
}

/// UTC day of a time. Times outside of the years 1 to 9999 get the first or last day of that range.
fn day_of(ms: i64) -> Option<NaiveDate> {
    let days = ms.div_euclid(24 * 3600 * 1000).clamp(FIRST_DAY, LAST_DAY);
    NaiveDate::default().checked_add_signed(chrono::Duration::days(days))
}

fn bound_json(bound: &Bound, is_time: bool) -> Value {
    match bound {
        Bound::Text(text) => json!(text),
        Bound::Number(number) if is_time => DateTime::from_timestamp_millis(*number)
            .map_or(Value::Null, |t| json!(t.to_rfc3339_opts(SecondsFormat::Millis, true))),
        Bound::Number(number) => json!(number),
    }
}

fn bound_from_json(value: &Value, is_time: bool) -> Option<Bound> {
    match value {
        Value::String(text) if is_time => {
            DateTime::parse_from_rfc3339(text).ok().map(|t| Bound::Number(t.timestamp_millis()))
        }
        Value::String(text) => Some(Bound::Text(text.clone())),
        Value::Number(number) => number.as_i64().map(Bound::Number),
        _ => None,
    }
}

impl LakeFile {
    /// Reads a file's entry of the Delta log.
    ///
    /// # Errors
    /// [`Error::Invariant`] if it lacks its day or statistics, which mqlake always writes.
    pub(super) fn from_log(def: &TableDef, entry: &LogicalFileView) -> Result<LakeFile> {
        let path = entry.path().into_owned();
        let broken = |what: &str| {
            Error::Invariant(format!("table `{}`: the log entry of {path} has no usable {what}", def.name))
        };
        let partition = entry.partition_values_map();
        let day = partition
            .get(DAY_COLUMN)
            .and_then(Option::as_deref)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| broken(DAY_COLUMN))?;
        let stats = entry.stats().as_deref().and_then(|text| FileStats::from_delta(def, text));
        let stats = stats.ok_or_else(|| broken("statistics"))?;
        Ok(LakeFile::named(path, u64::try_from(entry.size()).unwrap_or(0), day, stats))
    }

    /// A stored file; its level follows from its path.
    #[must_use]
    pub fn named(path: String, size: u64, day: NaiveDate, stats: FileStats) -> LakeFile {
        LakeFile { level: level_of(&path), path, size, day, stats, bytes: None, stored: None }
    }

    /// Whether it was stored less than `most` before `now`. If the clock stepped back by less than `most`, it is fresh,
    /// too.
    pub(super) fn is_fresh(&self, now: DateTime<Utc>, most: chrono::Duration) -> bool {
        self.stored.is_none_or(|stored| {
            let age = now.signed_duration_since(stored);
            age >= -most && age < most
        })
    }

    /// Whether its rows lie in a day that is not their own, because their times are out of bounds (see `rows/days.rs`).
    #[must_use]
    pub fn is_stray(&self, def: &TableDef) -> bool {
        let is_of_day = |ms: i64| day_of(ms) == Some(self.day);
        // the Delta log has no bounds for times that it cannot represent
        let times = self.stats.number_range(def.time_column);
        times.is_none_or(|(first, last)| !(is_of_day(first) && is_of_day(last)))
    }

    /// The key that files must share to be merged with it.
    #[must_use]
    pub fn merge_key(&self, def: &TableDef) -> MergeKey {
        let system = match self.stats.columns.get("system") {
            Some(ColumnStats { min: Bound::Text(min), max: Bound::Text(max), .. }) if min == max => {
                Some(min.clone())
            }
            _ => None,
        };
        MergeKey { day: self.day, is_stray: self.is_stray(def), system }
    }

    /// The entry of the Delta log.
    #[must_use]
    pub(super) fn to_add(&self, def: &TableDef, modified_ms: i64) -> Add {
        Add {
            path: self.path.clone(),
            partition_values: [(DAY_COLUMN.to_owned(), Some(self.day.to_string()))].into(),
            size: i64::try_from(self.size).unwrap_or(i64::MAX),
            modification_time: modified_ms,
            data_change: true,
            stats: Some(self.stats.to_delta(def)),
            tags: None,
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
            clustering_provider: None,
        }
    }
}
