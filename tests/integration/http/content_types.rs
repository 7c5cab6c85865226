//! Of which type a body must be: a page of a stranger can send forms and plain text without being asked.

use mqlake::lake::{Lake, Store};

use super::{Listening, problem, status};
use crate::support::{self, week};

/// `Content-Type` fields, and whether they are JSON.
const TYPES: [(&[&str], bool); 20] = [
    (&["application/json"], true),
    (&["Application/JSON"], true),
    (&["application/json; charset=utf-8"], true),
    (&["application/json;charset=\"UTF-8\""], true),
    (&["application/json ; charset=utf8"], true),
    (&[], false),
    (&[""], false),
    (&["text/plain"], false),
    (&["text/plain;charset=UTF-8"], false),
    (&["text/plain; application/json"], false),
    (&["application/x-www-form-urlencoded"], false),
    (&["multipart/form-data; boundary=application/json"], false),
    (&["application/json, text/plain"], false),
    (&["text/plain, application/json"], false),
    (&["application/json; charset=utf-16"], false),
    (&["application/jsonp"], false),
    (&["text/json"], false),
    (&["json"], false),
    (&["application/json", "text/plain"], false),
    (&["text/plain", "application/json"], false),
];

fn headers(types: &[&str]) -> Vec<String> {
    let types = types.iter().map(|kind| format!("Content-Type: {kind}"));
    std::iter::once("Host: localhost".to_owned()).chain(types).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_something_takes_json_only() {
    let server = Listening::over(&week::lake(), |_| {}).await;
    for (types, is_json) in TYPES {
        let headers = headers(types);
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        for (line, body, wanted, kind) in [
            (
                "POST /api/v1/backtrack/replay HTTP/1.1",
                r#"{"system":"qmq","topic":"t","from":0,"to":1}"#,
                200,
                "",
            ),
            ("POST /api/v1/backtrack/reset HTTP/1.1", "{}", 403, "admin-off"),
        ] {
            let answer = server.request(line, &headers, body).await;
            let wanted = if is_json { (wanted, kind) } else { (415, "unsupported-media-type") };
            assert_eq!((status(&answer), &*problem(&answer)), wanted, "{line} {types:?}: {answer}");
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_are_taken_as_documented() {
    let home = tempfile::tempdir().unwrap();
    let config = support::config(home.path());
    let store = Store::open(&config.data, &config.storage).unwrap();
    Lake::open(store, config.lake.clone()).await.unwrap();
    let server = Listening::over(home.path(), |_| {}).await;
    let body = "SubBefore\u{1}1794742341916\u{1}r\u{1}g\u{1}C000020A279E30946E094A92E91C016D\u{1}C0\u{1}0\u{1}k\u{2}";
    for (types, wanted) in [
        (&["text/plain"][..], 200),
        (&["Text/Plain; charset=utf-8"], 200),
        (&["application/octet-stream"], 200),
        (&["application/json"], 200),
        (&[], 415),
        // what curl sends on its own
        (&["application/x-www-form-urlencoded"], 415),
        (&["multipart/form-data"], 415),
        (&["text/plain; charset=gbk"], 415),
        (&["text/plain", "text/plain"], 415),
    ] {
        let headers = headers(types);
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let answer = server.request("POST /api/v1/trace HTTP/1.1", &headers, body).await;
        assert_eq!(status(&answer), wanted, "{types:?}: {answer}");
    }
    server.stop().await;
}

/// A statement only reads, and what clients send today stays right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_may_be_of_any_type() {
    let server = Listening::over(&week::lake(), |_| {}).await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/sql"] {
        let headers = ["Host: localhost".to_owned(), format!("Content-Type: {kind}")];
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let answer = server.request("POST /api/sql HTTP/1.1", &headers, "SELECT 1 AS one").await;
        assert_eq!(status(&answer), 200, "{kind}: {answer}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_too_long_is_413() {
    let server = Listening::over(&week::lake(), |_| {}).await;
    let head = "Host: localhost\r\nContent-Type: application/json\r\nConnection: close";
    let request =
        format!("POST /api/v1/backtrack/replay HTTP/1.1\r\n{head}\r\nContent-Length: 2097153\r\n\r\n");
    let answer = server.raw(&request).await;
    assert_eq!((status(&answer), &*problem(&answer)), (413, "bad-body"), "{answer}");
    let long = "x".repeat((2 << 20) + 1);
    // without a length in the head
    let chunks = format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    let request = format!(
        "POST /api/v1/backtrack/reset HTTP/1.1\r\n{head}\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"
    );
    let answer = server.raw(&request).await;
    assert_eq!((status(&answer), &*problem(&answer)), (413, "bad-body"), "{answer}");
    server.stop().await;
}
