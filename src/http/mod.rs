//! The HTTP face: the documented QMQ endpoints, SQL, and what operators need.
//!
//! It turns requests into lookups and rows into JSON. It decides nothing about storage, and reads the time
//! only through [`App::clock`].

pub mod legacy;
mod lenient_io;
mod metrics;
mod problem;
mod sql;
mod status;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use tokio::sync::Semaphore;

pub use lenient_io::{LenientIo, LenientListener};
pub use metrics::install as install_metrics;
pub use problem::Problem;
pub use sql::csv_text;

use crate::config::Config;
use crate::error::Result;
use crate::query::{Catalog, SqlEngine};

/// The current time.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Everything a request needs.
pub struct App {
    /// Snapshots and files.
    pub catalog: Arc<Catalog>,
    /// SQL.
    pub sql: SqlEngine,
    /// Settings.
    pub config: Config,
    /// Zone of dates without a zone.
    pub zone: Tz,
    /// The current time.
    pub clock: Clock,
    permits: Semaphore,
    fresh: AtomicBool,
}

impl App {
    /// An application over a catalogue.
    ///
    /// # Errors
    /// [`crate::error::Error::Config`].
    pub fn new(catalog: Arc<Catalog>, config: Config, clock: Clock) -> Result<App> {
        Ok(App {
            sql: SqlEngine::new(catalog.clone(), config.sql.clone())?,
            zone: config.zone()?,
            permits: Semaphore::new(config.http.max_concurrency),
            fresh: AtomicBool::new(true),
            catalog,
            config,
            clock,
        })
    }

    /// Looks for new commits, and remembers whether the store answered.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`]; queries go on with what is known.
    pub async fn refresh(&self) -> Result<()> {
        let outcome = self.catalog.refresh().await;
        self.fresh.store(outcome.is_ok(), Ordering::Relaxed);
        outcome
    }

    /// Whether the last look for new commits succeeded.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.fresh.load(Ordering::Relaxed)
    }
}

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    let queries = legacy::routes()
        .route("/api/sql", get(sql::get_sql).post(sql::post_sql))
        .layer(from_fn_with_state(app.clone(), limit_concurrency));
    Router::new()
        .merge(queries)
        .route("/api/status", get(status::status))
        .route("/healthz", get(status::healthz))
        .route("/readyz", get(status::readyz))
        .route("/metrics", get(metrics::render))
        .fallback(not_found)
        .layer(axum::middleware::from_fn(metrics::measure))
        .layer(tower_http::trace::TraceLayer::new_for_http())
        .with_state(app)
}

/// Lets a bounded number of queries in; others wait, then are told to come back.
async fn limit_concurrency(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let waiting = tokio::time::timeout(app.config.http.timeout, app.permits.acquire());
    match waiting.await {
        Ok(Ok(_permit)) => next.run(request).await,
        _ => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "too many requests at once")
            .hint("try again later, or raise http.max_concurrency")
            .into_response(),
    }
}

async fn not_found(request: Request) -> Response {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not-found",
        format!("there is nothing at {}", request.uri().path()),
    )
    .hint("see /api/message, /api/message/dead, /api/message/detail, /api/message/records, /api/sql, /api/status")
    .into_response()
}

/// A JSON answer that ends with a line feed, as the original's do.
pub(crate) fn json(value: &impl serde::Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(mut text) => {
            text.push('\n');
            let kind = HeaderValue::from_static("application/json;charset=utf-8");
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string()).into_response()
        }
    }
}
