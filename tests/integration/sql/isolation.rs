//! What runs statements is apart from the server: it ends without it and with it, and gives everything back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::server::{Serving, children, files, is_alive, own_memory, signal, until};

/// Runs for ever, and can be interrupted at any time.
const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b";
/// Runs for hours, and cannot be interrupted.
const STUBBORN: &str = "SELECT levenshtein(repeat('a', 10000000), repeat('b', 10000000))";
/// Rows without end.
const ROWS: &str = "SELECT repeat('x', 1000) AS s FROM generate_series(1, 1000000)";

/// With default settings, as an operator gets them.
#[tokio::test(flavor = "multi_thread")]
async fn the_default_settings_survive_what_ended_the_process() {
    let server = Serving::start("");
    let before = own_memory(server.pid());
    for statement in [
        "SELECT length(repeat('a',2000000000))",
        "SELECT sum(length(repeat(subject,1000000))) FROM message",
        "SELECT length(rpad('a', 2000000000, 'b'))",
        "SELECT cardinality(array_repeat(1, 2000000000))",
        "SELECT length(string_agg(repeat(subject, 1000000), ',')) FROM message",
    ] {
        let answer = server.sql(statement).await;
        assert_eq!(answer.status, 422, "{statement}: {}", answer.text);
        assert!(answer.text.contains("sql.memory"), "{statement}: {}", answer.text);
    }
    assert_eq!(server.get("/readyz").await.status, 200);
    assert_eq!(server.sql("SELECT 1 AS one").await.text, r#"[{"one":1}]"#);
    // the server itself only passed them on
    assert!(own_memory(server.pid()) < before + (256 << 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn lookups_are_answered_beside_hostile_statements_and_memory_stays_bounded() {
    let server = Arc::new(Serving::start("memory = \"256MiB\"\ntimeout = \"120s\""));
    server.until_metric("mqlake_sql_workers", 2.0).await;
    let all = |server: &Serving| {
        own_memory(server.pid()) + server.workers().iter().map(|pid| own_memory(*pid)).sum::<u64>()
    };
    let before = all(&server);
    let is_over = Arc::new(AtomicBool::new(false));
    let hostile = [
        "SELECT sum(length(repeat(subject, 1000000))) FROM message",
        "SELECT cardinality(array_agg(repeat(subject, 100000))) FROM message",
        "SELECT max(length(lpad(message_id, 1000000))) FROM message",
        "SELECT length(string_agg(repeat(message_id, 10000), ',')) FROM message",
    ];
    let running = hostile.map(|statement| {
        let (server, is_over) = (server.clone(), is_over.clone());
        tokio::spawn(async move {
            let mut outcomes = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                outcomes.push((statement, server.sql(statement).await));
            }
            outcomes
        })
    });
    let mut most = 0;
    for _ in 0..200 {
        let answer = server.lookup().await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        most = most.max(all(&server));
    }
    is_over.store(true, Ordering::Relaxed);
    for running in running {
        for (statement, answer) in running.await.unwrap() {
            assert_eq!(answer.status, 422, "{statement}: {}", answer.text);
            assert!(answer.text.contains("sql.memory"), "{statement}: {}", answer.text);
        }
    }
    let bound = before + (256 << 20) + (256 << 20);
    assert!(most < bound, "{} MiB at most, {} MiB before", most >> 20, before >> 20);
    let refused = server.metric("mqlake_sql_refused_total{reason=\"memory\"}").await;
    assert!(refused >= 4.0, "{refused}");
}

/// Sends a request and leaves the answer where it is.
async fn ask(server: &Serving, statement: &str) -> TcpStream {
    let address = server.url.strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST /api/sql HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n\r\n{statement}",
        statement.len()
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_reading_gives_its_place_back_at_the_deadline() {
    let server = Serving::start("timeout = \"3s\"\nmax_concurrency = 1");
    let mut stalled = ask(&server, ROWS).await;
    server.until_metric("mqlake_sql_running", 1.0).await;
    let answer = server.sql("SELECT 1 AS one").await;
    let detail = format!("{} {}", answer.text, server.log());
    // it waits for its turn no longer than the other may run; either way the place is free afterwards
    server.until_metric("mqlake_sql_running", 0.0).await;
    assert_eq!(server.sql("SELECT 1 AS one").await.text, r#"[{"one":1}]"#, "{detail}");
    // the answer ends without its proper end
    let mut text = Vec::new();
    let _ = stalled.read_to_end(&mut text).await;
    assert!(text.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&text[..text.len().min(200)]));
    assert!(!text.ends_with(b"\r\n0\r\n\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_ends_its_statement() {
    let server = Serving::start("timeout = \"600s\"\nmax_concurrency = 1");
    for statement in [ENDLESS, STUBBORN, ROWS] {
        let connection = ask(&server, statement).await;
        server.until_metric("mqlake_sql_running", 1.0).await;
        drop(connection);
        server.until_metric("mqlake_sql_running", 0.0).await;
        assert_eq!(server.sql("SELECT 1 AS one").await.text, r#"[{"one":1}]"#, "{statement}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_cannot_be_interrupted_is_ended_with_its_process() {
    let server = Serving::start("timeout = \"1s\"\nmax_concurrency = 1");
    let answer = server.sql(STUBBORN).await;
    assert_eq!(answer.status, 422);
    assert!(answer.text.contains("sql.timeout"), "{}", answer.text);
    server.until_metric("mqlake_sql_running", 0.0).await;
    // nothing computes any more: workers are idle ones
    let busy = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    until("idle workers", || {
        let before: Vec<(u32, String)> = server.workers().into_iter().map(|pid| (pid, busy(pid))).collect();
        std::thread::sleep(Duration::from_millis(300));
        !before.is_empty() && before.iter().all(|(pid, time)| is_alive(*pid) && *time == busy(*pid))
    })
    .await;
    assert_eq!(server.sql("SELECT 1 AS one").await.text, r#"[{"one":1}]"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_is_an_error_and_the_next_statement_runs() {
    let server = Serving::start("timeout = \"600s\"");
    server.until_metric("mqlake_sql_workers", 2.0).await;
    let statement = async { server.sql(ENDLESS).await };
    let killing = async {
        server.until_metric("mqlake_sql_running", 1.0).await;
        for pid in server.workers() {
            signal(pid, "KILL");
        }
    };
    let (answer, ()) = tokio::join!(statement, killing);
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(answer.text.contains("sql-unavailable") && answer.text.contains("signal: 9"), "{}", answer.text);
    assert_eq!(server.sql("SELECT 1 AS one").await.text, r#"[{"one":1}]"#);
    until("a line of the log", || server.log().contains("a process for SQL ended")).await;
    // nobody is left unwaited for
    until("no dead children", || server.workers().into_iter().all(is_alive)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_worker_outlives_its_server() {
    for (name, statement) in
        [("TERM", "SELECT 1"), ("KILL", "SELECT 1"), ("KILL", STUBBORN), ("KILL", ENDLESS)]
    {
        let mut server = Serving::start("timeout = \"600s\"");
        server.until_metric("mqlake_sql_workers", 2.0).await;
        let connection = ask(&server, statement).await;
        if statement != "SELECT 1" {
            server.until_metric("mqlake_sql_running", 1.0).await;
        }
        let workers = server.workers();
        assert!(!workers.is_empty());
        drop(connection);
        server.signal(name);
        server.wait();
        until("workers end", || workers.iter().all(|pid| !is_alive(*pid))).await;
        assert!(children(server.pid()).is_empty());
        if name == "TERM" {
            assert_eq!(files(&server.spill_dir()), Vec::<std::path::PathBuf>::new());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_statements_are_logged_and_counted() {
    let server = Serving::start("timeout = \"2s\"\nslow = \"500ms\"");
    let request = server.client.post(format!("{}/api/sql", server.url)).header("x-request-id", "from-a-test");
    let answer = request.body(ENDLESS).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 422);
    assert_eq!(server.sql("SELECT 1 AS one").await.status, 200);
    until("a line of the log", || server.log().contains("slow statement")).await;
    let log = server.log();
    let line = log.lines().find(|line| line.contains("slow statement")).unwrap_or_else(|| panic!("{log}"));
    assert!(
        line.contains("from-a-test") && line.contains("generate_series") && line.contains("sql.timeout"),
        "{line}"
    );
    assert!((server.metric("mqlake_sql_slow_total").await - 1.0).abs() < 0.1);
    assert!((server.metric("mqlake_sql_complete_total").await - 1.0).abs() < 0.1);
    assert!((server.metric("mqlake_sql_refused_total{reason=\"timeout\"}").await - 1.0).abs() < 0.1);
    let metrics = server.get("/metrics").await.text;
    for name in [
        "running",
        "queued",
        "max_concurrency",
        "workers",
        "memory_bytes",
        "memory_limit_bytes",
        "complete_total",
        "refused_total",
        "slow_total",
        "workers_died_total",
    ] {
        assert!(metrics.contains(&format!("# HELP mqlake_sql_{name} ")), "{name}: {metrics}");
    }
}

/// A program that is not there, one that ends at once, and one that says nothing that makes sense.
#[tokio::test(flavor = "multi_thread")]
async fn readyz_tells_when_no_statement_can_run() {
    for path in ["/nonexistent/mqlake", "/bin/false", "/bin/echo"] {
        let config = crate::support::config(&crate::support::week::lake());
        let lake = crate::support::open(&config).await;
        let program = mqlake::query::Program { path: path.into(), warm: 0 };
        let server = crate::support::http::Server::with_workers(lake, config, program).await;
        assert_eq!(server.get("/readyz").await.status, 200);
        let answer = server.sql("SELECT 1", "*/*").await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert_eq!(answer.json()["type"], "urn:mqlake:problem:sql-unavailable", "{}", answer.text());
        let ready = server.get("/readyz").await;
        assert_eq!(ready.status, 503);
        assert_eq!(ready.json()["type"], "urn:mqlake:problem:sql-unavailable");
        assert_eq!(server.get("/healthz").await.status, 200);
    }
}
