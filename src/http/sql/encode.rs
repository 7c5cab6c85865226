//! Encodes rows as chunks of a body.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, header};

use super::csv;
use super::names::{distinct_names, renamed};
use crate::error::Result;
use crate::query::SqlRows;

/// Format of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    NdJson,
    Csv,
    Arrow,
}

impl Format {
    /// The first known format in `Accept`; JSON without that header.
    pub(super) fn negotiate(headers: &HeaderMap) -> Option<Format> {
        let Some(accept) = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()) else {
            return Some(Format::Json);
        };
        accept.split(',').find_map(|part| {
            let kind = part.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            match kind.as_str() {
                "application/json" | "application/*" | "*/*" | "" => Some(Format::Json),
                "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(Format::NdJson),
                "text/csv" | "text/*" => Some(Format::Csv),
                "application/vnd.apache.arrow.stream" => Some(Format::Arrow),
                _ => None,
            }
        })
    }

    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Format::Json => "application/json;charset=utf-8",
            Format::NdJson => "application/x-ndjson;charset=utf-8",
            Format::Csv => "text/csv;charset=utf-8;header=present",
            Format::Arrow => "application/vnd.apache.arrow.stream",
        })
    }
}

/// Turns batches into chunks of the body.
pub(super) struct RowsEncoder {
    rows: SqlRows,
    writer: Option<Writer>,
    /// The columns with their names in the answer.
    schema: SchemaRef,
}

enum Writer {
    Json(arrow::json::ArrayWriter<Vec<u8>>),
    NdJson(arrow::json::LineDelimitedWriter<Vec<u8>>),
    Csv(Vec<u8>),
    Arrow(Box<arrow::ipc::writer::StreamWriter<Vec<u8>>>),
}

impl RowsEncoder {
    pub(super) fn new(rows: SqlRows, format: Format) -> Result<RowsEncoder> {
        let nulls = || arrow::json::WriterBuilder::new().with_explicit_nulls(true);
        let mut schema = rows.schema.clone();
        let writer = match format {
            Format::Json => Writer::Json(nulls().build(Vec::new())),
            Format::NdJson => Writer::NdJson(nulls().build(Vec::new())),
            Format::Csv => {
                // an empty answer has the header, too
                let mut pending = Vec::new();
                csv::header(&schema, &mut pending);
                Writer::Csv(pending)
            }
            Format::Arrow => {
                Writer::Arrow(Box::new(arrow::ipc::writer::StreamWriter::try_new(Vec::new(), &schema)?))
            }
        };
        if matches!(writer, Writer::Json(_) | Writer::NdJson(_)) {
            schema = distinct_names(&schema);
        }
        Ok(RowsEncoder { rows, writer: Some(writer), schema })
    }

    /// The next chunk; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>> {
        let Some(writer) = self.writer.as_mut() else { return Ok(None) };
        if let Some(batch) = self.rows.next().await? {
            let is_renamed = !std::sync::Arc::ptr_eq(&self.schema, &self.rows.schema);
            let batch = if is_renamed { renamed(&batch, &self.schema)? } else { batch };
            return Ok(Some(writer.write(&batch)?));
        }
        match self.writer.take() {
            Some(writer) => Ok(Some(writer.finish()?)),
            None => Ok(None),
        }
    }
}

impl Writer {
    fn write(&mut self, batch: &RecordBatch) -> Result<Bytes> {
        match self {
            Writer::Json(writer) => writer.write(batch)?,
            Writer::NdJson(writer) => writer.write(batch)?,
            Writer::Csv(pending) => csv::rows(batch, pending)?,
            Writer::Arrow(writer) => writer.write(batch)?,
        }
        Ok(self.take())
    }

    fn take(&mut self) -> Bytes {
        let buffer = match self {
            Writer::Json(writer) => std::mem::take(writer.get_mut()),
            Writer::NdJson(writer) => std::mem::take(writer.get_mut()),
            Writer::Csv(pending) => std::mem::take(pending),
            Writer::Arrow(writer) => std::mem::take(writer.get_mut()),
        };
        Bytes::from(buffer)
    }

    fn finish(mut self) -> Result<Bytes> {
        match &mut self {
            Writer::Json(writer) => writer.finish()?,
            Writer::NdJson(writer) => writer.finish()?,
            Writer::Csv(_) => {}
            Writer::Arrow(writer) => writer.finish()?,
        }
        Ok(self.take())
    }
}
