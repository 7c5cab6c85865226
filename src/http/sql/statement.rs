//! The statement of a request: from the address, from the body, or from a member of a JSON body.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, StatusCode, header};
use futures::StreamExt;

use crate::http::Problem;
use crate::http::app::App;
use crate::http::body::{Taken, read_up_to};
use crate::query::too_long;

/// Most bytes that one byte of a statement takes as JSON: `\u0061`.
const JSON_BYTES: usize = 6;
/// What a JSON body may have beside the statement.
const JSON_REST: usize = 4096;
/// Most bytes of a body that is too long that are read and dropped, so that its sender gets to read the answer.
const DROPPED_BYTES: usize = 256 << 20;
/// Longest time for that.
const DROP_TIME: Duration = Duration::from_secs(10);

/// The statement in a body.
pub(super) async fn of_body(app: &App, headers: &HeaderMap, body: Body) -> Result<String, Problem> {
    let settings = &app.config.sql;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_json = kind.to_ascii_lowercase().starts_with("application/json");
    let longest = usize::try_from(settings.max_statement.as_u64()).unwrap_or(usize::MAX);
    let most = match is_json {
        true => longest.saturating_mul(JSON_BYTES).saturating_add(JSON_REST),
        false => longest,
    };
    let Some(taken) = read(app, headers, body, most).await? else { return Err(too_long(settings).into()) };
    let statement = if is_json { of_json(&taken.bytes)? } else { of_text(&taken.bytes)? };
    match statement.trim().is_empty() {
        true => Err(bad("the statement is missing; send one SQL statement as the body")),
        false => Ok(statement),
    }
}

fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad-request", detail)
}

fn of_text(bytes: &[u8]) -> Result<String, Problem> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| bad("the body is not UTF-8"))
}

fn of_json(bytes: &[u8]) -> Result<String, Problem> {
    let example = r#"send {"query": "SELECT 1"}"#;
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(bytes)
        .map_err(|error| bad(format!("the body is no JSON object: {error}")).hint(example))?;
    if let Some(unknown) = members.keys().find(|name| *name != "query") {
        let detail = format!("the member `{unknown}` is not known; there is only `query`, and no parameters");
        return Err(bad(detail).field(Some(unknown.clone())).hint(example));
    }
    match members.get("query").and_then(|query| query.as_str()) {
        Some(query) => Ok(query.to_owned()),
        None => {
            let detail = "the JSON body needs a text member `query`";
            Err(bad(detail).field(Some("query".to_owned())).hint(example))
        }
    }
}

/// The whole body, or `None` if it is longer than `most`.
async fn read(app: &App, headers: &HeaderMap, body: Body, most: usize) -> Result<Option<Taken>, Problem> {
    let told = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let mut data = body.into_data_stream();
    if told.is_some_and(|length: usize| length > most) {
        // who waits for a word before sending is spared the sending
        if !headers.contains_key(header::EXPECT) {
            discard(data).await;
        }
        return Ok(None);
    }
    let taken = read_up_to(app, &mut data, most).await?;
    if taken.is_none() {
        discard(data).await;
    }
    Ok(taken)
}

async fn discard(mut data: BodyDataStream) {
    let drop_all = async {
        let mut dropped = 0;
        while let Some(Ok(part)) = data.next().await {
            dropped += part.len();
            if dropped > DROPPED_BYTES {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(DROP_TIME, drop_all).await;
}
