//! Verification: every file is read completely and compared with the Delta log and with the table's contract.
//!
//! It reports damage and its place, and repairs nothing.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{SortOptions, cast, max, max_string, min, min_string};
use arrow::datatypes::{DataType, Int64Type};
use arrow::record_batch::RecordBatch;
use arrow::row::{OwnedRow, RowConverter, SortField};
use chrono::NaiveDate;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Serialize;

use super::file::{Bound, ColumnStats, LakeFile};
use super::paths::Level;
use super::scan::object_path;
use super::schema::{ColumnType, FIRST_DAY, LAST_DAY, RECORD, TableDef};
use super::table::Table;
use super::{Lake, Replaced, StreamId, StreamInfo};
use crate::error::{Error, Result};

/// One problem and its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Table.
    pub table: String,
    /// The object or stream.
    pub place: String,
    /// What is wrong.
    pub problem: String,
}

/// How much of one table was checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// Table.
    pub table: String,
    /// Files read.
    pub files: u64,
    /// Rows counted.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// Objects that the newest version does not name: left behind by a crash, or replaced. Upkeep deletes them later.
    pub unreferenced: u64,
}

/// Position of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamReport {
    /// Stream.
    pub stream: String,
    /// Position by table.
    pub positions: BTreeMap<String, u64>,
}

/// Result of a verification.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// By table.
    pub tables: Vec<TableReport>,
    /// By stream.
    pub streams: Vec<StreamReport>,
    /// What an operator should know although nothing is wrong: ranges that brokers lost or removed.
    pub notes: Vec<String>,
    /// All problems.
    pub findings: Vec<Finding>,
}

/// Returns the streams that a broker group can have.
pub type StreamsOf = fn(&StreamInfo) -> Vec<StreamId>;

impl Lake {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// [`Error::Store`] if the store does not answer. Problems of the data are in the report instead.
    pub async fn verify(&self, streams_of: StreamsOf) -> Result<Report> {
        self.verify_with(streams_of, &|_| {}).await
    }

    /// Bytes that a verification reads.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn bytes_to_verify(&self) -> Result<u64> {
        let mut bytes = 0;
        for table in self.tables() {
            bytes += table.refresh().await?.files.iter().map(|file| file.size).sum::<u64>();
        }
        Ok(bytes)
    }

    /// As [`Lake::verify`]; `done` receives the bytes of files as they are checked.
    ///
    /// # Errors
    /// As [`Lake::verify`].
    pub async fn verify_with(&self, streams_of: StreamsOf, done: &(dyn Fn(u64) + Sync)) -> Result<Report> {
        let mut report = Report::default();
        for table in self.tables() {
            self.verify_table(table, &mut report, done).await?;
        }
        for info in self.streams().await? {
            for stream in streams_of(&info) {
                self.verify_stream(&stream, &mut report).await?;
            }
            report.notes.extend(info.gaps.iter().map(|gap| {
                format!("{}: {} to {} were gone before they could be read", gap.stream, gap.from, gap.to)
            }));
            report.notes.extend(info.replaced.iter().map(|replaced| {
                let Replaced { stream, from, to, .. } = replaced;
                let messages = replaced.messages().map(|count| format!(" with {count} messages"));
                format!(
                    "{stream}: the broker lost offsets {from} to {to}{} and wrote others there; what was read of them \
                     stays",
                    messages.unwrap_or_default()
                )
            }));
        }
        Ok(report)
    }

    async fn verify_table(
        &self,
        table: &Table,
        report: &mut Report,
        done: &(dyn Fn(u64) + Sync),
    ) -> Result<()> {
        let snapshot = table.refresh().await?;
        let mut summary = TableReport { table: table.def.name.to_owned(), ..TableReport::default() };
        let mut named = BTreeSet::new();
        for file in &snapshot.files {
            let path = object_path(&table.folder, &file.path);
            summary.files += 1;
            summary.bytes += file.size;
            let problems = match self.store.objects.get(&path).await {
                Ok(found) => {
                    let bytes =
                        found.bytes().await.map_err(|e| Error::store(format!("reading {path}"), e))?;
                    let (def, file) = (table.def, file.clone());
                    let (rows, problems) =
                        tokio::task::spawn_blocking(move || check_file(def, &file, bytes)).await?;
                    summary.rows += rows;
                    problems
                }
                Err(object_store::Error::NotFound { .. }) => vec!["the file is missing".to_owned()],
                Err(error) => return Err(Error::store(format!("reading {path}"), error)),
            };
            report.findings.extend(problems.into_iter().map(|problem| Finding {
                table: table.def.name.to_owned(),
                place: path.to_string(),
                problem,
            }));
            named.insert(path);
            done(file.size);
        }
        let objects: Vec<_> = self.store.objects.list(Some(&table.folder)).try_collect().await?;
        let is_data = |path: &object_store::path::Path| {
            path.as_ref().ends_with(".parquet") && !path.as_ref().contains("/_delta_log/")
        };
        let stray = objects.iter().filter(|o| is_data(&o.location) && !named.contains(&o.location));
        summary.unreferenced = stray.count() as u64;
        report.tables.push(summary);
        Ok(())
    }

    async fn verify_stream(&self, stream: &StreamId, report: &mut Report) -> Result<()> {
        let mut positions = BTreeMap::new();
        for table in self.tables() {
            if let Some(position) = table.position(stream).await? {
                positions.insert(table.def.name.to_owned(), position);
            }
        }
        let lowest = positions.values().min().copied();
        let mut missing = stream.log.0.tables.iter().map(|def| def.name).collect::<Vec<_>>();
        missing.retain(|name| !positions.contains_key(*name));
        if let Some(highest) = positions.values().max().filter(|_| !missing.is_empty()) {
            report.findings.push(Finding {
                table: missing.join(", "),
                place: stream.to_string(),
                problem: format!(
                    "has no position in it, while others stand at {highest}: an import was interrupted before its first \
                     commit there; run it again"
                ),
            });
        }
        if let Some(lowest) = lowest.filter(|lowest| positions.values().any(|other| other != lowest)) {
            report.findings.push(Finding {
                table: "all".to_owned(),
                place: stream.to_string(),
                problem: format!(
                    "its tables stand at different positions, the last at {lowest}: an import was interrupted; \
                     run it again"
                ),
            });
        }
        if let Some(lowest) = lowest.filter(|_| stream.log.0.state.is_some())
            && let Err(error) = self.state(stream, lowest).await
        {
            report.findings.push(Finding {
                table: RECORD.name.to_owned(),
                place: stream.to_string(),
                problem: error.to_string(),
            });
        }
        if !positions.is_empty() {
            report.streams.push(StreamReport { stream: stream.to_string(), positions });
        }
        Ok(())
    }
}

/// The row count of a file, and its problems.
fn check_file(def: &'static TableDef, file: &LakeFile, bytes: bytes::Bytes) -> (u64, Vec<String>) {
    let mut check = FileCheck {
        def,
        rows: 0,
        bounds: BTreeMap::new(),
        nulls: BTreeMap::new(),
        last: None,
        problems: Vec::new(),
    };
    if bytes.len() as u64 != file.size {
        check.problems.push(format!("it has {} bytes, its commit says {}", bytes.len(), file.size));
    }
    let in_day_folder = file.path.starts_with(&format!("dt={}/", file.day));
    if file.level == Level::Settled && !in_day_folder {
        check.problems.push(format!("it is not in the folder of its day {}", file.day));
    }
    let is_stray = file.is_stray(def);
    if let Err(error) = check.read((!is_stray).then_some(file.day), bytes) {
        check.problems.push(format!("it cannot be read: {error}"));
        return (check.rows, check.problems);
    }
    if check.rows != file.stats.rows {
        check.problems.push(format!("it has {} rows, its commit says {}", check.rows, file.stats.rows));
    }
    for (name, committed) in &file.stats.columns {
        let found = check.stats(name);
        if !found.as_ref().is_some_and(|found| committed.describe(found)) {
            check.problems.push(format!(
                "column `{name}`: the commit's statistics ({committed:?}) are not those of the rows ({found:?})"
            ));
        }
    }
    (check.rows, check.problems)
}

struct FileCheck {
    def: &'static TableDef,
    rows: u64,
    bounds: BTreeMap<&'static str, (Bound, Bound)>,
    nulls: BTreeMap<&'static str, u64>,
    last: Option<OwnedRow>,
    problems: Vec<String>,
}

impl FileCheck {
    /// Reads all rows. `day` is `None` for strays, whose times are not of the file's day.
    fn read(&mut self, day: Option<NaiveDate>, bytes: bytes::Bytes) -> Result<()> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
        let names: Vec<&str> = self.def.columns.iter().map(|column| column.name).collect();
        let found: Vec<String> = reader.schema().fields().iter().map(|f| f.name().clone()).collect();
        // files of an older version lack columns that came later
        let expected: Vec<&str> = self
            .def
            .columns
            .iter()
            .filter(|column| !column.nullable || found.iter().any(|name| name == column.name))
            .map(|column| column.name)
            .collect();
        if found != expected {
            return Err(Error::Invariant(format!("its columns are {found:?}, not {names:?}")));
        }
        let sort = self.def.sort.iter().map(|key| {
            let data_type = reader.schema().field_with_name(key.column)?.data_type().clone();
            let options = SortOptions { descending: key.descending, nulls_first: false };
            Ok(SortField::new_with_options(data_type, options))
        });
        let converter = RowConverter::new(sort.collect::<Result<Vec<_>>>()?)?;
        let mut is_sorted = true;
        for batch in reader.build()? {
            let batch = batch?;
            is_sorted = self.check_order(&converter, &batch)? && is_sorted;
            if let Some(day) = day {
                self.check_day(day, &batch)?;
            }
            self.gather(&batch)?;
            self.rows += batch.num_rows() as u64;
        }
        if !is_sorted {
            self.problems.push("its rows are not in the table's order".to_owned());
        }
        Ok(())
    }

    fn check_order(&mut self, converter: &RowConverter, batch: &RecordBatch) -> Result<bool> {
        let columns: Vec<ArrayRef> =
            self.def.sort.iter().filter_map(|key| batch.column_by_name(key.column).cloned()).collect();
        let rows = converter.convert_columns(&columns)?;
        let mut sorted = true;
        for row in &rows {
            sorted = sorted && self.last.as_ref().is_none_or(|last| last.row() <= row);
            self.last = Some(row.owned());
        }
        Ok(sorted)
    }

    fn check_day(&mut self, day: NaiveDate, batch: &RecordBatch) -> Result<()> {
        let Some(column) = batch.column_by_name(self.def.time_column) else { return Ok(()) };
        let times = cast(column, &DataType::Int64)?;
        let times = times.as_primitive::<Int64Type>();
        let days = (min(times), max(times));
        // days of wrong clocks are clamped to the years 1 to 9999
        let day_of = |ms: i64| {
            let days = ms.div_euclid(24 * 3600 * 1000).clamp(FIRST_DAY, LAST_DAY);
            NaiveDate::default().checked_add_signed(chrono::Duration::days(days))
        };
        if let (Some(first), Some(last)) = days
            && (day_of(first) != Some(day) || day_of(last) != Some(day))
        {
            self.problems.push(format!("it has rows of other days than {day}"));
        }
        Ok(())
    }

    fn gather(&mut self, batch: &RecordBatch) -> Result<()> {
        for column in self.def.columns {
            let Some(array) = batch.column_by_name(column.name) else { continue };
            let bounds = match column.column_type {
                ColumnType::Text => {
                    let texts = array.as_string::<i32>();
                    let text = |t: Option<&str>| t.map(|t| Bound::Text(t.to_owned()));
                    text(min_string(texts)).zip(text(max_string(texts)))
                }
                ColumnType::Int8 | ColumnType::Int32 | ColumnType::Int64 | ColumnType::Time => {
                    let numbers = cast(array, &DataType::Int64)?;
                    let numbers = numbers.as_primitive::<Int64Type>();
                    min(numbers).map(Bound::Number).zip(max(numbers).map(Bound::Number))
                }
                _ => None,
            };
            *self.nulls.entry(column.name).or_default() += array.null_count() as u64;
            let Some((least, greatest)) = bounds else { continue };
            let known = self.bounds.entry(column.name).or_insert_with(|| (least.clone(), greatest.clone()));
            if least < known.0 {
                known.0 = least;
            }
            if greatest > known.1 {
                known.1 = greatest;
            }
        }
        Ok(())
    }

    fn stats(&self, column: &str) -> Option<ColumnStats> {
        let (min, max) = self.bounds.get(column)?.clone();
        Some(ColumnStats { min, max, nulls: self.nulls.get(column).copied().unwrap_or(0) })
    }
}
