//! Errors as RFC 9457 `application/problem+json`. Only this file maps errors to statuses.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::observe::Failure;
use crate::error::{Error, ErrorKind};

/// A problem document.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// The text for the log, if the server, a store or a broker failed.
    #[serde(skip)]
    failure: Option<Box<Failure>>,
}

impl Problem {
    /// A problem with a short code, such as `bad-query`, and a sentence.
    pub(super) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Problem {
        Problem {
            kind: format!("urn:mqlake:problem:{code}"),
            title: status.canonical_reason().unwrap_or("error"),
            status: status.as_u16(),
            detail: detail.into(),
            field: None,
            hint: None,
            failure: None,
        }
    }

    /// Names the field of the request that is wrong.
    #[must_use]
    pub(super) fn field(mut self, field: Option<String>) -> Problem {
        self.field = field.map(String::into_boxed_str);
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        let (status, code) = match error.kind() {
            ErrorKind::Usage if matches!(error, Error::Sql(_)) => (StatusCode::BAD_REQUEST, "bad-sql"),
            ErrorKind::Usage => (StatusCode::BAD_REQUEST, "bad-request"),
            ErrorKind::Limit => (StatusCode::UNPROCESSABLE_ENTITY, "limit-reached"),
            ErrorKind::Unavailable if matches!(error, Error::Busy(_)) => {
                (StatusCode::SERVICE_UNAVAILABLE, "overloaded")
            }
            ErrorKind::Unavailable if matches!(error, Error::Engine(_)) => {
                (StatusCode::SERVICE_UNAVAILABLE, "sql-unavailable")
            }
            ErrorKind::Unavailable if matches!(error, Error::Peer(_)) => {
                (StatusCode::SERVICE_UNAVAILABLE, "broker-unavailable")
            }
            ErrorKind::Unavailable | ErrorKind::Conflict => {
                (StatusCode::SERVICE_UNAVAILABLE, "store-unavailable")
            }
            ErrorKind::Input | ErrorKind::Corrupt | ErrorKind::Invariant | ErrorKind::Output => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal")
            }
        };
        let mut problem = Problem::new(status, code, error.to_string());
        if status.is_server_error() {
            problem.failure = Some(Box::new(Failure(error.to_string())));
        }
        match (status, code) {
            (_, "broker-unavailable") => problem.hint("try again; /api/status tells how the brokers are"),
            (_, "sql-unavailable") => problem.hint("try again; /readyz tells whether SQL can serve"),
            (_, "overloaded") => problem.hint("try again in a moment, or ask for less at once"),
            (StatusCode::SERVICE_UNAVAILABLE, _) => {
                problem.hint("try again; /readyz tells when the store answers")
            }
            (StatusCode::INTERNAL_SERVER_ERROR, _) => problem.hint("run `mqlake verify` on the data"),
            _ => problem,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut text = serde_json::to_string(&self).unwrap_or_default();
        text.push('\n');
        let kind = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(header::CONTENT_TYPE, kind)], text).into_response();
        if let Some(failure) = self.failure {
            response.extensions_mut().insert(*failure);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
