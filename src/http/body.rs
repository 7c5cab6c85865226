//! Bodies of requests: checks their type, length and speed. A body is taken whole or not at all.
//!
//! A page of another origin can make a browser send forms and plain text to any server, but JSON only with the server's
//! consent. So a route that changes something takes JSON unless it says otherwise ([`JsonBody`]).

use std::sync::Arc;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use tokio::time::Instant;

use super::Problem;
use super::app::App;
use super::budget::Held;

/// Maximum bytes of a JSON body.
const MAX_JSON_BYTES: usize = 2 << 20;

/// A body with the memory reserved for it.
#[derive(Debug)]
pub(super) struct Taken {
    /// Its bytes.
    pub(super) bytes: Bytes,
    _held: Vec<Held>,
}

/// The body of a request whose content type is `application/json`.
#[derive(Debug)]
pub(super) struct JsonBody(pub(super) Taken);

impl FromRequest<Arc<App>> for JsonBody {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<JsonBody, Response> {
        let taken = take(app, request, &["application/json"], MAX_JSON_BYTES).await;
        taken.map(JsonBody).map_err(IntoResponse::into_response)
    }
}

/// Takes the body of a request if it has one of these types, at most `max` bytes, and arrives in time.
pub(super) async fn take(app: &App, request: Request, types: &[&str], max: usize) -> Result<Taken, Problem> {
    if !is_of_type(request.headers(), types) {
        let (one, rest) = types.split_first().map_or(("", types), |(one, rest)| (*one, rest));
        let others: String = rest.iter().map(|other| format!(" or {other}")).collect();
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            format!("the content type must be {one}{others}, in UTF-8"),
        )
        .hint(format!("send one field Content-Type: {one}")));
    }
    let declared =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|declared: u64| declared > max as u64) {
        return Err(too_long(max));
    }
    read(app, request.into_body(), max).await
}

/// Reads a whole body.
async fn read(app: &App, body: Body, max: usize) -> Result<Taken, Problem> {
    read_up_to(app, &mut body.into_data_stream(), max).await?.ok_or_else(|| too_long(max))
}

/// Reads a whole body. `None` if it is longer than `max`; the rest is left in the stream then.
pub(super) async fn read_up_to(
    app: &App,
    frames: &mut BodyDataStream,
    max: usize,
) -> Result<Option<Taken>, Problem> {
    let timeout = app.config.http.body_timeout;
    let deadline = Instant::now() + timeout;
    let (mut gathered, mut held, mut reserved) = (Vec::new(), Vec::new(), 0);
    loop {
        let frame = tokio::time::timeout_at(deadline, frames.next()).await.map_err(|_| too_slow(app))?;
        let Some(frame) = frame else { break };
        let frame = match frame {
            Ok(frame) => frame,
            // `TimedBody` has the same time limit
            Err(_) if Instant::now() >= deadline => return Err(too_slow(app)),
            Err(error) => {
                return Err(Problem::new(
                    StatusCode::BAD_REQUEST,
                    "bad-body",
                    format!("the body did not arrive whole: {error}"),
                ));
            }
        };
        let length = gathered.len() + frame.len();
        if length > max {
            return Ok(None);
        }
        while reserved < length {
            let step = length.max(BODY_STEP).min(max.max(BODY_STEP)) - reserved;
            held.push(app.bodies.try_take(step)?);
            reserved += step;
        }
        gathered.extend_from_slice(&frame);
    }
    Ok(Some(Taken { bytes: gathered.into(), _held: held }))
}

/// Minimum memory that a body reserves at a time.
const BODY_STEP: usize = 64 * 1024;

fn too_long(max: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "bad-body",
        format!("the body has more than {max} bytes; send it in parts"),
    )
}

fn too_slow(app: &App) -> Problem {
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        "slow-body",
        format!(
            "the body did not arrive within {} (http.body_timeout)",
            humantime::format_duration(app.config.http.body_timeout)
        ),
    )
}

/// Whether there is exactly one content type, and it is one of these in UTF-8.
fn is_of_type(headers: &HeaderMap, types: &[&str]) -> bool {
    let mut fields = headers.get_all(CONTENT_TYPE).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return false };
    let Ok(text) = field.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let is_utf8 = parts.filter_map(|part| part.split_once('=')).all(|(name, value)| {
        let value = value.trim_matches('"');
        !name.eq_ignore_ascii_case("charset")
            || value.eq_ignore_ascii_case("utf-8")
            || value.eq_ignore_ascii_case("utf8")
            || value.eq_ignore_ascii_case("us-ascii")
    });
    is_utf8 && types.iter().any(|known| known.eq_ignore_ascii_case(essence))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn one_known_content_type_in_utf_8() {
        let is_json = |texts: &[&str]| {
            let mut headers = HeaderMap::new();
            for text in texts {
                headers.append(CONTENT_TYPE, HeaderValue::from_str(text).unwrap());
            }
            is_of_type(&headers, &["application/json"])
        };
        for text in [
            "application/json",
            "Application/JSON",
            "application/json;charset=utf-8",
            "application/json ; Charset=\"UTF-8\"",
            "application/json; charset=utf8; x=y",
            "application/json;",
        ] {
            assert!(is_json(&[text]), "{text}");
        }
        for texts in [
            &[][..],
            &[""],
            &["text/plain"],
            &["text/plain;application/json"],
            &["text/plain; a=application/json"],
            &["application/json, text/plain"],
            &["text/plain, application/json"],
            &["application/jsonx"],
            &["application/x-www-form-urlencoded"],
            &["multipart/form-data; boundary=application/json"],
            &["application/json; charset=utf-16"],
            &["application/json", "text/plain"],
            &["application/json", "application/json"],
        ] {
            assert!(!is_json(texts), "{texts:?}");
        }
    }
}
