//! Observability of every request: its id, its metrics, and its failure, which is logged only here.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

/// Header with the id of a request, in requests and answers.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Maximum bytes of an id from a client.
const MAX_ID_BYTES: usize = 128;

/// Why a request failed, for the log. An extension of the answer.
#[derive(Debug, Clone)]
pub(super) struct Failure(pub(super) String);

/// The request that an answer belongs to. An extension of the answer.
#[derive(Debug, Clone)]
pub(super) struct RequestTag {
    id: String,
    route: String,
}

impl RequestTag {
    /// Logs a failure after the answer began. The client gets an incomplete body.
    pub(super) fn answer_was_cut(&self, error: &axum::Error) {
        metrics::counter!("mqlake_http_answers_cut_total").increment(1);
        tracing::warn!(%error, route = self.route, request_id = self.id, "an answer failed after it had begun");
    }
}

/// Counts and times every request, gives it an id, and logs its failure.
pub(super) async fn observe(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let path = request.extensions().get::<MatchedPath>();
    // the matched route and not the path, to keep the number of labels small
    let route = path.map_or("other", |path| path.as_str()).to_owned();
    let method = request.method().clone();
    let id = given_id(request.headers()).unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string());
    let mut response = next.run(request).await;
    let (status, elapsed) = (response.status(), started.elapsed());
    metrics::counter!("mqlake_http_requests_total", "route" => route.clone(), "status" => status.as_u16().to_string())
        .increment(1);
    metrics::histogram!("mqlake_http_request_duration_seconds", "route" => route.clone())
        .record(elapsed.as_secs_f64());
    let (request_id, code, elapsed) = (&id, status.as_u16(), humantime::format_duration(rounded(elapsed)));
    match response.extensions_mut().remove::<Failure>() {
        Some(Failure(error)) if status == StatusCode::INTERNAL_SERVER_ERROR => {
            tracing::error!(%method, route, request_id, status = code, %elapsed, error, "a request failed");
        }
        Some(Failure(error)) => {
            tracing::warn!(%method, route, request_id, status = code, %elapsed, error, "a request was not answered");
        }
        None => {
            tracing::debug!(%method, route, request_id, status = code, %elapsed, "a request was answered")
        }
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response.extensions_mut().insert(RequestTag { id, route });
    response
}

/// The id from the client, if there is one that is safe to log.
fn given_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(REQUEST_ID)?.to_str().ok()?;
    let is_id = (1..=MAX_ID_BYTES).contains(&text.len())
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.' | b':'));
    is_id.then(|| text.to_owned())
}

fn rounded(elapsed: std::time::Duration) -> std::time::Duration {
    std::time::Duration::from_millis(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}
