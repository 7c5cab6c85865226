//! Rows as CSV. NULL is an empty field, and an empty text is `""`. Lists, maps and structs are JSON, so that NULL and
//! an empty text also differ inside of them.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{FieldRef, Schema};
use arrow::json::writer::{EncoderOptions, NullableEncoder, make_encoder};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::error::{Error, Result};

/// Rows as CSV with a header.
///
/// # Errors
/// If a column cannot be printed.
pub(crate) fn csv_text(batches: &[RecordBatch]) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    if let Some(first) = batches.first() {
        header(first.schema_ref(), &mut text);
    }
    for batch in batches {
        rows(batch, &mut text)?;
    }
    Ok(text)
}

/// The names of the columns.
pub(super) fn header(schema: &Schema, text: &mut Vec<u8>) {
    for (i, field) in schema.fields().iter().enumerate() {
        separate(i, text);
        quoted(field.name(), text);
    }
    text.push(b'\n');
}

/// One line for each row.
pub(super) fn rows(batch: &RecordBatch, text: &mut Vec<u8>) -> Result<()> {
    let schema = batch.schema();
    let format = FormatOptions::default();
    let json = EncoderOptions::default().with_explicit_nulls(true);
    let columns = schema.fields().iter().zip(batch.columns());
    let mut columns = columns.map(|(field, column)| Column::new(field, column, &format, &json));
    let mut columns = columns.by_ref().collect::<Result<Vec<_>>>()?;
    let mut value = Vec::new();
    for row in 0..batch.num_rows() {
        for (i, column) in columns.iter_mut().enumerate() {
            separate(i, text);
            if column.array.is_valid(row) && !is_null_type(column.array) {
                value.clear();
                column.print(row, &mut value)?;
                quoted(&String::from_utf8_lossy(&value), text);
            }
        }
        text.push(b'\n');
    }
    Ok(())
}

fn is_null_type(array: &ArrayRef) -> bool {
    array.data_type().is_null()
}

struct Column<'a> {
    array: &'a ArrayRef,
    printer: Printer<'a>,
}

enum Printer<'a> {
    Plain(ArrayFormatter<'a>),
    Json(NullableEncoder<'a>),
}

impl<'a> Column<'a> {
    fn new(
        field: &'a FieldRef,
        array: &'a ArrayRef,
        format: &'a FormatOptions<'a>,
        json: &'a EncoderOptions,
    ) -> Result<Column<'a>> {
        let printer = match array.data_type().is_nested() {
            true => Printer::Json(make_encoder(field, array, json)?),
            false => Printer::Plain(ArrayFormatter::try_new(array, format)?),
        };
        Ok(Column { array, printer })
    }

    fn print(&mut self, row: usize, text: &mut Vec<u8>) -> Result<()> {
        match &mut self.printer {
            Printer::Plain(plain) => {
                let value = plain.value(row).try_to_string();
                text.extend(value.map_err(|error| Error::Sql(error.to_string()))?.as_bytes());
            }
            Printer::Json(json) => json.encode(row, text),
        }
        Ok(())
    }
}

fn separate(column: usize, text: &mut Vec<u8>) {
    if column > 0 {
        text.push(b',');
    }
}

/// A value, in quotes if it is empty or contains a separator.
fn quoted(value: &str, text: &mut Vec<u8>) {
    if !value.is_empty() && !value.contains([',', '"', '\n', '\r']) {
        text.extend(value.as_bytes());
        return;
    }
    text.push(b'"');
    text.extend(value.replace('"', "\"\"").as_bytes());
    text.push(b'"');
}
