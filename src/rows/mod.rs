//! Rows of a batch, column by column, and their order inside a file.
//!
//! A batch holds the rows of one broker group between two commits. A permutation sorts it by day and by the table's
//! sort order; the columns themselves are never reordered. Nothing here reads a clock.

mod content;
mod days;
mod names;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Int32Array, Int64Array, ListBuilder, MapBuilder, MapFieldNames, StringBuilder,
    TimestampMillisecondArray, new_null_array,
};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use chrono::NaiveDate;

use crate::error::Result;
use crate::lake::schema::TableDef;

pub(crate) use content::ContentRow;
pub use content::ContentRows;
pub use days::DayRule;
pub(crate) use names::{NO_NAME, Names, constant_column, text_column};

/// Stands for an unknown time; null in the column.
pub(crate) const NO_TIME: i64 = i64::MIN;

/// The rows of one day, in file order.
#[derive(Debug)]
pub struct DayRows {
    /// UTC day.
    pub day: NaiveDate,
    /// Row numbers in the batch.
    pub order: Vec<u32>,
}

/// The names and constants to which the rows of a batch refer.
#[derive(Debug, Clone)]
pub struct BatchContext<'a> {
    /// Value of the column `system`.
    pub system: &'a str,
    /// Broker group.
    pub broker_group: &'a str,
    /// Names by name id.
    pub names: &'a Names,
    /// [`Names::dictionary`].
    pub dictionary: ArrayRef,
    /// [`Names::ranks`].
    pub ranks: Vec<u32>,
    days: DayRule,
}

/// Rows of one table.
pub trait Rows: Send + Sync {
    /// The table.
    fn def(&self) -> &'static TableDef;

    /// Number of rows.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of a row besides its columns of fixed size.
    fn heap_bytes_of(&self, _row: u32) -> usize {
        0
    }

    /// The rows by day, each day in file order. Rows with equal sort keys keep the order of the log.
    fn sorted(&self, context: &BatchContext<'_>) -> Vec<DayRows>;

    /// Columns of these rows, in this order.
    ///
    /// # Errors
    /// If columns and schema disagree, which is a bug.
    fn batch(&self, order: &[u32], context: &BatchContext<'_>) -> Result<RecordBatch>;
}

impl<R: Rows + ?Sized> Rows for &R {
    fn def(&self) -> &'static TableDef {
        (**self).def()
    }

    fn len(&self) -> usize {
        (**self).len()
    }

    fn heap_bytes_of(&self, row: u32) -> usize {
        (**self).heap_bytes_of(row)
    }

    fn sorted(&self, context: &BatchContext<'_>) -> Vec<DayRows> {
        (**self).sorted(context)
    }

    fn batch(&self, order: &[u32], context: &BatchContext<'_>) -> Result<RecordBatch> {
        (**self).batch(order, context)
    }
}

impl<'a> BatchContext<'a> {
    /// Prepares dictionary and ranks of the names.
    #[must_use]
    pub fn new(system: &'a str, broker_group: &'a str, names: &'a Names) -> BatchContext<'a> {
        let (dictionary, ranks) = (names.dictionary(), names.ranks());
        BatchContext { system, broker_group, names, dictionary, ranks, days: DayRule::default() }
    }

    /// The same context with a rule that assigns rows to days.
    #[must_use]
    pub(crate) fn with_days(self, days: DayRule) -> BatchContext<'a> {
        BatchContext { days, ..self }
    }

    pub(crate) fn day_of(&self, time_ms: i64) -> i32 {
        self.days.day_of(time_ms)
    }

    pub(crate) fn rank(&self, name_id: u32) -> u32 {
        // an absent name sorts first
        self.ranks.get(name_id as usize).map_or(0, |rank| rank + 1)
    }
}

fn date_of(day: i32) -> NaiveDate {
    NaiveDate::default().checked_add_signed(chrono::Duration::days(i64::from(day))).unwrap_or_default()
}

/// A row's sort key: day, then the table's order, then the order of the log.
///
/// Integers instead of a tuple of fields, because sorting tuples took a quarter of the time of an import.
type SortKey<const N: usize> = [u64; N];

/// The first word of a key: day and name rank, then eight bits that sort after the name.
pub(crate) fn day_and_name(day: i32, rank: u32, after: u8) -> u64 {
    // a bias makes days before the epoch sort first
    let day = u64::from(day.wrapping_add(1 << 23).cast_unsigned() & 0xff_ffff);
    day << 40 | u64::from(rank) << 8 | u64::from(after)
}

fn day_of_key(day_and_name: u64) -> i32 {
    let biased = u32::try_from(day_and_name >> 40).unwrap_or(0);
    biased.cast_signed() - (1 << 23)
}

/// The last word of a key: a rank (24 bits), a code (8 bits), and the row number (32 bits).
pub(crate) fn last_word(rank: u32, code: i8, row: usize) -> u64 {
    // flipping the sign bit sorts signed codes as numbers
    let code = u64::from(code.cast_unsigned() ^ 0x80);
    u64::from(rank & 0xff_ffff) << 40 | code << 32 | (row as u64 & u64::from(u32::MAX))
}

/// An unsigned number that sorts like the signed one.
pub(crate) fn ascending(number: i64) -> u64 {
    number.cast_unsigned() ^ (1 << 63)
}

/// An unsigned number that sorts in the reverse order of the signed one.
pub(crate) fn descending(number: i64) -> u64 {
    !ascending(number)
}

/// Sorts rows and splits them by day. The last word of a key ends in the row's number, which makes keys
/// distinct, so that an unstable sort keeps the log's order.
pub(crate) fn by_day<const N: usize>(mut keys: Vec<SortKey<N>>) -> Vec<DayRows> {
    keys.sort_unstable();
    let rows = keys.iter().filter_map(|key| {
        let (first, last) = (key.first()?, key.last()?);
        Some((day_of_key(*first), (last & u64::from(u32::MAX)) as u32))
    });
    split_days(rows)
}

/// Groups sorted rows by day.
pub(crate) fn split_days(rows: impl Iterator<Item = (i32, u32)>) -> Vec<DayRows> {
    let mut days: Vec<DayRows> = Vec::new();
    let mut current = None;
    for (day, row) in rows {
        if current != Some(day) {
            days.push(DayRows { day: date_of(day), order: Vec::new() });
            current = Some(day);
        }
        if let Some(last) = days.last_mut() {
            last.order.push(row);
        }
    }
    days
}

pub(crate) fn gather<'a, T: Copy + Default>(
    values: &'a [T],
    order: &'a [u32],
) -> impl Iterator<Item = T> + 'a {
    order.iter().map(|row| values.get(*row as usize).copied().unwrap_or_default())
}

pub(crate) fn times(values: &[i64], order: &[u32], nullable: bool) -> ArrayRef {
    let buffer: ScalarBuffer<i64> = gather(values, order).collect::<Vec<_>>().into();
    let nulls = nullable.then(|| NullBuffer::from_iter(buffer.iter().map(|time| *time != NO_TIME)));
    let array = TimestampMillisecondArray::new(buffer, nulls.filter(|nulls| nulls.null_count() > 0));
    Arc::new(array.with_timezone("UTC"))
}

pub(crate) fn integers(values: &[i64], order: &[u32]) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(gather(values, order)))
}

/// Stands for an unknown offset; null in the column.
pub(crate) const NO_OFFSET: i64 = i64::MIN;

pub(crate) fn offsets(values: &[i64], order: &[u32]) -> ArrayRef {
    let buffer: ScalarBuffer<i64> = gather(values, order).collect::<Vec<_>>().into();
    let nulls = NullBuffer::from_iter(buffer.iter().map(|number| *number != NO_OFFSET));
    Arc::new(Int64Array::new(buffer, Some(nulls).filter(|nulls| nulls.null_count() > 0)))
}

/// Stands for an unknown small integer; null in the column.
pub(crate) const NO_NUMBER: i32 = i32::MIN;

pub(crate) fn small_integers(values: &[i32], order: &[u32], nullable: bool) -> ArrayRef {
    let buffer: ScalarBuffer<i32> = gather(values, order).collect::<Vec<_>>().into();
    let nulls = nullable.then(|| NullBuffer::from_iter(buffer.iter().map(|number| *number != NO_NUMBER)));
    Arc::new(Int32Array::new(buffer, nulls.filter(|nulls| nulls.null_count() > 0)))
}

/// The keys of a message: the parts between spaces, each once, in the order of the text.
pub(crate) fn split_keys(text: &str) -> impl Iterator<Item = &str> {
    let is_one = !text.contains(' ');
    let mut seen = hashbrown::HashSet::new();
    text.split(' ').filter(move |key| !key.is_empty() && (is_one || seen.insert(*key)))
}

/// A builder of lists of text.
pub(crate) fn list_builder() -> ListBuilder<StringBuilder> {
    ListBuilder::new(StringBuilder::new()).with_field(Field::new("element", DataType::Utf8, false))
}

/// A builder of maps of text to text.
pub(crate) fn map_builder() -> MapBuilder<StringBuilder, StringBuilder> {
    let names =
        MapFieldNames { entry: "key_value".to_owned(), key: "key".to_owned(), value: "value".to_owned() };
    MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new()).with_values_field(Field::new(
        "value",
        DataType::Utf8,
        false,
    ))
}

/// A batch of columns under the table's names. Dictionary columns are allowed for text. The last columns of a table may
/// be left out: they become null.
pub(crate) fn batch_of(def: &TableDef, mut columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    let rows = columns.first().map_or(0, |column| column.len());
    let absent = def.columns.iter().skip(columns.len());
    columns
        .extend(absent.map(|column| new_null_array(&column.column_type.arrow(), rows)).collect::<Vec<_>>());
    let fields: Vec<Field> = def
        .columns
        .iter()
        .zip(&columns)
        .map(|(c, array)| Field::new(c.name, array.data_type().clone(), c.nullable))
        .collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// Texts in one buffer, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    pub(crate) bytes: String,
    pub(crate) ends: Vec<u32>,
}

impl Texts {
    pub(crate) fn push(&mut self, text: &[u8]) {
        match std::str::from_utf8(text) {
            Ok(text) => self.bytes.push_str(text),
            Err(_) => self.bytes.push_str(&String::from_utf8_lossy(text)),
        }
        self.ends.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }

    pub(crate) fn get(&self, row: usize) -> &str {
        let start = row.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(row).copied().unwrap_or(start);
        self.bytes.get(start as usize..end as usize).unwrap_or("")
    }

    pub(crate) fn column(&self, order: &[u32]) -> ArrayRef {
        Arc::new(arrow::array::StringArray::from_iter_values(order.iter().map(|row| self.get(*row as usize))))
    }

    /// As [`Texts::column`], with null for empty texts.
    pub(crate) fn nullable_column(&self, order: &[u32]) -> ArrayRef {
        let texts = order.iter().map(|row| Some(self.get(*row as usize)).filter(|text| !text.is_empty()));
        Arc::new(texts.collect::<arrow::array::StringArray>())
    }
}

/// Stands for a list that the source does not have; null in the column.
const NO_LIST: u32 = u32::MAX;

/// Lists of names; equal lists are kept once.
#[derive(Debug, Default)]
pub(crate) struct NameLists {
    /// Per row the position of its list in `lists`, from 1. 0 is the empty list, [`NO_LIST`] an unknown one.
    rows: Vec<u32>,
    known: hashbrown::HashMap<Box<[u32]>, u32>,
    lists: Vec<Box<[u32]>>,
}

impl NameLists {
    pub(crate) fn push(&mut self, list: Option<&[u32]>) {
        let Some(list) = list else {
            self.rows.push(NO_LIST);
            return;
        };
        if list.is_empty() {
            self.rows.push(0);
            return;
        }
        let number = match self.known.get(list) {
            Some(number) => *number,
            None => {
                self.lists.push(list.into());
                let number = self.lists.len() as u32;
                self.known.insert(list.into(), number);
                number
            }
        };
        self.rows.push(number);
    }

    /// The first name of a row's list.
    pub(crate) fn first<'a>(&self, row: usize, names: &'a Names) -> Option<&'a str> {
        let number = self.rows.get(row).copied().filter(|number| *number != NO_LIST)?;
        let list = self.lists.get(number.checked_sub(1)? as usize)?;
        list.first().map(|name| names.text(*name))
    }

    /// The lists of these rows; null for unknown ones.
    pub(crate) fn column(&self, order: &[u32], names: &Names) -> ArrayRef {
        let mut builder = list_builder();
        for number in gather(&self.rows, order) {
            if number == NO_LIST {
                builder.append(false);
                continue;
            }
            let list = number.checked_sub(1).and_then(|n| self.lists.get(n as usize));
            for name in list.map(AsRef::as_ref).unwrap_or_default() {
                builder.values().append_value(names.text(*name));
            }
            builder.append(true);
        }
        Arc::new(builder.finish())
    }
}
