//! Prometheus metrics: requests by route and status, and the state of tables and caches.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::{App, sql_metrics};
use crate::error::{Error, Result};
use crate::follow::SourceStatus;

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Upper bounds of the latency histogram, seconds.
const LATENCY_BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Starts recording; later calls do nothing.
///
/// # Errors
/// [`Error::Config`] if another recorder is installed.
pub fn install() -> Result<()> {
    // two that come at once must not both install
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _installing = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if RECORDER.get().is_some() {
        return Ok(());
    }
    let failed = |error: String| Error::Config(format!("metrics: {error}"));
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".to_owned()), &LATENCY_BUCKETS)
        .map_err(|error| failed(error.to_string()))?
        .install_recorder()
        .map_err(|error| failed(error.to_string()))?;
    let _ = RECORDER.set(handle);
    sql_metrics::describe();
    metrics::gauge!("mqlake_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(())
}

/// Gathers what was recorded; without it samples pile up until somebody reads `/metrics`.
pub fn tidy() {
    if let Some(recorder) = RECORDER.get() {
        recorder.run_upkeep();
    }
}

/// Counts and times every request.
pub(super) async fn measure(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let path = request.extensions().get::<MatchedPath>();
    // the matched route, never the raw path: labels stay few
    let route = path.map_or("other", |path| path.as_str()).to_owned();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    metrics::counter!("mqlake_http_requests_total", "route" => route.clone(), "status" => status)
        .increment(1);
    metrics::histogram!("mqlake_http_request_duration_seconds", "route" => route)
        .record(started.elapsed().as_secs_f64());
    response
}

/// `GET /metrics` while the tables are not open.
pub(super) fn early() -> Response {
    metrics::gauge!("mqlake_store_reachable").set(0.0);
    text()
}

/// `GET /metrics`
pub(super) async fn render(State(app): State<Arc<App>>) -> Response {
    for table in app.catalog.pin().tables() {
        let name = table.snapshot.def.name;
        let rows: u64 = table.snapshot.files.iter().map(|file| file.stats.rows).sum();
        let bytes: u64 = table.snapshot.files.iter().map(|file| file.size).sum();
        metrics::gauge!("mqlake_table_files", "table" => name).set(table.snapshot.files.len() as f64);
        metrics::gauge!("mqlake_table_rows", "table" => name).set(rows as f64);
        metrics::gauge!("mqlake_table_bytes", "table" => name).set(bytes as f64);
        let hot: u64 = table.hot_files().map(|file| file.stats.rows).sum();
        metrics::gauge!("mqlake_table_hot_rows", "table" => name).set(hot as f64);
        metrics::gauge!("mqlake_table_version", "table" => name).set(table.snapshot.version as f64);
    }
    for source in app.follow.iter().flat_map(|follow| follow.status()) {
        render_source(&source);
    }
    for (cache, bytes) in app.catalog.files.bytes() {
        metrics::gauge!("mqlake_cache_bytes", "cache" => cache).set(bytes as f64);
    }
    if let Some(sql) = app.isolated_sql() {
        sql_metrics::render(&sql.usage(), &app.config.sql);
    }
    metrics::gauge!("mqlake_store_reachable").set(if app.is_fresh() { 1.0 } else { 0.0 });
    text()
}

fn text() -> Response {
    let text = RECORDER.get().map(PrometheusHandle::render).unwrap_or_default();
    let text: String = text.split_inclusive('\n').filter(|line| !line.ends_with(" NaN\n")).collect();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

fn render_source(source: &SourceStatus) {
    let name = source.name.clone();
    let is_following = if source.state == "following" { 1.0 } else { 0.0 };
    metrics::gauge!("mqlake_follow_connected", "source" => name.clone()).set(is_following);
    metrics::gauge!("mqlake_follow_alarms", "source" => name.clone()).set(source.alarms.len() as f64);
    metrics::gauge!("mqlake_follow_gaps", "source" => name.clone()).set(source.gaps.len() as f64);
    for stream in &source.streams {
        let offsets = [
            ("received", stream.received),
            ("visible", stream.visible),
            ("committed", stream.committed),
            ("broker_end", stream.broker_end),
        ];
        for (at, offset) in offsets {
            let Some(offset) = offset else { continue };
            metrics::gauge!("mqlake_follow_offset", "source" => name.clone(), "log" => stream.log, "at" => at)
                .set(offset as f64);
        }
        let (log, label) = (stream.log, name.clone());
        metrics::gauge!("mqlake_follow_spool_bytes", "source" => label.clone(), "log" => log)
            .set(stream.spooled_bytes as f64);
        // what is not known now has to go; a gauge cannot, but one that is no number is not rendered
        let lags = [
            ("mqlake_follow_lag_bytes", stream.lag_bytes.map(|bytes| bytes as f64)),
            ("mqlake_follow_lag_seconds", stream.lag_seconds),
            ("mqlake_follow_lag_messages", stream.lag_messages.map(|messages| messages as f64)),
        ];
        for (metric, lag) in lags {
            metrics::gauge!(metric, "source" => label.clone(), "log" => log).set(lag.unwrap_or(f64::NAN));
        }
        if let Some(seconds) = stream.last_commit_seconds {
            metrics::gauge!("mqlake_follow_last_commit_seconds", "source" => label, "log" => log)
                .set(seconds);
        }
    }
}
