//! Finds the rows of a row group that can satisfy the conditions, by statistics and the page index alone, and reads
//! only those rows.

use std::ops::Range;

use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;

use super::super::files::{CachedReader, FileCache, FileIndex, off_the_request_threads};
use super::super::runs::{FileRuns, Run, span_column};
use super::condition::Condition;
use crate::error::{Error, Result};
use crate::lake::schema::TableDef;

/// Maximum rows that are decoded on the request's own thread: for so few, handing over to another thread takes longer.
const MAX_ROWS_ON_THIS_THREAD: usize = 2048;

/// Rows of one row group, as ascending ranges.
pub(super) type RowRanges = Vec<Range<usize>>;

/// Index of a flat column among the leaf columns of a file.
fn leaf(metadata: &ParquetMetaData, column: &str) -> Option<usize> {
    let leaves = metadata.file_metadata().schema_descr().columns();
    leaves.iter().position(|leaf| leaf.path().parts() == [column])
}

/// A range of rows in one row group.
pub(super) struct RowSpan {
    pub(super) row_group: usize,
    pub(super) rows: Range<usize>,
}

/// Rows of a subject that can satisfy the conditions, by the runs of the file.
pub(super) fn subject_spans(
    runs: &FileRuns,
    def: &TableDef,
    subject: &str,
    conditions: &[Condition],
) -> Vec<RowSpan> {
    let span = span_column(def);
    let may_match = |run: &&Run| {
        conditions.iter().all(|condition| match condition.column() {
            "kind" => condition.may_match_number(run.kind, run.kind),
            column if column == span => condition.may_match_number(Some(run.least), Some(run.greatest)),
            _ => true,
        })
    };
    let runs = runs.of(subject).iter().filter(may_match);
    runs.map(|run| RowSpan { row_group: run.row_group, rows: run.rows.clone() }).collect()
}

/// All rows of a file.
pub(super) fn whole_file(metadata: &ParquetMetaData) -> Vec<RowSpan> {
    let groups = metadata.row_groups().iter().enumerate();
    groups
        .map(|(row_group, group)| RowSpan {
            row_group,
            rows: 0..usize::try_from(group.num_rows()).unwrap_or(0),
        })
        .collect()
}

/// Conditions, each with the leaf index of its column.
pub(super) type Bound<'a> = Vec<(usize, &'a Condition)>;

/// Binds the conditions whose columns the file has.
pub(super) fn bind<'a>(metadata: &ParquetMetaData, conditions: &'a [Condition]) -> Bound<'a> {
    conditions.iter().filter_map(|condition| Some((leaf(metadata, condition.column())?, condition))).collect()
}

/// Rows of a span that can satisfy all conditions.
pub(super) fn candidates(metadata: &ParquetMetaData, span: &RowSpan, conditions: &Bound<'_>) -> RowRanges {
    let row_group = span.row_group;
    let Some(group) = metadata.row_groups().get(row_group) else { return Vec::new() };
    if !conditions.iter().all(|(leaf, condition)| may_match_group(group, *leaf, condition)) {
        return Vec::new();
    }
    let rows = usize::try_from(group.num_rows()).unwrap_or(0);
    let mut ranges: RowRanges = std::iter::once(span.rows.clone()).collect();
    for (leaf, condition) in conditions {
        let leaf = *leaf;
        let span = ranges.first().map_or(0, |range| range.start)..ranges.last().map_or(0, |range| range.end);
        if let Some(pages) = matching_pages(metadata, row_group, leaf, rows, &span, condition) {
            ranges = intersect(&ranges, &pages);
        }
        if ranges.is_empty() {
            break;
        }
    }
    ranges
}

fn may_match_group(group: &RowGroupMetaData, leaf: usize, condition: &Condition) -> bool {
    let Some(statistics) = group.columns().get(leaf).and_then(|column| column.statistics()) else {
        return true;
    };
    match statistics {
        Statistics::Int32(s) => {
            condition.may_match_number(s.min_opt().map(|n| i64::from(*n)), s.max_opt().map(|n| i64::from(*n)))
        }
        Statistics::Int64(s) => condition.may_match_number(s.min_opt().copied(), s.max_opt().copied()),
        Statistics::ByteArray(s) => {
            condition.may_match_text(s.min_opt().map(|b| b.data()), s.max_opt().map(|b| b.data()))
        }
        _ => true,
    }
}

fn matching_pages(
    metadata: &ParquetMetaData,
    row_group: usize,
    leaf: usize,
    rows: usize,
    span: &Range<usize>,
    condition: &Condition,
) -> Option<RowRanges> {
    let index = metadata.column_index()?.get(row_group)?.get(leaf)?;
    let locations = metadata.offset_index()?.get(row_group)?.get(leaf)?.page_locations();
    let start = |page: usize| {
        locations.get(page).and_then(|l| usize::try_from(l.first_row_index).ok()).unwrap_or(rows)
    };
    let mut ranges: RowRanges = Vec::new();
    let starts_by = |row: usize| {
        locations.partition_point(|l| usize::try_from(l.first_row_index).is_ok_and(|first| first <= row))
    };
    let first = starts_by(span.start).saturating_sub(1);
    for page in first..starts_by(span.end) {
        if !may_match_page(index, page, condition) {
            continue;
        }
        let (from, to) = (start(page), start(page + 1));
        match ranges.last_mut() {
            Some(last) if last.end == from => last.end = to,
            _ => ranges.push(from..to),
        }
    }
    Some(ranges)
}

fn may_match_page(index: &ColumnIndexMetaData, page: usize, condition: &Condition) -> bool {
    match index {
        ColumnIndexMetaData::INT32(i) => condition.may_match_number(
            i.min_value(page).map(|n| i64::from(*n)),
            i.max_value(page).map(|n| i64::from(*n)),
        ),
        ColumnIndexMetaData::INT64(i) => {
            condition.may_match_number(i.min_value(page).copied(), i.max_value(page).copied())
        }
        ColumnIndexMetaData::BYTE_ARRAY(i) => condition.may_match_text(i.min_value(page), i.max_value(page)),
        _ => true,
    }
}

/// Rows that are in both.
fn intersect(a: &[Range<usize>], b: &[Range<usize>]) -> RowRanges {
    let mut both = Vec::new();
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while let (Some(left), Some(right)) = (a.peek(), b.peek()) {
        let range = left.start.max(right.start)..left.end.min(right.end);
        let left_ends_first = left.end < right.end;
        if !range.is_empty() {
            both.push(range);
        }
        if left_ends_first {
            a.next();
        } else {
            b.next();
        }
    }
    both
}

/// Whether rows of a row group can satisfy the conditions, by its bloom filters.
pub(super) async fn blooms_pass(
    files: &FileCache,
    reader: &CachedReader,
    index: &FileIndex,
    row_group: usize,
    conditions: &Bound<'_>,
) -> Result<bool> {
    for (leaf, condition) in conditions {
        let (leaf, Condition::Text(_, text)) = (*leaf, condition) else { continue };
        let group = index.parquet.row_groups().get(row_group);
        let has_bloom = group
            .and_then(|group| group.columns().get(leaf))
            .is_some_and(|column| column.bloom_filter_offset().is_some());
        if has_bloom && !files.may_contain(reader.clone(), index, row_group, leaf, text).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads the given rows of a row group, in order.
pub(super) async fn read(
    reader: CachedReader,
    index: &FileIndex,
    row_group: usize,
    ranges: &[Range<usize>],
    columns: &[&str],
) -> Result<Vec<RecordBatch>> {
    let wanted: usize = ranges.iter().map(ExactSizeIterator::len).sum();
    let path = reader.path.clone();
    let mask = ProjectionMask::columns(index.parquet.file_metadata().schema_descr(), columns.iter().copied());
    let fail = |error| Error::store(format!("reading {path}"), error);
    let stream = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, index.arrow.clone())
        .with_row_groups(vec![row_group])
        .with_row_selection(selection(ranges))
        .with_projection(mask)
        .with_batch_size(wanted.clamp(1, 8192))
        .build()
        .map_err(fail)?;
    if wanted > MAX_ROWS_ON_THIS_THREAD {
        return off_the_request_threads(stream.try_collect()).await?.map_err(fail);
    }
    stream.try_collect().await.map_err(fail)
}

fn selection(ranges: &[Range<usize>]) -> RowSelection {
    let mut selectors = Vec::with_capacity(ranges.len() * 2);
    let mut at = 0;
    for range in ranges {
        if range.start > at {
            selectors.push(RowSelector::skip(range.start - at));
        }
        selectors.push(RowSelector::select(range.len()));
        at = range.end;
    }
    RowSelection::from(selectors)
}

#[cfg(test)]
mod tests {
    use super::intersect;

    #[test]
    fn intersections() {
        let range = |from, to| from..to;
        assert_eq!(intersect(&[range(0, 10)], &[range(2, 4), range(6, 12)]), [2..4, 6..10]);
        assert!(intersect(&[range(0, 2), range(5, 9)], &[range(2, 5)]).is_empty());
        assert_eq!(intersect(&[range(0, 5), range(5, 9)], &[range(3, 7)]), [3..5, 5..7]);
    }
}
