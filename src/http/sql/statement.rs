//! The statement of a POST request: the body, or a member of a JSON body.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, StatusCode, header};
use futures::StreamExt;

use crate::http::Problem;
use crate::http::app::App;
use crate::http::body::{Taken, read_up_to};
use crate::query::too_long;

/// Maximum bytes of one byte of a statement as JSON: `\u0061`.
const JSON_BYTES: usize = 6;
/// Maximum bytes of a JSON body beside the statement.
const JSON_REST: usize = 4096;
/// Maximum bytes read and dropped of a body that is too long, so that its sender gets to read the answer.
const DROPPED_BYTES: usize = 256 << 20;
/// Maximum time for reading and dropping them.
const DROP_TIME: Duration = Duration::from_secs(10);

/// The statement in a body.
pub(super) async fn of_body(app: &App, headers: &HeaderMap, body: Body) -> Result<String, Problem> {
    let settings = &app.config.sql;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_json = kind.to_ascii_lowercase().starts_with("application/json");
    let max = usize::try_from(settings.max_statement.as_u64()).unwrap_or(usize::MAX);
    let max = match is_json {
        true => max.saturating_mul(JSON_BYTES).saturating_add(JSON_REST),
        false => max,
    };
    let Some(taken) = read(app, headers, body, max).await? else { return Err(too_long(settings).into()) };
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

/// The whole body, or `None` if it is longer than `max`.
async fn read(app: &App, headers: &HeaderMap, body: Body, max: usize) -> Result<Option<Taken>, Problem> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let mut data = body.into_data_stream();
    if declared.is_some_and(|length: usize| length > max) {
        // a client that waits for `100 Continue` does not send the body
        if !headers.contains_key(header::EXPECT) {
            discard(data).await;
        }
        return Ok(None);
    }
    let taken = read_up_to(app, &mut data, max).await?;
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
