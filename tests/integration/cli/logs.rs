//! What the log says at the start, and how often it says the same.

use super::process::{Running, mqlake};
use crate::support::week;

#[test]
fn a_server_says_what_it_is_at_its_start_without_secrets() {
    let home = tempfile::tempdir().unwrap();
    let data = week::lake().display().to_string();
    let command = mqlake(home.path(), &["serve", "--listen", "127.0.0.1:0", "--data", &data]);
    let server = Running::start(command, home.path()).listening();
    let log = server.log();
    let line = log.lines().find(|line| line.contains("serving")).unwrap();
    let expected = [
        format!("version=\"{}\"", env!("CARGO_PKG_VERSION")),
        format!("data=\"{data}\""),
        format!("listen={}", server.address),
        "sources=\"none\"".to_owned(),
    ];
    for part in expected {
        assert!(line.contains(&part), "{part}: {line}");
    }

    let mut command = mqlake(home.path(), &["serve", "--listen", "127.0.0.1:0", "--log-json"]);
    command.env("MQLAKE_QMQ__META_SERVER_ENDPOINT", "http://me:hidden@127.0.0.1:1/meta/address");
    command.env(
        "MQLAKE_ROCKETMQ",
        "{name_servers=\"127.0.0.1:1\", name=east, access_key=reader, secret_key=hidden}",
    );
    let server = Running::start(command, home.path()).listening();
    let log = server.log();
    let line = log.lines().find(|line| line.contains("\"serving\"")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["fields"]["sources"], "qmq 127.0.0.1/20881, rocketmq east");
    assert_eq!(line["fields"]["data"], "./mqlake-data");
    server.until("both sources failed", |server| {
        let log = server.log();
        ["127.0.0.1/20881", "east"]
            .iter()
            .all(|name| log.lines().any(|line| line.contains("WARN") && line.contains(name)))
    });
    assert!(!server.log().contains("hidden"), "{}", server.log());
}

#[test]
fn a_failure_that_repeats_itself_is_reported_once() {
    let home = tempfile::tempdir().unwrap();
    let mut command = mqlake(home.path(), &["serve", "--listen", "127.0.0.1:0"]);
    command.env("MQLAKE_QMQ__META_SERVER_ENDPOINT", "http://127.0.0.1:1/meta/address");
    command.env("MQLAKE_ROCKETMQ__NAME_SERVERS", "127.0.0.1:1");
    command.env("MQLAKE_FOLLOW__RETRY_MIN", "10ms").env("MQLAKE_FOLLOW__RETRY_MAX", "20ms");
    let server = Running::start(command, home.path()).listening();
    server.until("it failed often", |server| {
        let (_, metrics) = server.get("/metrics");
        let failures = metrics.lines().find(|line| line.starts_with("mqlake_follow_failures_total{"));
        failures.and_then(|line| line.rsplit(' ').next()).is_some_and(|n| n.parse::<f64>().unwrap() > 20.0)
    });
    let warnings: Vec<String> = server
        .log()
        .lines()
        .filter(|line| line.contains(" WARN "))
        .map(|line| line.split(" WARN ").nth(1).unwrap().to_owned())
        .collect();
    let different: std::collections::BTreeSet<_> = warnings.iter().collect();
    assert_eq!(warnings.len(), different.len(), "{warnings:#?}");
    assert!((2..=4).contains(&warnings.len()), "{warnings:#?}");
}
