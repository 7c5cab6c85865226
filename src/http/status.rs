//! `/healthz`, `/readyz` and `/api/status`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Problem;
use super::app::App;
use super::json::json;
use crate::error::Result;
use crate::lake::{Lake, Level};
use crate::query::Pinned;
use crate::stream::SourceStatus;

/// Maximum wait for positions: a status is needed most when the store is slow.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// `/healthz`: the process runs.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// `/readyz`: ready if the tables are open, the store answers, and every source is connected or has reported why it is
/// not. A source that refuses the server's credentials makes it not ready, because only an operator can change that.
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Response {
    if app.follow.as_ref().is_some_and(|follow| !follow.is_explained()) {
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "connecting", "a source is not connected yet")
            .hint("see `sources` in /api/status")
            .into_response();
    }
    if let Some(why) = app.follow.as_ref().and_then(|follow| follow.refusal()) {
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "source-refused", why)
            .hint("queries are answered from what is stored; see `sources` in /api/status")
            .into_response();
    }
    if let Some(trouble) = app.isolated_sql().and_then(crate::query::IsolatedSql::trouble) {
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "sql-unavailable", trouble)
            .hint("everything but /api/sql is answered")
            .into_response();
    }
    let Some(reason) = app.unavailable() else { return "ready\n".into_response() };
    let hint = if app.catalog.is_open() {
        "queries are answered from what is known, as far as the files can be read"
    } else {
        "the server goes on by itself once the tables can be opened"
    };
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", reason).hint(hint).into_response()
}

#[derive(Serialize)]
struct Status {
    version: &'static str,
    data: String,
    ready: bool,
    tables: Vec<TableStatus>,
    streams: Vec<StreamStatus>,
    /// Why the positions are unknown, if the store did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    sources: Vec<SourceStatus>,
}

#[derive(Serialize)]
struct TableStatus {
    name: &'static str,
    version: u64,
    files: usize,
    recent_files: usize,
    hot_files: usize,
    hot_rows: u64,
    rows: u64,
    bytes: u64,
    first_day: Option<String>,
    last_day: Option<String>,
}

#[derive(Serialize)]
struct StreamStatus {
    system: String,
    broker_group: String,
    log: &'static str,
    positions: Vec<Position>,
}

#[derive(Serialize)]
struct Position {
    table: &'static str,
    position: u64,
}

/// `/api/status`: tables, files, rows and positions.
pub(super) async fn status(State(app): State<Arc<App>>) -> Response {
    json(&gather(&app).await)
}

async fn gather(app: &App) -> Status {
    let pinned = app.catalog.pin();
    let tables = pinned
        .tables()
        .map(|table| {
            let files = &table.snapshot.files;
            TableStatus {
                name: table.snapshot.def.name,
                version: table.snapshot.version,
                files: files.len(),
                recent_files: files.iter().filter(|file| file.level == Level::Recent).count(),
                hot_files: table.hot_files().count(),
                hot_rows: table.hot_files().map(|file| file.stats.rows).sum(),
                rows: files.iter().map(|file| file.stats.rows).sum(),
                bytes: files.iter().map(|file| file.size).sum(),
                first_day: files.iter().map(|file| file.day).min().map(|day| day.to_string()),
                last_day: files.iter().map(|file| file.day).max().map(|day| day.to_string()),
            }
        })
        .collect();
    let lake = &app.catalog.lake;
    let (streams, problem) = match tokio::time::timeout(MAX_WAIT, streams(lake, &pinned)).await {
        Ok(Ok(streams)) => (streams, None),
        Ok(Err(error)) => (Vec::new(), Some(error.to_string())),
        Err(_) => (Vec::new(), Some(format!("the store did not tell the positions within {MAX_WAIT:?}"))),
    };
    Status {
        version: env!("CARGO_PKG_VERSION"),
        data: lake.store.url.to_string(),
        ready: app.is_fresh()
            && app.follow.as_ref().is_none_or(|follow| follow.is_explained() && follow.refusal().is_none()),
        tables,
        streams,
        problem,
        sources: app.follow.as_ref().map(|follow| follow.status()).unwrap_or_default(),
    }
}

/// Positions of all streams: from the snapshots for followed streams, from the store for the others.
async fn streams(lake: &Lake, pinned: &Pinned) -> Result<Vec<StreamStatus>> {
    let mut streams = Vec::new();
    for info in lake.streams().await? {
        for stream in crate::brokers::streams_of(&info) {
            let mut positions: Vec<Position> = pinned
                .tables()
                .filter_map(|table| {
                    let position = *table.snapshot.positions.get(&stream)?;
                    Some(Position { table: table.snapshot.def.name, position })
                })
                .collect();
            if positions.is_empty() {
                for table in lake.tables() {
                    if let Some(position) = table.position(&stream).await? {
                        positions.push(Position { table: table.def.name, position });
                    }
                }
            }
            streams.push(StreamStatus {
                system: info.system.clone(),
                broker_group: info.broker_group.clone(),
                log: stream.log.name(),
                positions,
            });
        }
    }
    Ok(streams)
}
