//! Limits on rows, time, memory and length; and a reader that goes away.

use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use mqlake::query::{Catalog, SqlEngine};

use crate::support::http::Server;
use crate::support::{self, week};

/// A statement that would run for hours.
const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";

async fn refused(change: impl FnOnce(&mut mqlake::config::Sql), statement: &str) -> String {
    let server = Server::over(&week::lake(), |config| change(&mut config.sql)).await;
    let answer = server.sql(statement, "application/json").await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    answer.json()["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn rows() {
    let detail = refused(|sql| sql.max_rows = 100, "SELECT * FROM message").await;
    assert!(detail.contains("more than 100 rows (sql.max_rows)"), "{detail}");
}

#[tokio::test]
async fn bytes() {
    let detail = refused(|sql| sql.max_bytes = ByteSize::kib(10), "SELECT * FROM message").await;
    assert!(detail.contains("larger than sql.max_bytes allows (10.0 KiB)"), "{detail}");
    let detail = refused(|sql| sql.max_row = ByteSize::kib(1), "SELECT repeat('x', 2000)").await;
    assert!(detail.contains("a row larger than sql.max_row allows (1.0 KiB)"), "{detail}");
}

#[tokio::test]
async fn time() {
    let detail = refused(|sql| sql.timeout = Duration::from_millis(300), ENDLESS).await;
    assert!(detail.contains("ran longer than 300ms (sql.timeout)"), "{detail}");
}

#[tokio::test]
async fn memory() {
    let statement = "SELECT array_agg(message_id) FROM content GROUP BY sequence";
    let detail = refused(|sql| sql.memory = ByteSize::kib(64), statement).await;
    assert!(detail.contains("more memory than sql.memory allows"), "{detail}");
}

#[tokio::test]
async fn length() {
    let statement = format!("SELECT '{}'", "x".repeat(2000));
    let detail = refused(|sql| sql.max_statement = ByteSize::kib(1), &statement).await;
    assert!(detail.contains("sql.max_statement"), "{detail}");
}

#[tokio::test]
async fn a_statement_of_many_operators_does_not_overflow_the_stack() {
    // the planner takes its time when it is not optimised
    let server = Server::over(&week::lake(), |config| config.sql.timeout = Duration::from_secs(600)).await;
    let cases = [
        format!("SELECT 1{}", "+1".repeat(20_000)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(3_000)),
        format!("SELECT 1 WHERE 'a'='b'{}", " OR 'a'='b'".repeat(8_000)),
        format!("SELECT {}1", "- ".repeat(20_000)),
    ];
    for statement in cases {
        let answer = server.sql(&statement, "application/json").await;
        assert_eq!(answer.status, 422, "{}", answer.text());
    }
    let longest = format!("SELECT 1{} AS n", "+1".repeat(900));
    assert_eq!(server.sql(&longest, "application/json").await.text(), r#"[{"n":901}]"#);
}

#[tokio::test]
async fn a_side_of_a_join_that_is_pruned_away_is_empty() {
    let server = Server::over(&week::lake(), |_| {}).await;
    let statement = "SELECT count(*) AS n FROM message a CROSS JOIN dead_message b WHERE a.kind = 5";
    assert_eq!(server.sql(statement, "application/json").await.text(), r#"[{"n":0}]"#);
}

/// One place for statements: the second gets it only when the first has ended.
#[tokio::test]
async fn a_reader_that_goes_away_cancels_its_statement() {
    let mut config = support::config(&week::lake());
    config.sql.max_concurrency = 1;
    config.sql.timeout = Duration::from_secs(60);
    let lake = support::open(&config).await;
    let catalog = Arc::new(Catalog::open(lake, &config.cache).await.unwrap());
    let engine = SqlEngine::new(catalog, config.sql).unwrap();
    let running = engine.query(ENDLESS).await.unwrap();
    drop(running);
    let mut rows =
        tokio::time::timeout(Duration::from_secs(30), engine.query("SELECT 1")).await.unwrap().unwrap();
    assert_eq!(rows.next().await.unwrap().unwrap().num_rows(), 1);
}
