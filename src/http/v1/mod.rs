//! `/api/v1`: messages, traces, offsets by time, backtracking and dead letters, of every system.
//!
//! Times in a request are epoch milliseconds, ISO 8601, `yyyyMMddHHmmss` or `now`, in an answer epoch milliseconds.
//! Where nothing is found, `known` says what is known. Lists take `limit` and the `page` that the previous answer gave as `next`. Errors are problem+json. What changes a
//! broker is off unless `admin.enabled` says otherwise.

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

/// An answer that can hold memory of its own.
trait Answer {
    /// The memory, once.
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

/// Works on a request when its turn comes, no longer than `http.timeout`.
async fn in_time(app: &App, work: impl Future<Output = Result<Response, Refusal>>) -> Response {
    let _place = match app.place().await {
        Ok(place) => place,
        Err(busy) => return Refusal::from(busy).into_response(),
    };
    match tokio::time::timeout(app.config.http.timeout, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(refusal)) => refusal.into_response(),
        Err(_) => Refusal::from(Error::store("answering", "no answer within http.timeout")).into_response(),
    }
}

/// Works on a request when its turn comes, for as long as it takes: what was begun at a broker is not given up.
async fn at_once(app: &App, work: impl Future<Output = Result<Response, Refusal>>) -> Response {
    let outcome = match app.place().await {
        Ok(_place) => work.await,
        Err(busy) => Err(busy.into()),
    };
    outcome.unwrap_or_else(IntoResponse::into_response)
}

/// Which system a request is about.
fn system(params: &mut Params) -> Result<&'static dyn System, Refusal> {
    system_named(&params.required("system")?)
}

/// The system with a name that was asked for.
fn system_named(name: &str) -> Result<&'static dyn System, Refusal> {
    let names = || brokers::ALL.map(|system| system.name()).join(" or ");
    brokers::named(name).ok_or_else(|| Refusal::field("system", format!("must be {}", names())))
}
