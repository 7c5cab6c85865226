//! Why a request to `/api/v1` is refused, as problem+json.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::super::Problem;
use super::super::page_token::BadToken;
use crate::error::Error;

/// The reason of a refusal.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A parameter is wrong: its name, and what is wrong with it.
    Field(String, String),
    /// What was asked for does not exist; status 404.
    NotFound(String),
    /// The route is switched off; the text says how to switch it on.
    Forbidden(String),
    /// A complete problem document.
    Problem(Problem),
    /// Any other error.
    Failed(Error),
}

impl Refusal {
    pub(super) fn field(name: &str, what: impl Into<String>) -> Refusal {
        Refusal::Field(name.to_owned(), what.into())
    }
}

impl From<BadToken> for Refusal {
    fn from(token: BadToken) -> Refusal {
        let what = match token {
            BadToken::Foreign | BadToken::Damaged => {
                "is no token of this server: pass `next` of the previous page unchanged, or leave it out"
            }
            BadToken::Version(_) | BadToken::OtherQuery => "belongs to another query; begin again without it",
        };
        Refusal::field("page", what)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        Refusal::Problem(problem)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Failed(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Refusal::Field(name, what) => {
                Problem::new(StatusCode::BAD_REQUEST, "bad-parameter", format!("`{name}` {what}"))
                    .field(Some(name))
                    .hint("GET /api/v1/openapi.json tells the parameters of every route")
                    .into_response()
            }
            Refusal::Problem(problem) => problem.into_response(),
            Refusal::NotFound(what) => Problem::new(StatusCode::NOT_FOUND, "not-found", what).into_response(),
            Refusal::Forbidden(how) => Problem::new(
                StatusCode::FORBIDDEN,
                "admin-off",
                "actions that change a broker are switched off",
            )
            .hint(how)
            .into_response(),
            Refusal::Failed(error) => Problem::from(error).into_response(),
        }
    }
}
