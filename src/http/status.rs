//! `/healthz`, `/readyz` and `/api/status`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::{App, Problem, json};
use crate::error::Result;
use crate::lake::Level;

/// The process lives.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// The tables are open and the store answers.
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Response {
    if app.is_fresh() {
        return "ready\n".into_response();
    }
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "store-unavailable",
        "the store did not answer the last time",
    )
    .hint("queries are answered from what is known, as far as the files can be read")
    .into_response()
}

#[derive(Serialize)]
struct Status {
    version: &'static str,
    data: String,
    ready: bool,
    tables: Vec<TableStatus>,
    streams: Vec<StreamStatus>,
}

#[derive(Serialize)]
struct TableStatus {
    name: &'static str,
    version: u64,
    files: usize,
    recent_files: usize,
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

/// Tables, files, rows and positions.
pub(super) async fn status(State(app): State<Arc<App>>) -> Response {
    match gather(&app).await {
        Ok(status) => json(&status),
        Err(error) => Problem::from(error).into_response(),
    }
}

async fn gather(app: &App) -> Result<Status> {
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
                rows: files.iter().map(|file| file.stats.rows).sum(),
                bytes: files.iter().map(|file| file.size).sum(),
                first_day: files.iter().map(|file| file.day).min().map(|day| day.to_string()),
                last_day: files.iter().map(|file| file.day).max().map(|day| day.to_string()),
            }
        })
        .collect();
    let lake = &app.catalog.lake;
    let mut streams = Vec::new();
    for info in lake.streams().await? {
        for stream in [info.messages(), info.actions()] {
            let mut positions = Vec::new();
            for table in lake.tables() {
                if let Some(position) = table.position(&stream).await? {
                    positions.push(Position { table: table.def.name, position });
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
    Ok(Status {
        version: env!("CARGO_PKG_VERSION"),
        data: lake.store.url.to_string(),
        ready: app.is_fresh(),
        tables,
        streams,
    })
}
