//! Messages of a time window, newest or oldest first, page by page.
//!
//! Rows of a subject are sorted newest first in every file. Files are visited in page order, and each is read from the
//! end that comes first in the page, until its rows can no longer be in the page.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::compute::filter_record_batch;
use parquet::file::metadata::RowGroupMetaData;

use super::super::catalog::PinnedTable;
use super::super::files::FileCache;
use super::condition::{Condition, open_conditions, select};
use super::newest::{FIRST_WINDOW_ROWS, MAX_WINDOW_ROWS, take_rows};
use super::pages::{RowRanges, bind, candidates, read, subject_spans};
use super::stored::{MessagePlace, StoredMessage};
use crate::error::Result;
use crate::lake::LakeFile;

/// Maximum bytes of rows read by a step, by the average row of the row group.
const WINDOW_BYTES: i64 = 16 << 20;
/// Minimum rows read by a step, however wide they are.
const MIN_WINDOW_ROWS: usize = 32;

/// Order of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Newest first.
    Newest,
    /// Oldest first.
    Oldest,
}

/// The messages of one subject that a query wants.
#[derive(Debug, Clone)]
pub struct SubjectQuery {
    /// Subject.
    pub subject: String,
    /// Conditions besides the window.
    pub conditions: Vec<Condition>,
}

/// A query for a page of messages.
#[derive(Debug, Clone)]
pub struct WindowQuery {
    /// Subjects, merged into one order.
    pub subjects: Vec<SubjectQuery>,
    /// Tag that messages must have, if any.
    pub tag: Option<String>,
    /// First millisecond, included.
    pub from: i64,
    /// End of the window in milliseconds, not included.
    pub to: i64,
    /// Order of the page.
    pub order: Order,
    /// Sort key at which the page begins, included.
    pub start: Option<MessagePlace>,
    /// Rows wanted.
    pub limit: usize,
}

/// The first `limit` messages of the page.
///
/// # Errors
/// [`crate::error::Error::Store`].
pub async fn window(
    files: &FileCache,
    table: &PinnedTable,
    query: &WindowQuery,
) -> Result<Vec<StoredMessage>> {
    let (mut from, mut last) = (query.from, query.to.saturating_sub(1));
    if let Some(start) = &query.start {
        match query.order {
            Order::Newest => last = last.min(start.time),
            Order::Oldest => from = from.max(start.time),
        }
    }
    let mut page = Page { rows: BTreeMap::new(), query };
    if query.limit == 0 || from > last {
        return Ok(Vec::new());
    }
    let in_window = Condition::Number("create_time", from, last);
    for subject in &query.subjects {
        let mut matching: Vec<(i64, &Arc<LakeFile>)> = table
            .files
            .iter()
            .filter(|file| file.stats.may_contain_text("subject", &subject.subject))
            .filter(|file| in_window.may_match_file(&file.stats))
            .filter(|file| subject.conditions.iter().all(|condition| condition.may_match_file(&file.stats)))
            .map(|file| (page.best_time(file), file))
            .collect();
        matching.sort_by_key(|(time, _)| match query.order {
            Order::Newest => time.saturating_neg(),
            Order::Oldest => *time,
        });
        for (best, file) in matching {
            if page.is_past(best) {
                break;
            }
            read_file(files, table, file, subject, &in_window, &mut page).await?;
        }
    }
    let rows = page.rows.into_values();
    Ok(match query.order {
        Order::Newest => rows.rev().collect(),
        Order::Oldest => rows.collect(),
    })
}

async fn read_file(
    files: &FileCache,
    table: &PinnedTable,
    file: &LakeFile,
    subject: &SubjectQuery,
    in_window: &Condition,
    page: &mut Page<'_>,
) -> Result<()> {
    let reader = files.reader(&table.folder, file);
    let def = table.snapshot.def;
    let runs = files.runs(&reader, def).await?;
    let mut conditions = open_conditions(&subject.conditions, &file.stats);
    conditions.push(in_window.clone());
    let mut spans = subject_spans(&runs, def, &subject.subject, &conditions);
    if spans.is_empty() {
        return Ok(());
    }
    if page.query.order == Order::Oldest {
        spans.reverse();
    }
    let index = reader.index().await?;
    let mut columns = StoredMessage::COLUMNS.to_vec();
    columns.extend(conditions.iter().map(Condition::column));
    for span in spans {
        let max_rows = index.parquet.row_groups().get(span.row_group).map_or(MAX_WINDOW_ROWS, max_rows);
        let mut window_rows = FIRST_WINDOW_ROWS.max(page.query.limit).min(max_rows);
        let mut left = candidates(&index.parquet, &span, &bind(&index.parquet, &conditions));
        while !left.is_empty() {
            let ranges = match page.query.order {
                Order::Newest => take_rows(&mut left, window_rows),
                Order::Oldest => take_last_rows(&mut left, window_rows),
            };
            window_rows = (window_rows * 2).min(max_rows);
            let mut reached = None;
            for batch in read(reader.clone(), &index, span.row_group, &ranges, &columns).await? {
                let kept = filter_record_batch(&batch, &select(&batch, &conditions)?)?;
                for message in StoredMessage::of(&kept)? {
                    reached = Some(match (reached, page.query.order) {
                        (Some(reached), Order::Newest) => message.order_time.min(reached),
                        (Some(reached), Order::Oldest) => message.order_time.max(reached),
                        (None, _) => message.order_time,
                    });
                    page.add(message);
                }
            }
            if reached.is_some_and(|time| page.is_past(time)) {
                break;
            }
        }
    }
    Ok(())
}

/// Maximum rows of a row group read by a step: fewer where rows are wide.
fn max_rows(group: &RowGroupMetaData) -> usize {
    let row_bytes = group.total_byte_size() / group.num_rows().max(1);
    let rows = WINDOW_BYTES / row_bytes.max(1);
    usize::try_from(rows).unwrap_or(MAX_WINDOW_ROWS).clamp(MIN_WINDOW_ROWS, MAX_WINDOW_ROWS)
}

/// Removes the last `rows` rows from the ranges and returns them.
fn take_last_rows(ranges: &mut RowRanges, rows: usize) -> RowRanges {
    let mut taken = Vec::new();
    let mut missing = rows;
    while missing > 0 {
        let Some(range) = ranges.pop() else { break };
        if range.len() > missing {
            let cut = range.end - missing;
            ranges.push(range.start..cut);
            taken.push(cut..range.end);
            break;
        }
        missing -= range.len();
        taken.push(range);
    }
    taken.reverse();
    taken
}

/// The first rows in page order, of those read so far, keyed in ascending order.
struct Page<'a> {
    rows: BTreeMap<MessagePlace, StoredMessage>,
    query: &'a WindowQuery,
}

impl Page<'_> {
    fn add(&mut self, message: StoredMessage) {
        if self.query.tag.is_some() && message.tags != self.query.tag {
            return;
        }
        let place = message.place();
        let is_before_start = self.query.start.as_ref().is_some_and(|start| match self.query.order {
            Order::Newest => place > *start,
            Order::Oldest => place < *start,
        });
        if is_before_start {
            return;
        }
        self.rows.insert(place, message);
        if self.rows.len() > self.query.limit {
            match self.query.order {
                Order::Newest => self.rows.pop_first(),
                Order::Oldest => self.rows.pop_last(),
            };
        }
    }

    /// Time of the row of a file that is first in page order.
    fn best_time(&self, file: &LakeFile) -> i64 {
        let (oldest, newest) = file.stats.number_range("create_time").unwrap_or((i64::MIN, i64::MAX));
        match self.query.order {
            Order::Newest => newest,
            Order::Oldest => oldest,
        }
    }

    /// Whether the page is full and ends before this time.
    fn is_past(&self, time: i64) -> bool {
        if self.rows.len() < self.query.limit {
            return false;
        }
        match self.query.order {
            Order::Newest => self.rows.first_key_value().is_some_and(|(place, _)| time < place.time),
            Order::Oldest => self.rows.last_key_value().is_some_and(|(place, _)| time > place.time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rows_are_taken_first() {
        let range = |from, to| from..to;
        let mut left = vec![range(0, 10), range(20, 25)];
        assert_eq!(take_last_rows(&mut left, 7), [range(8, 10), range(20, 25)]);
        assert_eq!(left, [range(0, 8)]);
        assert_eq!(take_last_rows(&mut left, 100), [range(0, 8)]);
        assert!(left.is_empty());
    }
}
