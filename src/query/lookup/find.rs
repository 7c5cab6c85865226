//! All rows of a table that satisfy a set of conditions, for conditions that few rows satisfy.
//!
//! Either one step reads all columns, or, where rows are wide compared with the columns of the conditions, the first
//! step finds the rows and the second reads more columns of the rows that the caller takes.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::record_batch::RecordBatch;
use futures::{StreamExt, TryStreamExt, stream};

use super::super::catalog::PinnedTable;
use super::super::files::{CachedReader, FileCache};
use super::condition::{Condition, open_conditions, select};
use super::pages::{bind, blooms_pass, candidates, read, subject_spans, whole_file};
use crate::error::{Error, Result};
use crate::lake::LakeFile;

/// Files read at the same time.
pub(super) const CONCURRENT_FILES: usize = 8;

/// Rows of one row group that satisfy the conditions.
#[derive(Debug)]
pub(super) struct Located {
    reader: CachedReader,
    row_group: usize,
    /// Indexes of the rows inside the row group, ascending.
    rows: Vec<usize>,
    /// The columns read so far.
    pub(super) batch: RecordBatch,
}

impl Located {
    /// Reads more columns of some of the rows. `wanted` has indexes into the batch, ascending.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub(super) async fn fetch(&self, wanted: &[usize], columns: &[&str]) -> Result<Vec<RecordBatch>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for row in wanted.iter().filter_map(|index| self.rows.get(*index)) {
            match ranges.last_mut() {
                Some(last) if last.end == *row => last.end += 1,
                _ => ranges.push(*row..*row + 1),
            }
        }
        if ranges.is_empty() {
            return Ok(Vec::new());
        }
        read(self.reader.clone(), &self.reader.index().await?, self.row_group, &ranges, columns).await
    }
}

/// Every row of a subject that satisfies all conditions, with the named columns and those of the conditions.
///
/// # Errors
/// [`crate::error::Error::Store`].
pub async fn find(
    files: &FileCache,
    table: &PinnedTable,
    subject: &str,
    conditions: &[Condition],
    columns: &[&'static str],
) -> Result<Vec<RecordBatch>> {
    let located = locate(files, table, Some(subject), conditions, columns).await?;
    Ok(located.into_iter().map(|located| located.batch).collect())
}

/// As [`find`], over all subjects, or in a table whose order does not begin with the subject.
///
/// # Errors
/// [`crate::error::Error::Store`].
pub async fn find_anywhere(
    files: &FileCache,
    table: &PinnedTable,
    conditions: &[Condition],
    columns: &[&'static str],
) -> Result<Vec<RecordBatch>> {
    let located = locate(files, table, None, conditions, columns).await?;
    Ok(located.into_iter().map(|located| located.batch).collect())
}

/// As [`find`], over all subjects if none is given. More columns can be fetched later.
///
/// # Errors
/// [`crate::error::Error::Store`].
pub(super) async fn locate(
    files: &FileCache,
    table: &PinnedTable,
    subject: Option<&str>,
    conditions: &[Condition],
    columns: &[&'static str],
) -> Result<Vec<Located>> {
    let matching = matching_files(table, subject, conditions);
    locate_in(files, table, matching.into_iter(), subject, conditions, columns).await
}

/// Files of a table that can contain rows of the subject that satisfy all conditions.
pub(super) fn matching_files<'t>(
    table: &'t PinnedTable,
    subject: Option<&str>,
    conditions: &[Condition],
) -> Vec<&'t Arc<LakeFile>> {
    let files = table.files.iter();
    files
        .filter(|file| subject.is_none_or(|subject| file.stats.may_contain_text("subject", subject)))
        .filter(|file| conditions.iter().all(|condition| condition.may_match_file(&file.stats)))
        .collect()
}

/// As [`locate`], in some files of the table.
///
/// # Errors
/// [`Error::Store`]; [`Error::Limit`] if more rows are found than one lookup may find.
pub(super) async fn locate_in<'t>(
    files: &FileCache,
    table: &PinnedTable,
    wanted: impl Iterator<Item = &'t Arc<LakeFile>>,
    subject: Option<&str>,
    conditions: &[Condition],
    columns: &[&'static str],
) -> Result<Vec<Located>> {
    let taken = Taken { rows: AtomicUsize::new(0), bytes: AtomicUsize::new(0), files };
    let searches: Vec<_> =
        wanted.map(|file| locate_in_file(files, table, file, subject, conditions, columns, &taken)).collect();
    let found: Vec<Vec<Located>> = stream::iter(searches).buffered(CONCURRENT_FILES).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// Rows and bytes that a lookup has found so far.
struct Taken<'a> {
    rows: AtomicUsize,
    bytes: AtomicUsize,
    files: &'a FileCache,
}

impl Taken<'_> {
    fn add(&self, batch: &RecordBatch) -> Result<()> {
        let rows = self.rows.fetch_add(batch.num_rows(), Ordering::Relaxed) + batch.num_rows();
        let size = batch.get_array_memory_size();
        let bytes = self.bytes.fetch_add(size, Ordering::Relaxed) + size;
        let (max_rows, max_bytes) = (self.files.max_rows(), self.files.max_bytes());
        if rows > max_rows {
            return Err(Error::Limit(format!(
                "more than {max_rows} rows are meant (http.max_lookup_rows); ask for a shorter time (`from`, `to`) or for one message"
            )));
        }
        if bytes > max_bytes {
            return Err(Error::Limit(format!(
                "the rows that are meant take up more than {max_bytes} bytes (four times http.max_answer_bytes); ask for a \
                 shorter time or for one message"
            )));
        }
        Ok(())
    }
}

async fn locate_in_file(
    files: &FileCache,
    table: &PinnedTable,
    file: &LakeFile,
    subject: Option<&str>,
    conditions: &[Condition],
    columns: &[&'static str],
    taken: &Taken<'_>,
) -> Result<Vec<Located>> {
    let reader = files.reader(&table.folder, file);
    let conditions = &open_conditions(conditions, &file.stats);
    let spans = match subject {
        Some(subject) => {
            let runs = files.runs(&reader, table.snapshot.def).await?;
            subject_spans(&runs, table.snapshot.def, subject, conditions)
        }
        None => whole_file(&reader.index().await?.parquet),
    };
    if spans.is_empty() {
        return Ok(Vec::new());
    }
    let index = reader.index().await?;
    let mut all: Vec<&'static str> = columns.to_vec();
    all.extend(conditions.iter().map(Condition::column));
    let bound = bind(&index.parquet, conditions);
    let mut found = Vec::new();
    for span in spans {
        let row_group = span.row_group;
        let ranges = candidates(&index.parquet, &span, &bound);
        if ranges.is_empty() || !blooms_pass(files, &reader, &index, row_group, &bound).await? {
            continue;
        }
        let mut left = ranges.iter().cloned().flatten();
        for batch in read(reader.clone(), &index, row_group, &ranges, &all).await? {
            let keep = select(&batch, conditions)?;
            let rows = kept_rows(left.by_ref().take(batch.num_rows()), &keep);
            if !rows.is_empty() {
                let batch = filter_record_batch(&batch, &keep)?;
                taken.add(&batch)?;
                found.push(Located { reader: reader.clone(), row_group, rows, batch });
            }
        }
    }
    Ok(found)
}

fn kept_rows(rows: impl Iterator<Item = usize>, keep: &BooleanArray) -> Vec<usize> {
    rows.zip(keep.values()).filter_map(|(row, keep)| keep.then_some(row)).collect()
}
