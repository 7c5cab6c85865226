//! Conditions that a row must satisfy, checked at every level: file, row group, page and row.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::datatypes::{DataType, Int8Type, Int32Type, Int64Type, TimestampMillisecondType};
use arrow::record_batch::RecordBatch;

use crate::error::{Error, Result};
use crate::lake::FileStats;

/// A condition on one column.
#[derive(Debug, Clone)]
pub enum Condition {
    /// The text equals this one.
    Text(&'static str, String),
    /// The number or time (milliseconds) lies between these, both included.
    Number(&'static str, i64, i64),
    /// The number or time is one of these. They must be in ascending order.
    AnyNumber(&'static str, Arc<[i64]>),
}

impl Condition {
    /// The number equals `value`.
    #[must_use]
    pub fn number(column: &'static str, value: i64) -> Condition {
        Condition::Number(column, value, value)
    }

    /// The text equals `value`.
    #[must_use]
    pub fn text(column: &'static str, value: impl Into<String>) -> Condition {
        Condition::Text(column, value.into())
    }

    /// The column that is compared.
    #[must_use]
    pub fn column(&self) -> &'static str {
        match self {
            Condition::Text(column, _) | Condition::Number(column, ..) | Condition::AnyNumber(column, _) => {
                column
            }
        }
    }

    pub(super) fn may_match_file(&self, stats: &FileStats) -> bool {
        match self {
            Condition::Text(column, text) => stats.may_contain_text(column, text),
            Condition::Number(column, least, greatest) => {
                stats.number_range(column).is_none_or(|(min, max)| min <= *greatest && max >= *least)
            }
            Condition::AnyNumber(column, numbers) => {
                stats.number_range(column).is_none_or(|(min, max)| any_between(numbers, min, max))
            }
        }
    }

    /// Whether every row of a file satisfies it.
    fn always_matches(&self, stats: &FileStats) -> bool {
        match self {
            Condition::Text(column, text) => stats.is_always_text(column, text),
            _ => false,
        }
    }

    pub(super) fn may_match_text(&self, min: Option<&[u8]>, max: Option<&[u8]>) -> bool {
        match (self, min, max) {
            (Condition::Text(_, text), Some(min), Some(max)) => {
                min <= text.as_bytes() && text.as_bytes() <= max
            }
            _ => true,
        }
    }

    pub(super) fn may_match_number(&self, min: Option<i64>, max: Option<i64>) -> bool {
        match (self, min, max) {
            (Condition::Number(_, least, greatest), Some(min), Some(max)) => {
                min <= *greatest && max >= *least
            }
            (Condition::AnyNumber(_, numbers), Some(min), Some(max)) => any_between(numbers, min, max),
            _ => true,
        }
    }

    fn matches(&self, batch: &RecordBatch, keep: &mut [bool]) -> Result<()> {
        let column = batch
            .column_by_name(self.column())
            .ok_or_else(|| Error::Invariant(format!("column `{}` was not read", self.column())))?;
        match self {
            Condition::Text(_, text) => {
                let values = column.as_string_opt::<i32>().ok_or_else(|| mismatch(self.column()))?;
                for (row, keep) in keep.iter_mut().enumerate() {
                    *keep = *keep && values.is_valid(row) && values.value(row) == text;
                }
            }
            Condition::Number(_, least, greatest) => {
                let numbers = Numbers::of(column).ok_or_else(|| mismatch(self.column()))?;
                for (row, keep) in keep.iter_mut().enumerate() {
                    *keep = *keep && numbers.get(row).is_some_and(|n| *least <= n && n <= *greatest);
                }
            }
            Condition::AnyNumber(_, wanted) => {
                let numbers = Numbers::of(column).ok_or_else(|| mismatch(self.column()))?;
                for (row, keep) in keep.iter_mut().enumerate() {
                    *keep = *keep && numbers.get(row).is_some_and(|n| wanted.binary_search(&n).is_ok());
                }
            }
        }
        Ok(())
    }
}

fn any_between(numbers: &[i64], min: i64, max: i64) -> bool {
    let first = numbers.partition_point(|number| *number < min);
    numbers.get(first).is_some_and(|number| *number <= max)
}

/// The conditions that must be checked row by row: those that the statistics of the file do not prove for all rows.
pub(super) fn open_conditions(conditions: &[Condition], stats: &FileStats) -> Vec<Condition> {
    conditions.iter().filter(|condition| !condition.always_matches(stats)).cloned().collect()
}

/// Rows of a batch that satisfy all conditions.
pub(super) fn select(batch: &RecordBatch, conditions: &[Condition]) -> Result<BooleanArray> {
    let mut keep = vec![true; batch.num_rows()];
    for condition in conditions {
        condition.matches(batch, &mut keep)?;
    }
    Ok(BooleanArray::from(keep))
}

pub(super) fn mismatch(column: &str) -> Error {
    Error::Invariant(format!("column `{column}` of a data file has an unexpected type"))
}

/// An integer or time column of any width.
pub(crate) enum Numbers<'a> {
    Int8(&'a arrow::array::Int8Array),
    Int32(&'a arrow::array::Int32Array),
    Int64(&'a arrow::array::Int64Array),
    Time(&'a arrow::array::TimestampMillisecondArray),
}

impl<'a> Numbers<'a> {
    pub(crate) fn of(column: &'a dyn Array) -> Option<Numbers<'a>> {
        match column.data_type() {
            DataType::Int8 => column.as_primitive_opt::<Int8Type>().map(Numbers::Int8),
            DataType::Int32 => column.as_primitive_opt::<Int32Type>().map(Numbers::Int32),
            DataType::Int64 => column.as_primitive_opt::<Int64Type>().map(Numbers::Int64),
            DataType::Timestamp(..) => {
                column.as_primitive_opt::<TimestampMillisecondType>().map(Numbers::Time)
            }
            _ => None,
        }
    }

    pub(crate) fn get(&self, row: usize) -> Option<i64> {
        match self {
            Numbers::Int8(values) => values.is_valid(row).then(|| i64::from(values.value(row))),
            Numbers::Int32(values) => values.is_valid(row).then(|| i64::from(values.value(row))),
            Numbers::Int64(values) => values.is_valid(row).then(|| values.value(row)),
            Numbers::Time(values) => values.is_valid(row).then(|| values.value(row)),
        }
    }
}
