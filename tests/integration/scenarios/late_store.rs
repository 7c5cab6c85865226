//! A server that starts before its store: it serves, says why it is not ready, and goes on once the store is there.
//! A store that hangs later: requests end in time and name it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use mqlake::config::Config;
use mqlake::http::{App, router};
use mqlake::lake::Lake;
use mqlake::query::Catalog;

use super::Place;
use super::shims::Counting;
use crate::support::{self, generate, http::Server, week_end};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_comes_later_is_waited_for() {
    let place = Place::memory();
    let mut config = Config::default();
    config.lake.store_timeout = Duration::from_millis(200);
    let mut counting = None;
    let store = place.store_through(|inner| counting.insert(Counting::new(inner)).clone());
    let counting = counting.unwrap();
    counting.hangs.store(true, Ordering::SeqCst);
    let lake = Arc::new(Lake::unopened(store, config.lake.clone(), false).unwrap());
    let catalog = Arc::new(Catalog::unopened(lake, &config.cache));
    let app = Arc::new(App::new(catalog, config.clone(), Arc::new(week_end)).unwrap());
    let server = Server::of(router(app.clone()));

    app.refresh().await.unwrap_err();
    let answer = server.get("/readyz").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text().contains("memory:///lake/ gave no answer within 200ms"), "{}", answer.text());
    assert_eq!(server.get("/healthz").await.status, StatusCode::OK);
    let answer = server.get("/api/message?backupQuery=%7B%22subject%22:%22generated.1%22%7D").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text());
    let answer = server.sql("SELECT count(*) FROM message", "application/json").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text());

    // it answers, but there is nothing yet
    counting.hangs.store(false, Ordering::SeqCst);
    app.refresh().await.unwrap_err();
    let answer = server.get("/readyz").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text().contains("there is no data at memory:///lake/"), "{}", answer.text());

    // somebody imports
    let logs = place.own("logs");
    generate::store(&logs, 300, 4);
    let request = mqlake::brokers::qmq::import::ImportRequest {
        store: logs,
        broker_group: "gen".to_owned(),
        skip_corrupt: false,
    };
    let other = place.lake(&Config::default().lake).await;
    other.import(&request, &config, Arc::default(), week_end()).await.unwrap();
    app.refresh().await.unwrap();
    assert_eq!(server.get("/readyz").await.text(), "ready\n");
    let answer = server.sql("SELECT count(*) AS n FROM message", "application/x-ndjson").await;
    let wanted = place.rows("SELECT count(*) AS n FROM message").await;
    assert_eq!(answer.text().trim(), wanted[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_hangs_ends_requests_in_time() {
    let place = Place::memory();
    let logs = place.own("logs");
    generate::store(&logs, 300, 4);
    let mut config = Config::default();
    config.lake.store_timeout = Duration::from_millis(200);
    let request = mqlake::brokers::qmq::import::ImportRequest {
        store: logs,
        broker_group: "gen".to_owned(),
        skip_corrupt: false,
    };
    let other = place.lake(&Config::default().lake).await;
    other.import(&request, &config, Arc::default(), week_end()).await.unwrap();
    let mut counting = None;
    let store = place.store_through(|inner| counting.insert(Counting::new(inner)).clone());
    let counting = counting.unwrap();
    let lake = Arc::new(Lake::open_existing(store, config.lake.clone()).await.unwrap());
    let server = Server::with_lake(lake, config).await;
    counting.hangs.store(true, Ordering::SeqCst);
    let answer = server.get("/api/message?backupQuery=%7B%22subject%22:%22generated.1%22%7D").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text());
    assert!(answer.text().contains("memory:///lake/ gave no answer"), "{}", answer.text());
    let answer = server.sql("SELECT max(message_id) FROM message", "application/json").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text());
    assert!(answer.text().contains("memory:///lake/ gave no answer"), "{}", answer.text());
}

/// A server process; ended with the test.
struct Process(Child, String);

impl Process {
    fn serve(data: &Path) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mqlake"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .env("MQLAKE_HTTP__REFRESH", "50ms")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit_once("http://").unwrap().1.to_owned();
        Process(child, address)
    }

    fn get(&self, path: &str) -> String {
        let mut connection = TcpStream::connect(&self.1).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: application/x-ndjson\r\nConnection: close\r\n\r\n",
            self.1
        );
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_server_over_a_directory_that_comes_later_goes_on() {
    let home = tempfile::tempdir().unwrap();
    // neither is there yet
    let data = home.path().join("later").join("data");
    let server = Process::serve(&data);
    let answer = server.get("/readyz");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(!data.exists(), "a reader makes nothing");
    let logs = home.path().join("logs");
    generate::store(&logs, 300, 4);
    let imported = Command::new(env!("CARGO_BIN_EXE_mqlake"))
        .args(["import", "--broker-group", "gen", "--store"])
        .arg(&logs)
        .env("MQLAKE_DATA", &data)
        .output()
        .unwrap();
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    let begun = Instant::now();
    while !server.get("/readyz").starts_with("HTTP/1.1 200") {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", server.get("/readyz"));
        std::thread::sleep(Duration::from_millis(20));
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let wanted = runtime.block_on(support::rows::query(&data, "SELECT count(*) AS n FROM message"));
    let answer = server.get("/api/sql?q=SELECT%20count(*)%20AS%20n%20FROM%20message");
    assert!(answer.contains(&wanted[0].to_string()), "{answer}");
}
