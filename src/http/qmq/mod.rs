//! The four documented routes of QMQ's backup server, unchanged for their clients.
//!
//! Where the original loses or hides data, the answer here is complete. Where it answers an error with status 200 and
//! an empty form, the default is an error status, and `http.legacy_errors = true` gives the original form.

mod detail;
mod list;
mod records;
pub mod request;

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::app::App;
use super::json::json_within;
use super::observe::Failure;
use super::page_token::BadToken;
use super::problem::Problem;
use crate::error::Error;
use request::{BadQuery, parameter};

/// The routes.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/message", get(message))
        .route("/api/message/dead", get(dead))
        .route("/api/message/detail", get(message_detail))
        .route("/api/message/records", get(message_records))
}

/// Header of a detail: whether it comes from the `slave` or the `store`.
const CONTENT_FROM: &str = "mqlake-content-from";

/// The documented routes, which differ in how the original answers errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Message,
    Dead,
    Detail,
    Records,
}

/// Why a query has no answer.
enum Refusal {
    /// The query cannot be used.
    Query(BadQuery),
    /// The page token cannot be used.
    Token(BadToken),
    /// Answering failed.
    Failed(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Failed(error)
    }
}

impl From<BadToken> for Refusal {
    fn from(token: BadToken) -> Refusal {
        Refusal::Token(token)
    }
}

impl From<BadQuery> for Refusal {
    fn from(query: BadQuery) -> Refusal {
        Refusal::Query(query)
    }
}

async fn message(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Response {
    respond(&app, Route::Message, query.as_deref()).await
}

async fn dead(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Response {
    respond(&app, Route::Dead, query.as_deref()).await
}

async fn message_detail(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Response {
    respond(&app, Route::Detail, query.as_deref()).await
}

async fn message_records(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Response {
    respond(&app, Route::Records, query.as_deref()).await
}

async fn respond(app: &App, route: Route, raw_query: Option<&str>) -> Response {
    let text = match parameter(raw_query, route.parameter()) {
        Ok(Some(text)) if !text.is_empty() => text,
        Ok(_) => return route.missing(app),
        // the original's container also refuses these
        Err(error) => {
            return Problem::new(StatusCode::BAD_REQUEST, "bad-request", error.to_string())
                .field(Some(route.parameter().to_owned()))
                .hint("percent-encode the JSON text as UTF-8")
                .into_response();
        }
    };
    let _permit = match app.permit().await {
        Ok(permit) => permit,
        Err(busy) => return route.refused(app, Refusal::Failed(busy)),
    };
    let answer = tokio::time::timeout(app.config.http.timeout, route.answer(app, &text)).await;
    match answer {
        Ok(Ok(response)) => response,
        Ok(Err(refusal)) => route.refused(app, refusal),
        Err(_) => route.refused(
            app,
            Refusal::Failed(Error::store(
                "answering",
                format!(
                    "no answer within {} (http.timeout)",
                    humantime::format_duration(app.config.http.timeout)
                ),
            )),
        ),
    }
}

impl Route {
    fn parameter(self) -> &'static str {
        match self {
            Route::Records => "recordQuery",
            _ => "backupQuery",
        }
    }

    async fn answer(self, app: &App, text: &str) -> Result<Response, Refusal> {
        match self {
            Route::Message => Ok(json_within(app, &list::messages(app, text).await?, None).await?),
            Route::Dead => Ok(json_within(app, &list::dead_letters(app, text).await?, None).await?),
            Route::Detail => {
                let (found, origin) = detail::detail(app, text).await?;
                let mut response = json_within(app, &found, None).await?;
                // the origin is a header, so that the document stays as clients know it
                response.headers_mut().insert(CONTENT_FROM, HeaderValue::from_static(origin.name()));
                Ok(response)
            }
            Route::Records => Ok(json_within(app, &records::records(app, text).await?, None).await?),
        }
    }

    fn missing(self, app: &App) -> Response {
        if app.config.http.legacy_errors {
            return match self {
                Route::Records => form("{\"records\":[]}\n"),
                _ => ().into_response(),
            };
        }
        let name = self.parameter();
        Problem::new(
            StatusCode::BAD_REQUEST,
            "bad-query",
            format!("the parameter `{name}` is missing or empty"),
        )
        .field(Some(name.to_owned()))
        .hint(format!("{name} is a JSON object, for example {}", self.example()))
        .into_response()
    }

    fn example(self) -> &'static str {
        match self {
            Route::Message | Route::Dead => r#"{"subject":"order.paid","len":10}"#,
            Route::Detail => r#"{"subject":"order.paid","brokerGroup":"bg1","sequence":0}"#,
            Route::Records => r#"{"subject":"order.paid","brokerGroup":"bg1","sequence":0,"recordCode":0}"#,
        }
    }

    fn refused(self, app: &App, refusal: Refusal) -> Response {
        let is_busy = matches!(refusal, Refusal::Failed(Error::Busy(_)));
        if app.config.http.legacy_errors && !is_busy {
            let mut response = match (self, &refusal) {
                (Route::Records, _) => form("{\"records\":[]}\n"),
                (_, Refusal::Query(_)) => form("[]\n"),
                (Route::Message | Route::Dead, _) => form("{\"list\":[]}\n"),
                (Route::Detail, _) => form("null\n"),
            };
            if let Refusal::Failed(error) = &refusal {
                // the client sees an empty form; the operator must see the failure
                metrics::counter!("mqlake_hidden_failures_total").increment(1);
                response.extensions_mut().insert(Failure(error.to_string()));
            }
            return response;
        }
        match refusal {
            Refusal::Query(bad) => {
                let detail = bad.to_string();
                Problem::new(StatusCode::BAD_REQUEST, "bad-query", detail)
                    .field(bad.field)
                    .hint(format!("{} is a JSON object, for example {}", self.parameter(), self.example()))
                    .into_response()
            }
            Refusal::Token(token) => Problem::new(StatusCode::BAD_REQUEST, "bad-token", why_unusable(token))
                .field(Some("start".to_owned()))
                .hint("pass `next` of the previous page of the same query unchanged, or leave `start` out")
                .into_response(),
            Refusal::Failed(error) => Problem::from(error).into_response(),
        }
    }
}

fn why_unusable(token: BadToken) -> String {
    match token {
        BadToken::Foreign => {
            "`start` is not a page token of this server; start again without `start`".to_owned()
        }
        BadToken::Damaged => "the page token in `start` is damaged; start again without `start`".to_owned(),
        BadToken::Version(version) => format!(
            "the page token in `start` has version {version}, which this server does not read; start again without \
             `start`"
        ),
        BadToken::OtherQuery => "`start` belongs to another query; start again without it".to_owned(),
    }
}

fn form(text: &'static str) -> Response {
    let kind = HeaderValue::from_static("application/json;charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_wrong_token_is_answered_says_how_to_go_on() {
        for token in [BadToken::Foreign, BadToken::Damaged, BadToken::Version(2)] {
            assert!(why_unusable(token).ends_with("start again without `start`"), "{token:?}");
        }
        assert!(why_unusable(BadToken::OtherQuery).contains("another query"));
    }
}
