//! JSON answers: short ones, and long ones within the limits for answers.

use std::sync::Arc;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::Problem;
use super::app::App;
use super::budget::Held;
use super::sized::Beginning;
use crate::error::{Error, Result};

/// A short JSON answer. It ends with a line feed, as in the original server.
pub(super) fn json(value: &impl serde::Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => of_json(text),
        Err(error) => Problem::from(Error::Invariant(error.to_string())).into_response(),
    }
}

fn of_json(mut text: Vec<u8>) -> Response {
    text.push(b'\n');
    let kind = HeaderValue::from_static("application/json;charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// As [`json`], for a value that can be long: within `http.max_answer_bytes` and `http.answer_memory`. `held` is memory
/// that was already reserved for the answer.
///
/// # Errors
/// [`Error::Limit`], [`Error::Busy`].
pub(super) async fn json_within(
    app: &App,
    value: &impl serde::Serialize,
    held: Option<Held>,
) -> Result<Response> {
    let unexpected = |error: serde_json::Error| Error::Invariant(error.to_string());
    let mut text = Beginning::default();
    serde_json::to_writer(&mut text, value).map_err(unexpected)?;
    let length = text.length + 1;
    if length > app.max_answer() {
        return Err(Error::Limit(format!(
            "the answer has {length} bytes, and http.max_answer_bytes is {}; ask for less: a shorter window of time, a \
             smaller `limit`, or without bodies",
            app.config.http.max_answer_bytes
        )));
    }
    if let Some(text) = text.whole() {
        return Ok(of_json(text));
    }
    let mut held = match held {
        Some(held) => held,
        None => app.answers.take(length, app.config.http.timeout).await?,
    };
    let mut text = Vec::with_capacity(length);
    serde_json::to_writer(&mut text, value).map_err(unexpected)?;
    held.shrink_to(text.len());
    let mut response = of_json(text);
    response.extensions_mut().insert(Arc::new(held));
    Ok(response)
}
