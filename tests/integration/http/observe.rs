//! What operators see of requests: ids, one line for a failure, metrics that say what they are.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::Request;

use crate::support::http::{Server, without_files};
use crate::support::week;

#[tokio::test]
async fn every_answer_has_a_request_id() {
    let server = Server::over(&week::lake(), |_| {}).await;
    let id = |answer: &crate::support::http::Answer| {
        answer.headers.get("x-request-id").unwrap().to_str().unwrap().to_owned()
    };
    let mut ids = BTreeSet::new();
    for target in ["/healthz", "/api/message", "/nothing", "/api/v1/messages", "/metrics"] {
        let answer = server.get(target).await;
        assert!(id(&answer).len() >= 16, "{target}");
        ids.insert(id(&answer));
    }
    assert_eq!(ids.len(), 5, "each its own");
    for (given, is_taken) in
        [("trace-1:a.B_2", true), ("", false), ("a b", false), ("a\"b", false), (&*"x".repeat(129), false)]
    {
        let request = Request::get("/healthz").header("x-request-id", given).body(Body::empty()).unwrap();
        let answer = server.send(request).await;
        assert_eq!(id(&answer) == given, is_taken, "{given}");
    }
    let foreign = Request::get("/healthz").header("host", "evil.example").body(Body::empty()).unwrap();
    let answer = server.send(foreign).await;
    assert_eq!(answer.status, 403);
    assert!(!id(&answer).is_empty());
}

/// A log that is written into memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn take(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn a_failure_is_logged_once_with_its_route_and_request() {
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let log = tracing::Dispatch::new(log);
    let query = crate::support::http::encode(r#"{"subject":"order.paid","len":1}"#);
    for (legacy_errors, target, route, status) in [
        (false, format!("/api/message?backupQuery={query}"), "/api/message", 503),
        (true, format!("/api/message?backupQuery={query}"), "/api/message", 200),
        (false, "/api/v1/messages?system=qmq&topic=order.paid".to_owned(), "/api/v1/messages", 503),
    ] {
        let server = without_files(legacy_errors).await;
        let _logging = tracing::dispatcher::set_default(&log);
        lines.take();
        let request = Request::get(&target).header("x-request-id", "id-7").body(Body::empty()).unwrap();
        let answer = server.send(request).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        let about: Vec<String> = lines.take().into_iter().filter(|line| line.contains("id-7")).collect();
        assert_eq!(about.len(), 1, "{about:?}");
        assert!(about[0].contains(&format!("route=\"{route}\"")), "{about:?}");
        assert!(about[0].contains("request_id") && about[0].contains("store unavailable"), "{about:?}");
        // a wrong request is answered with the reason, and nothing is logged
        let wrong = Request::get("/api/message?backupQuery=x").header("x-request-id", "id-8");
        server.send(wrong.body(Body::empty()).unwrap()).await;
        assert_eq!(lines.take(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn every_metric_says_what_it_is() {
    let server = Server::over(&week::lake(), |_| {}).await;
    server.get("/healthz").await;
    let text = server.get("/metrics").await.text();
    let name = |line: &str, start: &str| {
        line.strip_prefix(start).and_then(|rest| rest.split(' ').next()).map(str::to_owned)
    };
    let helped: BTreeSet<String> = text.lines().filter_map(|line| name(line, "# HELP ")).collect();
    let typed: BTreeSet<String> = text.lines().filter_map(|line| name(line, "# TYPE ")).collect();
    assert_eq!(typed, helped);
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let sample = line.split(['{', ' ']).next().unwrap();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| sample.strip_suffix(end));
        let is_known = helped.contains(sample) || family.is_some_and(|family| helped.contains(family));
        assert!(is_known, "no HELP: {line}");
        assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "no number: {line}");
    }
    for wanted in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_start_time_seconds",
        "process_open_fds",
        "process_max_fds",
        "mqlake_http_memory_bytes",
        "mqlake_table_rows",
    ] {
        assert!(helped.contains(wanted), "{wanted}");
        assert!(text.lines().any(|line| line.starts_with(wanted)), "{wanted}");
    }
}
