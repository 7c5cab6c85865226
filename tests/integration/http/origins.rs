//! Where a request that changes something, or costs much, may come from.

use super::{Listening, problem, status};
use crate::support::week;

/// Headers of a request to `localhost:8080`, and whether it is answered.
const CASES: [(&[&str], bool); 30] = [
    (&[], true),
    (&["Origin: http://localhost:8080"], true),
    (&["Origin: HTTP://LocalHost:8080"], true),
    // a proxy with TLS stands before
    (&["Origin: https://localhost:8080"], true),
    (&["Sec-Fetch-Site: same-origin", "Origin: http://localhost:8080"], true),
    (&["Sec-Fetch-Site: same-origin"], true),
    (&["Sec-Fetch-Site: none"], true),
    (&["Origin: https://mq.example.com"], true),
    (&["Origin: https://mq.example.com", "Sec-Fetch-Site: cross-site"], true),
    (&["Origin: null"], false),
    (&["Origin:"], false),
    (&["Origin: http://evil.example"], false),
    (&["Origin: http://evil.example:8080"], false),
    (&["Origin: http://localhost"], false),
    (&["Origin: http://localhost:3000"], false),
    (&["Origin: http://127.0.0.1:8080"], false),
    (&["Origin: http://localhost.evil.example:8080"], false),
    (&["Origin: http://localhost:8080.evil.example"], false),
    (&["Origin: http://localhost:8080/"], false),
    (&["Origin: http://localhost:8080@evil.example"], false),
    (&["Origin: http://localhost:8080 http://evil.example"], false),
    (&["Origin: file://localhost:8080"], false),
    (&["Origin: http://mq.example.com"], false),
    (&["Origin: http://localhost:8080", "Origin: http://localhost:8080"], false),
    (&["Origin: http://localhost:8080", "Origin: http://evil.example"], false),
    (&["Sec-Fetch-Site: cross-site"], false),
    (&["Sec-Fetch-Site: same-site"], false),
    (&["Sec-Fetch-Site: Cross-Site", "Sec-Fetch-Mode: navigate"], false),
    (&["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"], false),
    (&["Origin: http://localhost:8080", "Sec-Fetch-Site: cross-site"], false),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_strangers_change_nothing() {
    let server = Listening::over(&week::lake(), |config| {
        config.http.origins = vec!["https://mq.example.com".to_owned()];
    })
    .await;
    let json = "Content-Type: application/json";
    for (headers, is_answered) in CASES {
        let mut all = vec!["Host: localhost:8080", json];
        all.extend(headers);
        for (line, body, wanted, kind) in [
            (
                "POST /api/v1/backtrack/replay HTTP/1.1",
                r#"{"system":"qmq","topic":"t","from":0,"to":1}"#,
                200,
                "",
            ),
            ("POST /api/v1/backtrack/reset HTTP/1.1", "{}", 403, "admin-off"),
            // an empty body is refused by the route itself
            ("POST /api/v1/trace HTTP/1.1", "", 400, "bad-parameter"),
            ("POST /api/sql HTTP/1.1", r#"{"query":"SELECT 1 AS one"}"#, 200, ""),
        ] {
            let answer = server.request(line, &all, body).await;
            let wanted = if is_answered { (wanted, kind) } else { (403, "foreign-origin") };
            assert_eq!((status(&answer), &*problem(&answer)), wanted, "{line} {headers:?}: {answer}");
        }
    }
    server.stop().await;
}

/// Target, headers, status.
const READS: [(&str, &[&str], u16); 11] = [
    ("/api/status", &["Origin: http://evil.example", "Sec-Fetch-Site: cross-site"], 200),
    ("/metrics", &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"], 200),
    ("/api/sql?q=SELECT%201", &[], 200),
    ("/api/sql?q=SELECT%201", &["Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"], 200),
    ("/api/sql?q=SELECT%201", &["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"], 200),
    // somebody follows a link
    (
        "/api/sql?q=SELECT%201",
        &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"],
        200,
    ),
    ("/api/sql?q=SELECT%201", &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"], 403),
    ("/api/sql?q=SELECT%201", &["Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors"], 403),
    (
        "/api/sql?q=SELECT%201",
        &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"],
        403,
    ),
    ("/api/sql?q=SELECT%201", &["Origin: http://evil.example"], 403),
    ("/api/sql?q=SELECT%201", &["Origin: null"], 403),
];

/// Other pages cannot read what a server says, since it lets none of them; statements they cannot even start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_are_answered_but_statements_of_strangers() {
    let server = Listening::over(&week::lake(), |_| {}).await;
    for (target, headers, wanted) in READS {
        let mut all = vec!["Host: localhost:8080"];
        all.extend(headers);
        let answer = server.request(&format!("GET {target} HTTP/1.1"), &all, "").await;
        assert_eq!(status(&answer), wanted, "{target} {headers:?}: {answer}");
        assert!(!answer.to_ascii_lowercase().contains("access-control"), "{answer}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_other_method_does_what_a_post_does() {
    let server = Listening::over(&week::lake(), |_| {}).await;
    for (line, header, wanted) in [
        ("GET /api/v1/backtrack/reset HTTP/1.1", "X-HTTP-Method-Override: POST", 405),
        ("GET /api/v1/backtrack/replay?_method=POST HTTP/1.1", "X-HTTP-Method: POST", 405),
        ("HEAD /api/v1/trace HTTP/1.1", "X-Method-Override: POST", 405),
        ("PUT /api/v1/backtrack/reset HTTP/1.1", "Content-Type: application/json", 405),
        ("OPTIONS /api/v1/backtrack/reset HTTP/1.1", "Access-Control-Request-Method: POST", 405),
    ] {
        let answer = server.request(line, &["Host: localhost:8080", header], "").await;
        assert_eq!(status(&answer), wanted, "{line}: {answer}");
        assert!(!answer.to_ascii_lowercase().contains("access-control"), "{answer}");
    }
    server.stop().await;
}
