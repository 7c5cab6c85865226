//! Answers requests until the tables are open, and passes them on to all routes from then on.
//!
//! So a server answers probes as soon as it listens, waits for a store that is unavailable or a directory that is still
//! empty, and needs no restart when they become available. This module opens nothing itself.

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

/// The router of a server before and after its tables are open.
#[derive(Debug)]
pub struct StartupRouter {
    /// Location of the tables, without secrets.
    data: String,
    guard: Guard,
    waiting: RwLock<Waiting>,
    routes: OnceLock<Router>,
}

impl StartupRouter {
    /// A router without routes. `data` is the location of the tables.
    ///
    /// # Errors
    /// [`Error::Config`] for an invalid name or origin.
    pub fn new(data: String, http: &config::Http) -> Result<Arc<StartupRouter>> {
        let waiting = Waiting {
            code: "starting",
            reason: "the tables are being opened".to_owned(),
            hint: "try again in a moment",
        };
        let guard = Guard::new(http)?;
        Ok(Arc::new(StartupRouter { data, guard, waiting: RwLock::new(waiting), routes: OnceLock::new() }))
    }

    /// Sets the reason why the tables are not open.
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

    /// Passes requests on to `routes` from now on.
    pub fn open(&self, routes: Router) {
        let _ = self.routes.set(routes);
    }

    /// The router to serve.
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

async fn answer(State(startup): State<Arc<StartupRouter>>, request: Request) -> Response {
    match startup.routes.get() {
        Some(routes) => routes.clone().oneshot(request).await.into_response(),
        None => match startup.guard.admit(&request) {
            Ok(()) => startup.early(request.uri().path()),
            Err(problem) => problem.into_response(),
        },
    }
}
