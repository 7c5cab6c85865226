//! Where each subject lies in a file: its run of rows in every row group, with the span of one more column.
//!
//! Files are sorted by subject first, so a subject is one run in each row group. Where the kind comes second in the
//! order, it is one run for each kind, because retries have sequences of their own. The page index gives runs only
//! roughly, since the pages at the ends of a run hold other subjects too. With the exact runs in memory, a subject or a
//! sequence that is not in a file costs no read. Runs are gathered once a file: at its first lookup, or by
//! [`super::Catalog::warm`].

use std::ops::Range;

use arrow::array::{Array, AsArray, DictionaryArray};
use arrow::datatypes::Int32Type;
use arrow::record_batch::RecordBatch;

use super::lookup::Numbers;
use crate::error::{Error, Result};
use crate::lake::schema::TableDef;

/// Rows of one subject in one row group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    /// Row group.
    pub(super) row_group: usize,
    /// Rows inside the row group.
    pub(super) rows: Range<usize>,
    /// Subject.
    pub(super) subject: Box<str>,
    /// Kind, in tables whose order has the kind second.
    pub(super) kind: Option<i64>,
    /// Least value of [`span_column`] in these rows.
    pub(super) least: i64,
    /// Greatest value of it.
    pub(super) greatest: i64,
}

/// The runs of a file, in the order of its rows.
#[derive(Debug, Default)]
pub(super) struct FileRuns {
    runs: Vec<Run>,
}

/// The column whose span is kept with each run: lookups prune the runs of a subject by it.
pub(super) fn span_column(def: &TableDef) -> &'static str {
    match def.index_of("sequence") {
        Some(_) if def.sort.iter().any(|key| key.column == "sequence") => "sequence",
        _ => def.time_column,
    }
}

/// Whether a table is sorted by kind right after the subject.
pub(super) fn is_by_kind(def: &TableDef) -> bool {
    def.sort.get(1).is_some_and(|key| key.column == "kind")
}

impl FileRuns {
    /// Runs of a subject: one for each row group, or for each row group and kind.
    pub(super) fn of(&self, subject: &str) -> &[Run] {
        let start = self.runs.partition_point(|run| &*run.subject < subject);
        let end = self.runs.partition_point(|run| &*run.subject <= subject);
        self.runs.get(start..end).unwrap_or_default()
    }

    /// The subject of each run, in order; a subject can come several times.
    pub(super) fn subjects(&self) -> impl Iterator<Item = &str> {
        self.runs.iter().map(|run| &*run.subject)
    }

    /// Approximate bytes in memory.
    pub(super) fn heap_bytes(&self) -> usize {
        self.runs.iter().map(|run| size_of::<Run>() + run.subject.len()).sum()
    }

    /// Adds the rows of a batch that begins at row `at` of a row group.
    pub(super) fn add(
        &mut self,
        row_group: usize,
        at: usize,
        batch: &RecordBatch,
        span: &str,
        by_kind: bool,
    ) -> Result<()> {
        let unexpected = || Error::Invariant("a data file's subjects have an unexpected type".to_owned());
        let subjects = batch.column_by_name("subject").ok_or_else(unexpected)?;
        let subjects: &DictionaryArray<Int32Type> = subjects.as_dictionary_opt().ok_or_else(unexpected)?;
        let names = subjects.values().as_string_opt::<i32>().ok_or_else(unexpected)?;
        let spans = batch.column_by_name(span).ok_or_else(unexpected)?;
        let spans = Numbers::of(spans).ok_or_else(unexpected)?;
        let kinds = match batch.column_by_name("kind").filter(|_| by_kind) {
            Some(kinds) => Some(Numbers::of(kinds).ok_or_else(unexpected)?),
            None => None,
        };
        let mut last_key = None;
        for (row, key) in subjects.keys().values().iter().enumerate() {
            let value = spans.get(row).unwrap_or_default();
            let position = at + row;
            let kind = kinds.as_ref().and_then(|kinds| kinds.get(row));
            if last_key != Some((*key, kind)) {
                last_key = Some((*key, kind));
                let name = usize::try_from(*key)
                    .ok()
                    .filter(|key| *key < names.len())
                    .map_or("", |k| names.value(k));
                let continues = self.runs.last().is_some_and(|run| {
                    run.row_group == row_group && run.kind == kind && &*run.subject == name
                });
                if !continues {
                    let (rows, subject) = (position..position, name.into());
                    self.runs.push(Run { row_group, rows, subject, kind, least: value, greatest: value });
                }
            }
            if let Some(run) = self.runs.last_mut() {
                run.rows.end = position + 1;
                run.least = run.least.min(value);
                run.greatest = run.greatest.max(value);
            }
        }
        Ok(())
    }
}
