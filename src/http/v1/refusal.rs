//! Why a request of `/api/v1` is not answered, as problem+json.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::super::Problem;
use crate::error::Error;

/// A request that is not answered.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A parameter is wrong: its name and what is wrong.
    Field(String, String),
    /// Nothing to answer with: the status is 404.
    NotFound(String),
    /// Switched off; how to switch it on.
    Forbidden(String),
    /// A body that cannot be taken, with the status for it.
    Body(StatusCode, String),
    /// Anything else.
    Failed(Error),
}

/// A body, or why it was not taken.
pub(super) type Taken = Result<Bytes, BytesRejection>;

impl From<BytesRejection> for Refusal {
    fn from(rejection: BytesRejection) -> Refusal {
        Refusal::Body(rejection.status(), rejection.body_text())
    }
}

impl Refusal {
    pub(super) fn field(name: &str, what: impl Into<String>) -> Refusal {
        Refusal::Field(name.to_owned(), what.into())
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
            Refusal::Body(status, what) => Problem::new(status, "bad-body", what).into_response(),
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
