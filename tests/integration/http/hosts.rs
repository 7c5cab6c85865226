//! Under which names a server answers. A page whose name was made to point here must read nothing.

use super::{Listening, problem, status};
use crate::support::week;

/// `Host` fields of a request to a server on a loopback address, and what they get.
const ON_LOOPBACK: [(&str, u16, &str); 49] = [
    ("localhost", 200, ""),
    ("localhost:8080", 200, ""),
    ("LOCALHOST:1", 200, ""),
    ("localhost.", 200, ""),
    ("localhost.:8080", 200, ""),
    ("localhost:", 200, ""),
    ("a.localhost", 200, ""),
    ("127.0.0.1", 200, ""),
    ("127.0.0.1:8080", 200, ""),
    ("127.9.9.9:9", 200, ""),
    ("[::1]", 200, ""),
    ("[::1]:8080", 200, ""),
    ("[::1%lo]:8080", 200, ""),
    ("[::ffff:127.0.0.1]:8080", 200, ""),
    ("mq.example.com", 200, ""),
    ("MQ.Example.COM.:80", 200, ""),
    ("a.lake.example", 200, ""),
    ("evil.example", 403, "foreign-host"),
    ("evil.example:8080", 403, "foreign-host"),
    ("localhost.evil.example", 403, "foreign-host"),
    ("evillocalhost", 403, "foreign-host"),
    ("localhost.localdomain", 403, "foreign-host"),
    ("mq.example.com.evil.example", 403, "foreign-host"),
    ("lake.example", 403, "foreign-host"),
    ("127.0.0.1.nip.io", 403, "foreign-host"),
    ("127.0.0.1.", 403, "foreign-host"),
    ("127.1", 403, "foreign-host"),
    ("0x7f000001", 403, "foreign-host"),
    ("2130706433", 403, "foreign-host"),
    ("0.0.0.0:8080", 403, "foreign-host"),
    ("10.0.0.1", 403, "foreign-host"),
    ("[fd00::1]", 403, "foreign-host"),
    ("[::]", 403, "foreign-host"),
    ("x", 403, "foreign-host"),
    ("", 400, "bad-host"),
    (" ", 400, "bad-host"),
    (".", 400, "bad-host"),
    ("localhost..", 400, "bad-host"),
    ("user@localhost", 400, "bad-host"),
    ("localhost@evil.example", 400, "bad-host"),
    ("localhost:80:80", 400, "bad-host"),
    ("localhost:http", 400, "bad-host"),
    ("localhost:99999", 400, "bad-host"),
    ("localhost/", 400, "bad-host"),
    ("http://localhost", 400, "bad-host"),
    ("localhost, evil.example", 400, "bad-host"),
    ("local host", 400, "bad-host"),
    ("::1", 400, "bad-host"),
    ("[::1", 400, "bad-host"),
];

fn listed(config: &mut mqlake::config::Config) {
    config.http.hosts = vec!["mq.example.com".to_owned(), "*.lake.example".to_owned()];
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_loopback_answers_under_its_names_only() {
    let server = Listening::over(&week::lake(), listed).await;
    for (host, wanted, kind) in ON_LOOPBACK {
        let answer = server.request("GET /healthz HTTP/1.1", &[&format!("Host: {host}")], "").await;
        assert_eq!((status(&answer), &*problem(&answer)), (wanted, kind), "{host}: {answer}");
    }
    server.stop().await;
}

/// Addresses cannot be made to point elsewhere, and balancers ask by addresses that this machine does not know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_for_the_network_answers_under_every_address() {
    let server = Listening::over(&week::lake(), |config| {
        config.http.listen = "0.0.0.0:8080".parse().unwrap();
    })
    .await;
    for (host, wanted) in [
        ("10.1.2.3:8080", 200),
        ("192.168.0.1", 200),
        ("0.0.0.0:8080", 200),
        ("127.0.0.1:8080", 200),
        ("[fd00::1]:8080", 200),
        ("[fe80::1%25eth0]:8080", 200),
        ("localhost:8080", 200),
        ("mqlake", 403),
        ("mq.example.com", 403),
        ("10.1.2.3.nip.io", 403),
    ] {
        for target in ["/healthz", "/metrics"] {
            let line = format!("GET {target} HTTP/1.1");
            let answer = server.request(&line, &[&format!("Host: {host}")], "").await;
            assert_eq!(status(&answer), wanted, "{host} {target}: {answer}");
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_route_is_left_out() {
    let server = Listening::over(&week::lake(), |_| {}).await;
    for line in [
        "GET /healthz HTTP/1.1",
        "HEAD /healthz HTTP/1.1",
        "GET /readyz HTTP/1.1",
        "GET /metrics HTTP/1.1",
        "GET /api/status HTTP/1.1",
        "GET /api/sql?q=SELECT%201 HTTP/1.1",
        "POST /api/sql HTTP/1.1",
        "GET /api/message?backupQuery={\"subject\":\"order.paid\"} HTTP/1.1",
        "GET /api/v1/openapi.json HTTP/1.1",
        "GET /api/v1/messages?system=qmq&topic=order.paid HTTP/1.1",
        "POST /api/v1/trace HTTP/1.1",
        "POST /api/v1/backtrack/reset HTTP/1.1",
        "POST /api/v1/backtrack/replay HTTP/1.1",
        "OPTIONS /api/v1/backtrack/replay HTTP/1.1",
        "GET /nothing HTTP/1.1",
        "GET /healthz HTTP/1.0",
    ] {
        let headers = ["Host: evil.example", "Content-Type: application/json"];
        let answer = server.request(line, &headers, "").await;
        assert_eq!(status(&answer), 403, "{line}: {answer}");
        assert!(!answer.to_ascii_lowercase().contains("access-control"), "{answer}");
    }
    server.stop().await;
}

/// Request line, headers, status.
const FORMS: [(&str, &[&str], u16); 15] = [
    ("GET /healthz HTTP/1.0", &[], 200),
    ("GET /healthz HTTP/1.0", &["Host: localhost"], 200),
    ("GET /healthz HTTP/1.0", &["Host: evil.example"], 403),
    ("GET /healthz HTTP/1.1", &[], 400),
    ("GET /healthz HTTP/1.1", &["Host: localhost", "Host: localhost"], 400),
    ("GET /healthz HTTP/1.1", &["Host: localhost", "Host: evil.example"], 400),
    ("GET /healthz HTTP/1.1", &["Host: evil.example", "Host: localhost"], 400),
    ("GET http://localhost:8080/healthz HTTP/1.1", &["Host: localhost"], 200),
    ("GET http://localhost/healthz HTTP/1.1", &["Host: evil.example"], 403),
    ("GET http://evil.example/healthz HTTP/1.1", &["Host: localhost"], 403),
    ("GET http://evil.example/healthz HTTP/1.1", &[], 403),
    ("GET http://user@localhost/healthz HTTP/1.1", &["Host: localhost"], 400),
    ("GET http://localhost@evil.example/healthz HTTP/1.1", &["Host: localhost"], 400),
    // what proxies add is not believed
    ("GET /healthz HTTP/1.1", &["Host: evil.example", "X-Forwarded-Host: localhost"], 403),
    ("GET /healthz HTTP/1.1", &["Host: localhost", "X-Forwarded-Host: evil.example"], 200),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_counts_wherever_it_stands() {
    let server = Listening::over(&week::lake(), |_| {}).await;
    for (line, headers, wanted) in FORMS {
        let answer = server.request(line, headers, "").await;
        assert_eq!(status(&answer), wanted, "{line} {headers:?}: {answer}");
    }
    server.stop().await;
}

/// In HTTP/2 the name stands in `:authority`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_has_the_same_rule() {
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let server = Listening::over(&week::lake(), |_| {}).await;
    for (authority, wanted) in [("localhost:8080", 200), ("127.0.0.1", 200), ("evil.example", 403)] {
        let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = hyper::Request::get(format!("http://{authority}/healthz"));
        let answer = sender.send_request(request.body(axum::body::Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), wanted, "{authority}");
        connection.abort();
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_name_is_answered_where_settings_say_so() {
    let server = Listening::over(&week::lake(), |config| config.http.hosts = vec!["*".to_owned()]).await;
    let answer = server.request("GET /healthz HTTP/1.1", &["Host: anything.example"], "").await;
    assert_eq!(status(&answer), 200, "{answer}");
    server.stop().await;
}
