//! Rows on their way to the server, in parts so small that the server holds little of any answer.
//!
//! A size in this file is an upper bound of the memory of a value and, within a small factor, of its text. So a column
//! that needs no memory, such as a million nulls, does not become a gigabyte of JSON in the server.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, FixedSizeListArray, LargeListArray, ListArray, MapArray,
    OffsetSizeTrait, RecordBatch, StringViewArray, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::ipc::writer::StreamWriter;

use crate::error::{Error, Result};
use crate::query::limits;

/// Maximum bytes of one part, unless it is a single row.
const PART_BYTES: usize = 512 << 10;
/// Minimum size of a value: that of `null` and a comma as text.
const MIN_VALUE_BYTES: usize = 8;

/// Encodes batches as Arrow IPC messages.
pub(super) struct RowsEncoder {
    writer: StreamWriter<Vec<u8>>,
    schema: SchemaRef,
    max_row: u64,
}

impl RowsEncoder {
    pub(super) fn new(schema: &Schema, max_row: u64) -> Result<RowsEncoder> {
        let writer = StreamWriter::try_new(Vec::new(), schema)?;
        Ok(RowsEncoder { writer, schema: Arc::new(schema.clone()), max_row })
    }

    /// The bytes encoded since the last call.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.get_mut())
    }

    /// Removes the first rows from a batch, as many as fit in one part, and returns them.
    pub(super) fn cut(&self, batch: &mut RecordBatch) -> Result<RecordBatch> {
        let mut rows = batch.num_rows();
        let mut bytes = size(batch);
        while bytes > PART_BYTES && rows > 1 {
            // the size that fits if all rows are alike
            let fitting = rows * PART_BYTES / bytes;
            rows = fitting.clamp(1, rows / 2 + rows % 2).min(rows - 1);
            bytes = size(&batch.slice(0, rows));
        }
        if bytes as u64 > self.max_row && rows == 1 {
            return Err(limits::too_large_row(self.max_row));
        }
        let part = batch.slice(0, rows);
        *batch = batch.slice(rows, batch.num_rows() - rows);
        Ok(part)
    }

    /// Encodes one part as messages.
    pub(super) fn encode(&mut self, part: &RecordBatch) -> Result<Vec<u8>> {
        let columns = part.columns().iter().map(compact).collect::<Result<Vec<ArrayRef>>>()?;
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(part.num_rows()));
        // the nullability in the plan can differ from that in the batch
        let part = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|error| Error::Sql(format!("the rows do not fit their columns: {error}")))?;
        self.writer.write(&part)?;
        Ok(self.take())
    }
}

/// A column without the bytes that its rows do not use. A slice of views would otherwise carry all buffers.
fn compact(column: &ArrayRef) -> Result<ArrayRef> {
    if !has_views(column.data_type()) {
        return Ok(column.clone());
    }
    let nulls = column.nulls().cloned();
    Ok(match column.data_type() {
        DataType::Utf8View => Arc::new(column.as_string_view().gc()),
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
        DataType::List(field) => {
            let list = column.as_list::<i32>();
            let (offsets, used) = used(list.offsets());
            let values = compact(&list.values().slice(used.start, used.len()))?;
            Arc::new(ListArray::try_new(field.clone(), offsets, values, nulls)?)
        }
        DataType::LargeList(field) => {
            let list = column.as_list::<i64>();
            let (offsets, used) = used(list.offsets());
            let values = compact(&list.values().slice(used.start, used.len()))?;
            Arc::new(LargeListArray::try_new(field.clone(), offsets, values, nulls)?)
        }
        DataType::Map(field, is_sorted) => {
            let map = column.as_map();
            let (offsets, used) = used(map.offsets());
            let entries: ArrayRef = Arc::new(map.entries().slice(used.start, used.len()));
            let entries = compact(&entries)?.as_struct().clone();
            Arc::new(MapArray::try_new(field.clone(), offsets, entries, nulls, *is_sorted)?)
        }
        DataType::FixedSizeList(field, size) => {
            let values = compact(column.as_fixed_size_list().values())?;
            Arc::new(FixedSizeListArray::try_new(field.clone(), *size, values, nulls)?)
        }
        DataType::Struct(fields) => {
            let columns = column.as_struct().columns().iter().map(compact);
            let columns = columns.collect::<Result<Vec<_>>>()?;
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, column.len())?)
        }
        _ => column.clone(),
    })
}

fn has_views(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8View | DataType::BinaryView => true,
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::Map(field, _)
        | DataType::FixedSizeList(field, _) => has_views(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_views(field.data_type())),
        _ => false,
    }
}

/// The offsets relative to the first one, and the range of values that they use.
fn used<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> (OffsetBuffer<O>, std::ops::Range<usize>) {
    let first = offsets.first().map_or(0, |at| at.as_usize());
    let last = offsets.last().map_or(first, |at| at.as_usize());
    (OffsetBuffer::from_lengths(offsets.lengths()), first..last)
}

/// Upper bound of the size of rows.
pub(super) fn size(batch: &RecordBatch) -> usize {
    let schema = batch.schema_ref();
    let names: usize = schema.fields().iter().map(|field| field.name().len() + MIN_VALUE_BYTES).sum();
    let columns: usize = batch.columns().iter().map(|column| size_of(column)).fold(0, usize::saturating_add);
    columns.saturating_add(names.saturating_mul(batch.num_rows()))
}

fn size_of(column: &dyn Array) -> usize {
    let least = column.len().saturating_mul(MIN_VALUE_BYTES);
    let more = match column.data_type() {
        DataType::Utf8View => views_size(column.as_string_view()),
        DataType::BinaryView => binary_views_size(column.as_binary_view()),
        DataType::Utf8 => span(column.as_string::<i32>().value_offsets().iter().map(|at| i64::from(*at))),
        DataType::LargeUtf8 => span(column.as_string::<i64>().value_offsets().iter().copied()),
        DataType::Binary => span(column.as_binary::<i32>().value_offsets().iter().map(|at| i64::from(*at))),
        DataType::LargeBinary => span(column.as_binary::<i64>().value_offsets().iter().copied()),
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            let offsets = list.value_offsets().iter().map(|at| i64::from(*at));
            child_size(list.values(), offsets)
        }
        DataType::LargeList(_) => {
            let list = column.as_list::<i64>();
            child_size(list.values(), list.value_offsets().iter().copied())
        }
        DataType::Map(..) => {
            let map = column.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            child_size(&entries, map.value_offsets().iter().map(|at| i64::from(*at)))
        }
        DataType::FixedSizeList(_, _) => size_of(column.as_fixed_size_list().values()),
        DataType::Struct(fields) => {
            let names: usize = fields.iter().map(|field| field.name().len() + MIN_VALUE_BYTES).sum();
            let columns = column.as_struct().columns().iter().map(|column| size_of(column));
            columns.fold(names.saturating_mul(column.len()), usize::saturating_add)
        }
        DataType::Dictionary(_, values) => match cast(&column.slice(0, column.len()), values) {
            Ok(plain) => size_of(&plain),
            Err(_) => column.get_array_memory_size(),
        },
        DataType::FixedSizeBinary(bytes) => usize::try_from(*bytes).unwrap_or(0).saturating_mul(column.len()),
        other => match other.primitive_width() {
            Some(bytes) => bytes.saturating_mul(column.len()),
            None if *other == DataType::Null || *other == DataType::Boolean => 0,
            // for other types, assume that each row needs the whole column
            None => column.get_array_memory_size().saturating_mul(column.len()),
        },
    };
    least.saturating_add(more)
}

fn views_size(column: &StringViewArray) -> usize {
    column.lengths().map(|length| length as usize).fold(0, usize::saturating_add)
}

fn binary_views_size(column: &BinaryViewArray) -> usize {
    column.lengths().map(|length| length as usize).fold(0, usize::saturating_add)
}

/// Bytes between the first and the last offset.
fn span(mut offsets: impl DoubleEndedIterator<Item = i64>) -> usize {
    let first = offsets.next().unwrap_or(0);
    let last = offsets.next_back().unwrap_or(first);
    usize::try_from(last - first).unwrap_or(0)
}

fn child_size(values: &ArrayRef, mut offsets: impl DoubleEndedIterator<Item = i64>) -> usize {
    let first = offsets.next().unwrap_or(0);
    let last = offsets.next_back().unwrap_or(first);
    let (from, length) = (usize::try_from(first).unwrap_or(0), usize::try_from(last - first).unwrap_or(0));
    size_of(&values.slice(from, length))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, NullArray, StringArray};
    use arrow::datatypes::Field;
    use arrow::ipc::reader::StreamReader;

    use super::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
            .collect();
        let columns = columns.into_iter().map(|(_, column)| column).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    /// Sends a batch in parts. Returns the number of rows of each, and all rows as they arrive.
    fn sent(whole: &RecordBatch) -> (Vec<usize>, RecordBatch) {
        let mut encoder = RowsEncoder::new(whole.schema_ref(), 1 << 20).unwrap();
        let mut stream = encoder.take();
        let (mut rest, mut rows) = (whole.clone(), Vec::new());
        while rest.num_rows() > 0 {
            let part = encoder.cut(&mut rest).unwrap();
            rows.push(part.num_rows());
            let encoded = encoder.encode(&part).unwrap();
            assert!(encoded.len() < 2 * PART_BYTES, "{} bytes", encoded.len());
            stream.extend(encoded);
        }
        let reader = StreamReader::try_new(stream.as_slice(), None).unwrap();
        let parts: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        (rows, arrow::compute::concat_batches(whole.schema_ref(), &parts).unwrap())
    }

    fn lists(values: ArrayRef, length: usize) -> ArrayRef {
        let rows = values.len() / length;
        let field = Arc::new(Field::new("item", values.data_type().clone(), true));
        let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(length, rows));
        Arc::new(ListArray::new(field, offsets, values, None))
    }

    #[test]
    fn parts_are_small_and_add_up_to_the_whole() {
        let long = "x".repeat(300);
        let views: ArrayRef = Arc::new(StringViewArray::from_iter_values(
            (0..8192).map(|row| format!("{row} {}", if row % 3 == 0 { long.as_str() } else { "" })),
        ));
        let plain: ArrayRef =
            Arc::new((0..8192).map(|row| (row % 7 != 0).then_some(long.as_str())).collect::<StringArray>());
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..8192));
        let columns = vec![
            ("views", views.slice(3, 1000)),
            ("plain", plain.slice(3, 1000)),
            ("numbers", numbers.slice(3, 1000)),
            ("lists", lists(views.clone(), 8).slice(5, 1000)),
        ];
        let whole = batch(columns);
        let (rows, arrived) = sent(&whole);
        assert!(rows.len() > 2 && rows.iter().sum::<usize>() == 1000, "{rows:?}");
        assert_eq!(arrived, whole);
    }

    #[test]
    fn what_is_small_in_memory_and_large_as_text_is_cut_as_well() {
        let nulls = lists(Arc::new(NullArray::new(8192 * 1000)), 1000);
        let (rows, _) = sent(&batch(vec![("nulls", nulls)]));
        assert!(rows.iter().all(|rows| *rows <= 65), "{rows:?}");
        let name = "n".repeat(100_000);
        let nulls: ArrayRef = Arc::new(NullArray::new(100));
        let (rows, _) = sent(&batch(vec![(name.as_str(), nulls)]));
        assert!(rows.iter().all(|rows| *rows <= 5), "{rows:?}");
    }

    #[test]
    fn a_row_that_is_too_large_is_an_error_that_names_the_setting() {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(2 << 20)]));
        let nulls = lists(Arc::new(NullArray::new(1 << 20)), 1 << 20);
        for column in [text, nulls] {
            let whole = batch(vec![("a", column)]);
            let encoder = RowsEncoder::new(whole.schema_ref(), 1 << 20).unwrap();
            let error = encoder.cut(&mut whole.clone()).unwrap_err();
            assert!(error.to_string().contains("sql.max_row"), "{error}");
        }
    }
}
