//! `GET /api/sql?q=…` and `POST /api/sql`: rows as JSON, NDJSON, CSV or an Arrow IPC stream.
//!
//! An answer is streamed. Its beginning is held back until it is large enough or complete, so that a
//! statement that fails early gets a status of its own; one that fails later ends the connection without
//! the proper end of the body, so that no client takes a part for the whole.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream;

use super::legacy::request::parameter;
use super::{App, Problem};
use crate::error::{Error, Result};
use crate::query::SqlRows;

/// Bytes held back before the status is decided.
const HOLD_BACK_BYTES: usize = 256 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    NdJson,
    Csv,
    Arrow,
}

/// `GET /api/sql?q=…`
pub(super) async fn get_sql(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    match parameter(query.as_deref(), "q") {
        Ok(Some(statement)) if !statement.trim().is_empty() => answer(&app, &statement, &headers).await,
        Ok(_) => Problem::new(StatusCode::BAD_REQUEST, "bad-request", "the parameter `q` is missing")
            .field(Some("q".to_owned()))
            .hint("GET /api/sql?q=SELECT%20count(*)%20FROM%20message, or POST the statement as the body")
            .into_response(),
        Err(error) => Problem::new(StatusCode::BAD_REQUEST, "bad-request", error.to_string())
            .field(Some("q".to_owned()))
            .into_response(),
    }
}

/// `POST /api/sql` with the statement as the body, or as `{"query": "…"}`.
pub(super) async fn post_sql(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/json"));
    let bad = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, "bad-request", detail).into_response();
    let statement = if is_json {
        let parsed: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        match parsed.as_ref().and_then(|value| value.get("query")).and_then(|query| query.as_str()) {
            Some(query) => query.to_owned(),
            None => return bad("the JSON body needs a text member `query`"),
        }
    } else {
        match String::from_utf8(body.to_vec()) {
            Ok(text) => text,
            Err(_) => return bad("the body is not UTF-8"),
        }
    };
    if statement.trim().is_empty() {
        return bad("the body is empty; send one SQL statement");
    }
    answer(&app, &statement, &headers).await
}

async fn answer(app: &App, statement: &str, headers: &HeaderMap) -> Response {
    let Some(format) = negotiate(headers) else {
        return Problem::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", "no format in Accept is known")
            .hint("application/json, application/x-ndjson, text/csv or application/vnd.apache.arrow.stream")
            .into_response();
    };
    match start(app, statement, format).await {
        Ok(response) => response,
        Err(error) => Problem::from(error).into_response(),
    }
}

fn negotiate(headers: &HeaderMap) -> Option<Format> {
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

impl Format {
    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Format::Json => "application/json;charset=utf-8",
            Format::NdJson => "application/x-ndjson;charset=utf-8",
            Format::Csv => "text/csv;charset=utf-8;header=present",
            Format::Arrow => "application/vnd.apache.arrow.stream",
        })
    }
}

async fn start(app: &App, statement: &str, format: Format) -> Result<Response> {
    let rows = app.sql.query(statement).await?;
    let mut encoder = RowsEncoder::new(rows, format)?;
    let mut first = Vec::new();
    while first.len() < HOLD_BACK_BYTES {
        match encoder.next().await? {
            Some(chunk) => first.extend_from_slice(&chunk),
            None => {
                return Ok(([(header::CONTENT_TYPE, format.content_type())], first).into_response());
            }
        }
    }
    let rest = stream::try_unfold((Some(Bytes::from(first)), encoder), |(held, mut encoder)| async move {
        if let Some(held) = held {
            return Ok::<_, Error>(Some((held, (None, encoder))));
        }
        match encoder.next().await {
            Ok(Some(chunk)) => Ok(Some((chunk, (None, encoder)))),
            Ok(None) => Ok(None),
            Err(error) => {
                tracing::warn!(%error, "statement failed after its answer began");
                Err(error)
            }
        }
    });
    Ok(([(header::CONTENT_TYPE, format.content_type())], Body::from_stream(rest)).into_response())
}

/// Turns batches into chunks of the body.
struct RowsEncoder {
    rows: SqlRows,
    writer: Option<Writer>,
}

enum Writer {
    Json(arrow::json::ArrayWriter<Vec<u8>>),
    NdJson(arrow::json::LineDelimitedWriter<Vec<u8>>),
    Csv { schema: SchemaRef, pending: Vec<u8> },
    Arrow(Box<arrow::ipc::writer::StreamWriter<Vec<u8>>>),
}

impl RowsEncoder {
    fn new(rows: SqlRows, format: Format) -> Result<RowsEncoder> {
        let nulls = || arrow::json::WriterBuilder::new().with_explicit_nulls(true);
        let writer = match format {
            Format::Json => Writer::Json(nulls().build(Vec::new())),
            Format::NdJson => Writer::NdJson(nulls().build(Vec::new())),
            Format::Csv => {
                let schema = flat_schema(&rows.schema);
                // the header belongs to an empty answer, too
                let pending = csv(&RecordBatch::new_empty(schema.clone()), true)?;
                Writer::Csv { schema, pending }
            }
            Format::Arrow => {
                Writer::Arrow(Box::new(arrow::ipc::writer::StreamWriter::try_new(Vec::new(), &rows.schema)?))
            }
        };
        Ok(RowsEncoder { rows, writer: Some(writer) })
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        let Some(writer) = self.writer.as_mut() else { return Ok(None) };
        if let Some(batch) = self.rows.next().await? {
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
            Writer::Csv { schema, pending } => pending.extend(csv(&flatten(batch, schema)?, false)?),
            Writer::Arrow(writer) => writer.write(batch)?,
        }
        Ok(self.take())
    }

    fn take(&mut self) -> Bytes {
        let buffer = match self {
            Writer::Json(writer) => std::mem::take(writer.get_mut()),
            Writer::NdJson(writer) => std::mem::take(writer.get_mut()),
            Writer::Csv { pending, .. } => std::mem::take(pending),
            Writer::Arrow(writer) => std::mem::take(writer.get_mut()),
        };
        Bytes::from(buffer)
    }

    fn finish(mut self) -> Result<Bytes> {
        match &mut self {
            Writer::Json(writer) => writer.finish()?,
            Writer::NdJson(writer) => writer.finish()?,
            Writer::Csv { .. } => {}
            Writer::Arrow(writer) => writer.finish()?,
        }
        Ok(self.take())
    }
}

/// Rows as CSV with a header.
///
/// # Errors
/// If a column cannot be printed.
pub fn csv_text(batches: &[RecordBatch]) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    for (i, batch) in batches.iter().enumerate() {
        text.extend(csv(&flatten(batch, &flat_schema(batch.schema_ref()))?, i == 0)?);
    }
    Ok(text)
}

fn csv(batch: &RecordBatch, header: bool) -> Result<Vec<u8>> {
    let mut writer = arrow::csv::WriterBuilder::new().with_header(header).build(Vec::new());
    writer.write(batch)?;
    Ok(writer.into_inner())
}

/// Columns as CSV takes them: lists and maps as text.
fn flat_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        if field.data_type().is_nested() {
            Arc::new(Field::new(field.name(), DataType::Utf8, true))
        } else {
            field.clone()
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn flatten(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch.columns().iter().map(|column| -> Result<ArrayRef> {
        if !column.data_type().is_nested() {
            return Ok(column.clone());
        }
        let formatter = ArrayFormatter::try_new(column, &FormatOptions::default())?;
        let texts =
            (0..column.len()).map(|row| column.is_valid(row).then(|| formatter.value(row).to_string()));
        Ok(Arc::new(texts.collect::<StringArray>()))
    });
    Ok(RecordBatch::try_new(schema.clone(), columns.collect::<Result<Vec<_>>>()?)?)
}
