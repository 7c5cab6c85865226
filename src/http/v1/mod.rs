//! `/api/v1`: messages, traces, offsets by time, backtracking and dead letters, for every system.
//!
//! Times in a request are epoch milliseconds, ISO 8601, `yyyyMMddHHmmss` or `now`; times in an answer are epoch
//! milliseconds. If nothing is found, `known` says why, as far as it can be known. Lists take `limit` and `page`, the
//! `next` of the previous answer. Errors are problem+json. Routes that change a broker are off unless `admin.enabled`
//! is set.

mod backtrack;
mod bodies;
mod dead_letters;
mod known;
mod messages;
mod offsets;
mod params;
mod queues;
mod refusal;
mod replay;
mod reset;
mod statement;
mod trace_post;
mod traces;
mod watermark;

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::app::App;
use super::budget::Held;
use super::json::json_within;
use crate::brokers;
use crate::error::Error;
use crate::stream::System;
use params::Params;
use refusal::Refusal;

/// The description of these routes.
const OPENAPI: &str = include_str!("../../../docs/openapi.json");

/// Routes.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/messages", get(messages_route))
        .route("/api/v1/traces", get(traces_route))
        .route("/api/v1/trace", post(trace_post::post))
        .route("/api/v1/offsets", get(offsets_route))
        .route("/api/v1/dead-letters", get(dead_letters_route))
        .route("/api/v1/backtrack/preview", get(preview_route))
        .route("/api/v1/backtrack/reset", post(reset::reset))
        .route("/api/v1/backtrack/replay", post(replay::replay))
        .route("/api/v1/openapi.json", get(openapi))
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], OPENAPI).into_response()
}

macro_rules! lookup_route {
    ($name:ident, $answer:path) => {
        async fn $name(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Response {
            let work = async {
                let params = Params::parse(query.as_deref())?;
                let mut answer = $answer(&app, params).await?;
                let held = answer.held();
                Ok(json_within(&app, &answer, held).await?)
            };
            in_time(&app, work).await
        }
    };
}

/// An answer that can hold reserved memory.
trait Answer {
    /// Takes the memory out of the answer.
    fn held(&mut self) -> Option<Held> {
        None
    }
}

impl Answer for serde_json::Value {}
impl Answer for offsets::Offsets {}
impl Answer for backtrack::Preview {}
impl Answer for messages::Messages {
    fn held(&mut self) -> Option<Held> {
        self.held.take()
    }
}

lookup_route!(messages_route, messages::messages);
lookup_route!(traces_route, traces::traces);
lookup_route!(offsets_route, offsets::offsets);
lookup_route!(dead_letters_route, dead_letters::dead_letters);
lookup_route!(preview_route, backtrack::preview);

/// Works on a request once it has a permit, for at most `http.timeout`.
async fn in_time(app: &App, work: impl Future<Output = Result<Response, Refusal>>) -> Response {
    let _permit = match app.permit().await {
        Ok(permit) => permit,
        Err(busy) => return Refusal::from(busy).into_response(),
    };
    match tokio::time::timeout(app.config.http.timeout, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(refusal)) => refusal.into_response(),
        Err(_) => Refusal::from(Error::store("answering", "no answer within http.timeout")).into_response(),
    }
}

/// Works on a request once it has a permit, without a time limit, because an order to a broker must not be cancelled
/// half-way.
async fn to_the_end(app: &App, work: impl Future<Output = Result<Response, Refusal>>) -> Response {
    let outcome = match app.permit().await {
        Ok(_permit) => work.await,
        Err(busy) => Err(busy.into()),
    };
    outcome.unwrap_or_else(IntoResponse::into_response)
}

/// Which system a request is about.
fn system(params: &mut Params) -> Result<&'static dyn System, Refusal> {
    system_named(&params.required("system")?)
}

/// The system with the name that a request gives.
fn system_named(name: &str) -> Result<&'static dyn System, Refusal> {
    let names = || brokers::ALL.map(|system| system.name()).join(" or ");
    brokers::named(name).ok_or_else(|| Refusal::field("system", format!("must be {}", names())))
}
