//! `GET /api/sql?q=…` and `POST /api/sql`: rows as JSON, NDJSON, CSV or an Arrow IPC stream.
//!
//! An answer is streamed. Its beginning is held back until it is large enough or complete, so that a statement that
//! fails early gets an error status. If it fails later, the body is cut off without its proper end, so that no client
//! mistakes it for complete.

mod csv;
mod encode;
mod names;
mod statement;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::stream;

pub(crate) use csv::csv_text;
pub(crate) use names::{distinct_names, renamed};

use super::Problem;
use super::app::App;
use super::qmq::request::parameter;
use crate::error::{Error, Result};
use encode::{Format, RowsEncoder};

/// Bytes held back before the status is decided.
const HOLD_BACK_BYTES: usize = 256 * 1024;

/// The route. Only `sql.max_statement` limits its bodies.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/api/sql", get(get_sql).post(post_sql))
}

/// `GET /api/sql?q=…`
async fn get_sql(State(app): State<Arc<App>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
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
async fn post_sql(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response {
    match statement::of_body(&app, &headers, body).await {
        Ok(statement) => answer(&app, &statement, &headers).await,
        Err(problem) => problem.into_response(),
    }
}

async fn answer(app: &App, statement: &str, headers: &HeaderMap) -> Response {
    let Some(format) = Format::negotiate(headers) else {
        return Problem::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", "no format in Accept is known")
            .hint("application/json, application/x-ndjson, text/csv or application/vnd.apache.arrow.stream")
            .into_response();
    };
    match start(app, statement, format, headers).await {
        Ok(response) => response,
        Err(error) => Problem::from(error).into_response(),
    }
}

async fn start(app: &App, statement: &str, format: Format, headers: &HeaderMap) -> Result<Response> {
    let request = headers.get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or("-").to_owned();
    let rows = app.run_sql(statement, &request).await?;
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
    let rest = (Some(Bytes::from(first)), encoder, request);
    let rest = stream::try_unfold(rest, |(held, mut encoder, request)| async move {
        if let Some(held) = held {
            return Ok::<_, Error>(Some((held, (None, encoder, request))));
        }
        match encoder.next().await {
            Ok(Some(chunk)) => Ok(Some((chunk, (None, encoder, request)))),
            Ok(None) => Ok(None),
            Err(error) => {
                tracing::warn!(request, %error, "statement failed after its answer began");
                Err(error)
            }
        }
    });
    Ok(([(header::CONTENT_TYPE, format.content_type())], Body::from_stream(rest)).into_response())
}
