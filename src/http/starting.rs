//! The door of a server: while its tables are not open yet it says so, and from then on it leads to all routes.
//!
//! So a server answers probes from its first moment, waits for a store that is away or a directory that is still
//! empty, and needs no restart when they come. It opens nothing itself.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tower::ServiceExt;

use super::guard::Guard;
use super::json::json;
use super::{Problem, metrics};
use crate::config;
use crate::error::{Error, Result};

/// Why the tables are not open.
#[derive(Debug, Clone)]
struct Waiting {
    code: &'static str,
    reason: String,
    hint: &'static str,
}

/// What every request goes through.
#[derive(Debug)]
pub struct Door {
    /// Where the tables are, as far as it may be shown.
    data: String,
    guard: Guard,
    waiting: RwLock<Waiting>,
    routes: OnceLock<Router>,
}

impl Door {
    /// A door that is closed; `data` is where the tables will be.
    ///
    /// # Errors
    /// [`Error::Config`] for a name or an origin that is none.
    pub fn new(data: String, http: &config::Http) -> Result<Arc<Door>> {
        let waiting = Waiting {
            code: "starting",
            reason: "the tables are being opened".to_owned(),
            hint: "try again in a moment",
        };
        let guard = Guard::new(http)?;
        Ok(Arc::new(Door { data, guard, waiting: RwLock::new(waiting), routes: OnceLock::new() }))
    }

    /// Says why the tables are not open, until that changes.
    pub fn explain(&self, error: &Error) {
        let (code, hint) = match error {
            Error::NoData(_) => {
                ("no-data", "run `mqlake import`; the server goes on by itself once there are tables")
            }
            _ => ("store-unavailable", "the server tries again and goes on by itself when the store answers"),
        };
        *self.waiting.write().unwrap_or_else(PoisonError::into_inner) =
            Waiting { code, reason: error.to_string(), hint };
    }

    /// Leads to `routes` from now on.
    pub fn open(&self, routes: Router) {
        let _ = self.routes.set(routes);
    }

    /// What a server serves.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new().fallback(answer).with_state(self)
    }

    fn problem(&self) -> Problem {
        let Waiting { code, reason, hint } =
            self.waiting.read().unwrap_or_else(PoisonError::into_inner).clone();
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, reason).hint(hint)
    }

    /// The answer to a request before the tables are open.
    fn early(&self, path: &str) -> Response {
        match path {
            "/healthz" => "ok\n".into_response(),
            "/metrics" => metrics::early(),
            "/api/status" => {
                let reason = self.waiting.read().unwrap_or_else(PoisonError::into_inner).reason.clone();
                json(&json!({
                    "version": env!("CARGO_PKG_VERSION"),
                    "data": self.data,
                    "ready": false,
                    "tables": [],
                    "streams": [],
                    "problem": reason,
                    "sources": [],
                }))
            }
            _ => self.problem().into_response(),
        }
    }
}

async fn answer(State(door): State<Arc<Door>>, request: Request) -> Response {
    match door.routes.get() {
        Some(routes) => routes.clone().oneshot(request).await.into_response(),
        None => match door.guard.admit(&request) {
            Ok(()) => door.early(request.uri().path()),
            Err(problem) => problem.into_response(),
        },
    }
}
