//! Servers that are started before their store or their data are there.

use super::process::{Running, mqlake, run};
use crate::support::week;

#[test]
fn a_server_waits_for_data_and_goes_on_when_another_process_imports() {
    let home = tempfile::tempdir().unwrap();
    week::write_store("bg2", &home.path().join("store"));
    std::fs::create_dir(home.path().join("empty")).unwrap();
    for data in ["missing", "empty"] {
        let mut command = mqlake(home.path(), &["serve", "--listen", "127.0.0.1:0", "--data", data]);
        command.env("MQLAKE_HTTP__REFRESH", "50ms");
        let mut server = Running::start(command, home.path()).listening();
        let (status, body) = server.get("/readyz");
        assert!(status.contains(" 503 "), "{status}");
        assert!(
            body.contains("urn:mqlake:problem:no-data") && body.contains("there is no data at"),
            "{body}"
        );
        assert!(server.get("/healthz").0.contains(" 200 "));
        let (status, metrics) = server.get("/metrics");
        assert!(status.contains(" 200 ") && metrics.contains("mqlake_store_reachable 0"), "{metrics}");
        for target in
            ["/api/message?backupQuery=%7B%22subject%22%3A%22x%22%7D", "/api/sql?q=SELECT%201", "/nothing"]
        {
            let (status, body) = server.get(target);
            assert!(status.contains(" 503 ") && body.contains("no-data"), "{target}: {status} {body}");
        }
        let (status, body) = server.get("/api/status");
        assert!(status.contains(" 200 "), "{status}");
        let reported: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(reported["ready"], false);
        assert_eq!(reported["version"], env!("CARGO_PKG_VERSION"));
        assert!(reported["problem"].as_str().unwrap().contains("there is no data at"), "{reported}");
        let url = format!("http://{}", server.address);
        let seen = run(mqlake(home.path(), &["status", "--url", &url]));
        assert_eq!(seen.code, Some(1), "{}{}", seen.out, seen.log);
        assert!(seen.out.contains("NOT READY") && seen.out.contains("there is no data at"), "{}", seen.out);
        let made = home.path().join(data).join("message");
        assert!(!made.exists(), "a server that follows nothing creates nothing");

        let import = ["import", "--store", "store", "--broker-group", "bg2", "--data", data];
        assert_eq!(run(mqlake(home.path(), &import)).code, Some(0));
        server.until("it is ready", Running::is_ready);
        let (status, body) = server.get("/api/sql?q=SELECT%20count(*)%20AS%20n%20FROM%20message");
        assert!(status.contains(" 200 "), "{status} {body}");
        assert_eq!(run(mqlake(home.path(), &["status", "--url", &url])).code, Some(0));
        let log = server.log();
        assert_eq!(log.matches("the tables are not open yet").count(), 1, "once, not at each look: {log}");
        assert!(log.contains("the tables are open"), "{log}");
        server.signal("TERM");
        assert_eq!(server.end().code(), Some(0));
    }
}

#[test]
fn a_server_with_sources_begins_with_nothing() {
    let home = tempfile::tempdir().unwrap();
    let mut command = mqlake(home.path(), &["serve", "--listen", "127.0.0.1:0"]);
    command.env("MQLAKE_ROCKETMQ__NAME_SERVERS", "127.0.0.1:1").env("MQLAKE_FOLLOW__RETRY_MAX", "500ms");
    let server = Running::start(command, home.path()).listening();
    server.until("the failure is explained", |server| {
        server.log().contains("connection refused") || server.log().contains("Connection refused")
    });
    let (status, _) = server.get("/api/sql?q=SELECT%20count(*)%20FROM%20message");
    assert!(status.contains(" 200 "), "{status}");
}

#[test]
fn a_store_that_is_away_is_reported_once_however_long_each_attempt_took() {
    let home = tempfile::tempdir().unwrap();
    let mut command = mqlake(home.path(), &["serve", "--listen", "127.0.0.1:0", "--data", "s3://bucket/x"]);
    command.env("AWS_ENDPOINT", "http://127.0.0.1:1").env("AWS_ALLOW_HTTP", "true");
    command
        .env("AWS_ACCESS_KEY_ID", "k")
        .env("AWS_SECRET_ACCESS_KEY", "s")
        .env("MQLAKE_HTTP__REFRESH", "50ms");
    let server = Running::start(command, home.path()).listening();
    // each answer shows the last attempt
    let mut reasons = std::collections::BTreeSet::new();
    server.until("it tried three times", |server| {
        let (status, body) = server.get("/readyz");
        assert!(status.contains(" 503 "), "{status} {body}");
        if body.contains("urn:mqlake:problem:store-unavailable") {
            reasons.insert(body);
        }
        reasons.len() >= 3
    });
    let log = server.log();
    assert_eq!(log.matches("the tables are not open yet").count(), 1, "{log}");
}
