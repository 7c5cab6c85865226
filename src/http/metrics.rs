//! Prometheus metrics: requests by route and status, and the state of tables, caches and this process. Every metric has
//! a line in [`HELP`] with its meaning and unit.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::app::App;
use super::{process, sql_metrics};
use crate::error::{Error, Result};
use crate::stream::SourceStatus;

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Upper bounds of the latency histogram in seconds.
const LATENCY_BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Type of a metric.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Type, name and help text of every metric; those of the process are in [`process`].
const HELP: &[(Kind, &str, &str)] = &[
    (Kind::Gauge, "mqlake_build_info", "Always 1; the label has the version."),
    (Kind::Counter, "mqlake_http_requests_total", "Requests answered, by route and status."),
    (Kind::Histogram, "mqlake_http_request_duration_seconds", "Seconds until the answer begins, by route."),
    (Kind::Counter, "mqlake_http_answers_cut_total", "Answers that failed after they had begun."),
    (Kind::Gauge, "mqlake_http_connections", "Connections that are open."),
    (Kind::Counter, "mqlake_http_connections_refused_total", "Connections for which there was no room."),
    (
        Kind::Counter,
        "mqlake_http_connections_closed_total",
        "Connections closed by the server, by reason: idle, head (slow), write (answer not taken), room (for others).",
    ),
    (Kind::Gauge, "mqlake_http_memory_bytes", "Bytes held for requests, by what for: rows, answers, bodies."),
    (
        Kind::Counter,
        "mqlake_hidden_failures_total",
        "Failures answered with an empty form (http.legacy_errors).",
    ),
    (Kind::Gauge, "mqlake_store_reachable", "1 if the last look for new commits succeeded, else 0."),
    (Kind::Gauge, "mqlake_table_rows", "Rows of a table that are committed."),
    (Kind::Gauge, "mqlake_table_bytes", "Bytes of the live files of a table."),
    (Kind::Gauge, "mqlake_table_files", "Live files of a table."),
    (Kind::Gauge, "mqlake_table_version", "Delta version of a table."),
    (Kind::Gauge, "mqlake_table_hot_rows", "Rows of a table in memory that are not committed yet."),
    (Kind::Gauge, "mqlake_cache_bytes", "Bytes in a cache."),
    (Kind::Gauge, "mqlake_follow_connected", "1 if a source is followed, else 0."),
    (Kind::Gauge, "mqlake_follow_alarms", "Alarms of a source now."),
    (Kind::Gauge, "mqlake_follow_gaps", "Gaps of a source on record."),
    (Kind::Counter, "mqlake_follow_gaps_total", "Gaps found since the start."),
    (Kind::Counter, "mqlake_follow_went_back_total", "Queues that were found shorter than before."),
    (Kind::Counter, "mqlake_follow_failures_total", "Connections to a source that failed."),
    (Kind::Counter, "mqlake_follow_commit_failures_total", "Attempts of commits that failed."),
    (
        Kind::Gauge,
        "mqlake_follow_offset",
        "Offset in the log in bytes, by where: received, visible, committed, broker_end.",
    ),
    (Kind::Gauge, "mqlake_follow_spool_bytes", "Bytes in the spool of a stream."),
    (Kind::Gauge, "mqlake_follow_lag_bytes", "Bytes of the broker's log that are not visible yet."),
    (Kind::Gauge, "mqlake_follow_lag_messages", "Messages of the broker not received yet."),
    (Kind::Gauge, "mqlake_follow_unreadable_topics", "Topics of the broker that may not be read."),
    (
        Kind::Gauge,
        "mqlake_follow_lag_seconds",
        "Age in seconds of the oldest known byte that is not visible yet.",
    ),
    (Kind::Gauge, "mqlake_follow_last_commit_seconds", "Seconds since the last commit of this process."),
    (Kind::Counter, "mqlake_upkeep_failures_total", "Runs of upkeep that failed."),
];

/// Starts recording; later calls do nothing.
///
/// # Errors
/// [`Error::Config`] if another recorder is installed.
pub fn install() -> Result<()> {
    // concurrent calls must not both install
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
    for (kind, name, help) in HELP.iter().copied() {
        match kind {
            Kind::Counter => metrics::describe_counter!(name, help),
            Kind::Gauge => metrics::describe_gauge!(name, help),
            Kind::Histogram => metrics::describe_histogram!(name, help),
        }
    }
    metrics::gauge!("mqlake_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(())
}

/// Aggregates recorded samples. Without it they accumulate in memory until `/metrics` is read.
pub fn tidy() {
    if let Some(recorder) = RECORDER.get() {
        recorder.run_upkeep();
    }
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
    for (what, budget) in [("rows", &app.rows), ("answers", &app.answers), ("bodies", &app.bodies)] {
        metrics::gauge!("mqlake_http_memory_bytes", "of" => what).set(budget.used_bytes() as f64);
    }
    text()
}

fn text() -> Response {
    let text = RECORDER.get().map(PrometheusHandle::render).unwrap_or_default();
    let mut text: String = text.split_inclusive('\n').filter(|line| !line.ends_with(" NaN\n")).collect();
    process::render(&mut text);
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
        // a gauge cannot be removed, so an unknown value is set to NaN, which is not rendered
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
