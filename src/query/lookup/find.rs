//! All rows of a table that satisfy a set of conditions; for conditions that few rows satisfy.

use arrow::compute::filter_record_batch;
use arrow::record_batch::RecordBatch;
use futures::{StreamExt, TryStreamExt, stream};

use super::super::catalog::PinnedTable;
use super::super::files::FileCache;
use super::condition::{Condition, open_conditions, select};
use super::pages::{blooms_pass, candidates, everywhere, places, read};
use crate::error::Result;
use crate::lake::LakeFile;

/// Files read at the same time.
const CONCURRENT_FILES: usize = 8;

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
    find_in(files, table, Some(subject), conditions, columns).await
}

/// As [`find`], in a table whose order does not begin with the subject, or over all subjects.
///
/// # Errors
/// [`crate::error::Error::Store`].
pub async fn find_anywhere(
    files: &FileCache,
    table: &PinnedTable,
    conditions: &[Condition],
    columns: &[&'static str],
) -> Result<Vec<RecordBatch>> {
    find_in(files, table, None, conditions, columns).await
}

async fn find_in(
    files: &FileCache,
    table: &PinnedTable,
    subject: Option<&str>,
    conditions: &[Condition],
    columns: &[&'static str],
) -> Result<Vec<RecordBatch>> {
    let matching = table.files.iter();
    let searches: Vec<_> = matching
        .filter(|file| subject.is_none_or(|subject| file.stats.may_contain_text("subject", subject)))
        .filter(|file| conditions.iter().all(|condition| condition.may_match_file(&file.stats)))
        .map(|file| find_in_file(files, table, file, subject, conditions, columns))
        .collect();
    let found: Vec<Vec<RecordBatch>> =
        stream::iter(searches).buffered(CONCURRENT_FILES).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

async fn find_in_file(
    files: &FileCache,
    table: &PinnedTable,
    file: &LakeFile,
    subject: Option<&str>,
    conditions: &[Condition],
    columns: &[&'static str],
) -> Result<Vec<RecordBatch>> {
    let reader = files.reader(&table.folder, file);
    let conditions = &open_conditions(conditions, &file.stats);
    let places = match subject {
        Some(subject) => {
            let runs = files.runs(&reader, table.snapshot.def).await?;
            places(&runs, table.snapshot.def, subject, conditions)
        }
        None => everywhere(&reader.index().await?.parquet),
    };
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let index = reader.index().await?;
    let mut all: Vec<&'static str> = columns.to_vec();
    all.extend(conditions.iter().map(Condition::column));
    let mut found = Vec::new();
    for place in places {
        let row_group = place.row_group;
        let ranges = candidates(&index.parquet, &place, conditions);
        if ranges.is_empty() || !blooms_pass(files, &reader, &index, row_group, conditions).await? {
            continue;
        }
        for batch in read(reader.clone(), &index, row_group, &ranges, &all).await? {
            let kept = filter_record_batch(&batch, &select(&batch, conditions)?)?;
            if kept.num_rows() > 0 {
                found.push(kept);
            }
        }
    }
    Ok(found)
}
