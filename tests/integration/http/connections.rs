//! Clients that are slow or many: they cost nobody else anything.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::{Listening, PATIENCE, problem, read_to_end, status};
use crate::support::{rocketmq, week};

const LOOKUP: &str = "GET /api/message?backupQuery={\"subject\":\"order.paid\",\"len\":20} HTTP/1.1";
const HOST: &[&str] = &["Host: localhost"];

async fn connect(server: &Listening) -> TcpStream {
    TcpStream::connect(server.address).await.unwrap()
}

/// A connection on which something was sent.
async fn begun(server: &Listening, text: &str) -> TcpStream {
    let mut stream = connect(server).await;
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// A connection that got one answer and asks no more.
async fn idle(server: &Listening) -> TcpStream {
    let mut stream = begun(server, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok\n") {
        let count = tokio::time::timeout(PATIENCE, stream.read_buf(&mut answer)).await.unwrap().unwrap();
        assert!(count > 0, "closed early");
    }
    stream
}

/// Requests of a client that takes none of the answers; together they are more than the system keeps for it.
const UNREAD: usize = 200;

/// A connection that asks for much and takes none of it.
async fn unread(server: &Listening) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    // the system would take much of it on behalf of the client
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    let requests = "GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(UNREAD);
    stream.write_all(requests.as_bytes()).await.unwrap();
    stream
}

/// How many connections the servers of this process closed for a reason.
async fn closed(server: &Listening, reason: &str) -> u64 {
    let metrics = server.request("GET /metrics HTTP/1.1", HOST, "").await;
    let name = format!("mqlake_http_connections_closed_total{{reason=\"{reason}\"}} ");
    let count = metrics.lines().find_map(|line| line.strip_prefix(&*name));
    count.map_or(0, |count| count.trim().parse().unwrap())
}

const SLOW_BODY: &str = "POST /api/v1/backtrack/replay HTTP/1.1\r\nHost: localhost\r\n\
    Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_slow_connections_cost_nobody_else_anything() {
    let server = Listening::over(&rocketmq::lake(), |config| {
        let http = &mut config.http;
        for timeout in
            [&mut http.head_timeout, &mut http.body_timeout, &mut http.idle_timeout, &mut http.write_timeout]
        {
            *timeout = Duration::from_secs(3);
        }
    })
    .await;
    let mut slow = Vec::new();
    for _ in 0..60 {
        slow.push(("nothing", connect(&server).await));
        slow.push(("half a head", begun(&server, "GET /healthz HTTP/1.1\r\nHost: local").await));
        slow.push(("half a body", begun(&server, SLOW_BODY).await));
        slow.push(("no further request", idle(&server).await));
        slow.push(("unread", unread(&server).await));
    }
    assert_eq!(slow.len(), 300);
    // in the midst of them, and while they are ended
    let lookup = "GET /api/v1/messages?system=rocketmq&topic=hot-key&key=the-hot-key&limit=20 HTTP/1.1";
    for _ in 0..20 {
        let answer = tokio::time::timeout(PATIENCE, server.request(lookup, HOST, "")).await.unwrap();
        assert_eq!(status(&answer), 200, "{answer}");
    }
    // who reads late, but reads, is not cut off; so none is read before all of them were
    while closed(&server, "write").await < 60 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (what, mut stream) in slow {
        let answer = tokio::time::timeout(PATIENCE, read_to_end(&mut stream)).await.expect(what);
        match what {
            "half a body" => {
                assert_eq!((status(&answer), &*problem(&answer)), (408, "slow-body"), "{answer}")
            }
            "unread" => assert!(answer.matches("HTTP/1.1 200").count() < UNREAD, "all fit into buffers"),
            _ => assert_eq!(answer, "", "{what}"),
        }
    }
    assert!(closed(&server, "head").await >= 120 && closed(&server, "idle").await >= 60);
    server.stop().await;
}

/// A head that trickles in gets no more time than one that stops.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_or_a_body_that_trickles_is_ended() {
    let server = Listening::over(&week::lake(), |config| {
        config.http.head_timeout = Duration::from_millis(500);
        config.http.body_timeout = Duration::from_millis(500);
    })
    .await;
    for begin in ["GET /healthz HTTP/1.1\r\nx: ", SLOW_BODY] {
        let mut stream = begun(&server, begin).await;
        let trickle = async {
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, trickle).await.expect("the connection is closed");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_nothing_makes_room_for_others() {
    let server = Listening::over(&week::lake(), |config| config.http.max_connections = 4).await;
    let mut idles = Vec::new();
    for _ in 0..4 {
        idles.push(idle(&server).await);
    }
    let answer = server.request(LOOKUP, HOST, "").await;
    assert_eq!(status(&answer), 200, "{answer}");
    let mut first = idles.remove(0);
    assert_eq!(read_to_end(&mut first).await, "", "the one that asked nothing for longest was closed");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_a_connection_is_refused_at_once() {
    let server = Listening::over(&week::lake(), |config| config.http.max_connections = 2).await;
    let mut asked = Vec::new();
    for _ in 0..2 {
        let mut stream =
            begun(&server, SLOW_BODY.replace("\r\n\r\n{", "\r\nExpect: 100-continue\r\n\r\n").as_str()).await;
        // from here on it is worked on
        let mut answer = vec![0; 25];
        tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 100"), "{answer:?}");
        asked.push(stream);
    }
    let mut stream = connect(&server).await;
    let answer = read_to_end(&mut stream).await;
    assert_eq!((status(&answer), &*problem(&answer)), (503, "overloaded"), "{answer}");
    // room again
    drop(asked);
    loop {
        let answer = server.request(LOOKUP, HOST, "").await;
        if status(&answer) == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_has_limits() {
    let server = Listening::over(&week::lake(), |config| {
        config.http.max_head_bytes = bytesize::ByteSize::kib(8);
        config.http.max_headers = 10;
    })
    .await;
    let long = format!("x-long: {}", "x".repeat(9 * 1024));
    let many: Vec<String> = (0..20).map(|number| format!("x-{number}: 1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for headers in [&[&*long][..], &many] {
        let answer = server.request("GET /healthz HTTP/1.1", headers, "").await;
        assert_eq!(status(&answer), 431, "{answer}");
    }
    let fits = ["Host: localhost", &"x: y".repeat(100)];
    let answer = server.request("GET /healthz HTTP/1.1", &fits, "").await;
    assert_eq!(status(&answer), 200, "{answer}");
    server.stop().await;
}

/// Requests that run may end after a stop was asked for; what is idle is closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_lets_requests_end() {
    let server = Listening::over(&week::lake(), |_| {}).await;
    let mut waiting = idle(&server).await;
    let body = r#"{"system":"qmq","topic":"order.paid","from":0,"to":"2100-01-01"}"#;
    let head = format!(
        "POST /api/v1/backtrack/replay HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut running = begun(&server, &head).await;
    let mut go_on = vec![0; 25];
    tokio::time::timeout(PATIENCE, running.read_exact(&mut go_on)).await.unwrap().unwrap();
    let stopped = tokio::spawn(server.stop());
    assert_eq!(read_to_end(&mut waiting).await, "");
    running.write_all(body.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut running).await;
    assert!(status(&answer) == 200 && answer.ends_with("0\r\n\r\n"), "{answer}");
    stopped.await.unwrap();
}
