//! The newest messages of a subject: one page of a list.
//!
//! Rows of a subject are sorted newest first in every file. Files are visited in the order of their newest rows, and
//! each is read only until its rows are older than the last row of the page. So the page of a frequent subject costs as
//! much as that of a rare one.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::compute::filter_record_batch;

use super::super::catalog::PinnedTable;
use super::super::files::FileCache;
use super::condition::{Condition, open_conditions, select};
use super::pages::{RowRanges, bind, candidates, read, subject_spans};
use super::rows::{MessageKey, MessageRow};
use crate::error::Result;
use crate::lake::LakeFile;
use crate::lake::schema::MESSAGE;

/// Rows read by the first step in a file. Each further step doubles until the page is full.
pub(super) const FIRST_WINDOW_ROWS: usize = 256;
/// Maximum rows read by a step.
pub(super) const MAX_WINDOW_ROWS: usize = 32 * 1024;

/// A query for a page of a list.
#[derive(Debug, Clone)]
pub struct NewestQuery {
    /// Subject.
    pub subject: String,
    /// Conditions besides the window, such as kind and group.
    pub conditions: Vec<Condition>,
    /// First second of the create time, included.
    pub first_second: i64,
    /// Last second of the create time, included.
    pub last_second: i64,
    /// Sort key at which the page begins, included.
    pub from: Option<MessageKey>,
    /// Rows wanted.
    pub limit: usize,
}

/// The first `limit` rows in list order.
///
/// # Errors
/// [`crate::error::Error::Store`].
pub async fn newest(files: &FileCache, table: &PinnedTable, query: &NewestQuery) -> Result<Vec<MessageRow>> {
    let last_second = match &query.from {
        Some(from) => query.last_second.min(from.second.0),
        None => query.last_second,
    };
    if query.limit == 0 || query.first_second > last_second {
        return Ok(Vec::new());
    }
    let mut page = Page { rows: BTreeMap::new(), limit: query.limit, from: query.from.clone() };
    let window = window(query.first_second, last_second);
    let mut matching: Vec<(i64, &Arc<LakeFile>)> = table
        .files
        .iter()
        .filter(|file| file.stats.may_contain_text("subject", &query.subject))
        .filter(|file| window.may_match_file(&file.stats))
        .filter(|file| query.conditions.iter().all(|condition| condition.may_match_file(&file.stats)))
        .map(|file| (file.stats.number_range("create_time").map_or(i64::MAX, |(_, max)| max), file))
        .collect();
    matching.sort_by_key(|(newest, _)| std::cmp::Reverse(*newest));
    for (newest, file) in matching {
        if page.is_past(newest.div_euclid(1000)) {
            break;
        }
        read_file(files, table, file, query, last_second, &mut page).await?;
    }
    Ok(page.rows.into_values().collect())
}

async fn read_file(
    files: &FileCache,
    table: &PinnedTable,
    file: &LakeFile,
    query: &NewestQuery,
    last_second: i64,
    page: &mut Page,
) -> Result<()> {
    let reader = files.reader(&table.folder, file);
    let def = table.snapshot.def;
    let runs = files.runs(&reader, def).await?;
    let whole_window = [window(query.first_second, last_second)];
    let spans = subject_spans(&runs, def, &query.subject, &whole_window);
    if spans.is_empty() {
        return Ok(());
    }
    let index = reader.index().await?;
    let open = open_conditions(&query.conditions, &file.stats);
    let mut columns = MessageRow::COLUMNS.to_vec();
    columns.extend(open.iter().map(Condition::column));
    // `message` is in time order within a subject, `dead_message` only within a group
    let in_time_order = def.name == MESSAGE.name
        || query.conditions.iter().any(|condition| condition.column() == "consumer_group");
    for span in spans {
        let row_group = span.row_group;
        let mut window_rows = FIRST_WINDOW_ROWS.max(query.limit.min(MAX_WINDOW_ROWS));
        // a full page raises the lower bound of the window
        let first_second = query.first_second.max(page.oldest_second().unwrap_or(i64::MIN));
        let mut conditions = open.clone();
        conditions.push(window(first_second, last_second));
        let mut left = candidates(&index.parquet, &span, &bind(&index.parquet, &conditions));
        while !left.is_empty() {
            let ranges = take_rows(&mut left, window_rows);
            window_rows = (window_rows * 2).min(MAX_WINDOW_ROWS);
            let mut oldest = None;
            for batch in read(reader.clone(), &index, row_group, &ranges, &columns).await? {
                let kept = filter_record_batch(&batch, &select(&batch, &conditions)?)?;
                for row in MessageRow::of(&kept)? {
                    oldest = Some(row.second());
                    page.add(row);
                }
            }
            if in_time_order && oldest.is_some_and(|second| page.is_past(second)) {
                break;
            }
        }
    }
    Ok(())
}

fn window(first_second: i64, last_second: i64) -> Condition {
    Condition::Number(
        "create_time",
        first_second.saturating_mul(1000),
        last_second.saturating_mul(1000).saturating_add(999),
    )
}

/// Removes the first `rows` rows from the ranges and returns them.
pub(super) fn take_rows(ranges: &mut RowRanges, rows: usize) -> RowRanges {
    let mut taken = Vec::new();
    let mut missing = rows;
    while missing > 0 && !ranges.is_empty() {
        let range = ranges.remove(0);
        if range.len() > missing {
            let cut = range.start + missing;
            ranges.insert(0, cut..range.end);
            taken.push(range.start..cut);
            break;
        }
        missing -= range.len();
        taken.push(range);
    }
    taken
}

/// The first rows in list order, of those read so far.
struct Page {
    rows: BTreeMap<MessageKey, MessageRow>,
    limit: usize,
    from: Option<MessageKey>,
}

impl Page {
    fn add(&mut self, row: MessageRow) {
        if self.oldest_second().is_some_and(|oldest| row.second() < oldest) {
            return;
        }
        let key = row.key();
        if self.from.as_ref().is_some_and(|from| key < *from) {
            return;
        }
        self.rows.insert(key, row);
        if self.rows.len() > self.limit {
            self.rows.pop_last();
        }
    }

    /// The second of the last row, if the page is full.
    fn oldest_second(&self) -> Option<i64> {
        if self.rows.len() < self.limit {
            return None;
        }
        self.rows.last_key_value().map(|(key, _)| key.second.0)
    }

    /// Whether rows of this second are too old for the page.
    fn is_past(&self, second: i64) -> bool {
        self.oldest_second().is_some_and(|oldest| second < oldest)
    }
}
