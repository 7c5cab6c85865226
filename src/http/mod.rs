//! The HTTP interface: the documented QMQ endpoints, `/api/v1` for every system, SQL, and routes for operators.
//!
//! It turns requests into lookups and rows into JSON. It decides nothing about storage, and reads the time only through
//! [`App::clock`].

mod app;
mod body;
mod budget;
mod connection;
mod guard;
mod json;
mod lenient_io;
mod metrics;
mod observe;
mod open_files;
pub mod page_token;
mod problem;
mod process;
pub mod qmq;
mod server;
mod sized;
mod sql;
mod sql_metrics;
mod starting;
mod status;
mod trace_inbox;
mod v1;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

pub use app::{App, Clock};
pub use metrics::{install as install_metrics, tidy as tidy_metrics};
use problem::Problem;
pub use server::serve;
pub(crate) use sql::{csv_text, distinct_names, renamed};
pub use starting::StartupRouter;

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .merge(crate::http::qmq::routes())
        .merge(v1::routes())
        .merge(sql::routes())
        .route("/api/status", get(status::status))
        .route("/healthz", get(status::healthz))
        .route("/readyz", get(status::readyz))
        .route("/metrics", get(metrics::render))
        .fallback(not_found)
        .layer(axum::middleware::from_fn_with_state(app.guard.clone(), guard::check))
        .layer(axum::middleware::from_fn(observe::observe))
        .with_state(app)
}

async fn not_found(request: Request) -> Response {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not-found",
        format!("there is nothing at {}", request.uri().path()),
    )
    .hint("see /api/message, /api/message/dead, /api/message/detail, /api/message/records, /api/v1/openapi.json, /api/sql, /api/status")
    .into_response()
}
