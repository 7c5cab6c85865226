//! Tests of the connection against servers that answer late, wrong, out of order or not at all.
#![allow(clippy::indexing_slicing)]

use std::convert::Infallible;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::DuplexStream;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use super::*;

/// Long enough for any step of a test that is expected to happen.
const PATIENCE: Duration = Duration::from_secs(20);
/// Soon enough for a step that is expected not to happen.
const SOON: Duration = Duration::from_millis(100);
/// Kinds of frames.
const RESPONSE: u8 = 0;
const QUESTION: u8 = 1;
const NOTICE: u8 = 2;
const UNKNOWN: u8 = 9;

/// A frame has its length, an id of four bytes, a kind, and a body.
#[derive(Debug, Clone, Default)]
struct Plain(LengthDelimitedCodec);

fn frame(id: i32, kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 5).to_be_bytes();
    [&length, id.to_be_bytes().as_slice(), &[kind], body].concat()
}

impl Decoder for Plain {
    type Item = Received<Bytes>;
    type Error = End;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Self::Item>, End> {
        let Some(mut found) = self.0.decode(buffer)? else { return Ok(None) };
        let (id, kind) = (found.get_i32(), found.get_u8());
        match kind {
            RESPONSE => Ok(Some(Received::Response(id, found.freeze()))),
            QUESTION => Ok(Some(Received::Request(Some(frame(id, RESPONSE, b"no"))))),
            NOTICE => Ok(Some(Received::Request(None))),
            _ => Err(End::Protocol(format!("kind {kind}"))),
        }
    }
}

/// The server's side of a connection.
struct Server(Framed<DuplexStream, LengthDelimitedCodec>);

impl Server {
    /// Id and body of the next frame, or `None` at the end of the connection.
    async fn next(&mut self) -> Option<(i32, Bytes)> {
        let mut frame = self.0.next().await?.unwrap().freeze();
        Some((frame.get_i32(), frame.split_off(1)))
    }

    async fn request(&mut self) -> (i32, Bytes) {
        self.next().await.unwrap()
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.unwrap();
    }

    async fn answer(&mut self, id: i32, body: &[u8]) {
        self.send(&frame(id, RESPONSE, body)).await;
    }

    /// Answers the next request with its own body.
    async fn echo(&mut self) {
        let (id, body) = self.request().await;
        self.answer(id, &body).await;
    }
}

fn connected(max_in_flight: usize) -> (Connection<Plain, Bytes>, Server) {
    let (near, far) = tokio::io::duplex(1024);
    let server = Server(Framed::new(far, LengthDelimitedCodec::new()));
    (Connection::over(near, "server:1", Plain::default(), max_in_flight), server)
}

async fn ask_within(
    after: Duration,
    connection: &Connection<Plain, Bytes>,
    body: &[u8],
) -> Result<Bytes, Failure<Infallible>> {
    connection.exchange(after, |id| Ok(frame(id, QUESTION, body))).await
}

async fn ask(connection: &Connection<Plain, Bytes>, body: &[u8]) -> Result<Bytes, Failure<Infallible>> {
    ask_within(PATIENCE, connection, body).await
}

/// Two requests that both wait when the server does `script`, and one more, fail in the same way.
async fn failure_after(script: impl AsyncFnOnce(Server)) -> Failure<Infallible> {
    let (connection, mut server) = connected(8);
    let script = async {
        for _ in 0..2 {
            server.request().await;
        }
        script(server).await;
    };
    let (first, second, ()) = tokio::join!(ask(&connection, b"1"), ask(&connection, b"2"), script);
    assert!(connection.is_closed());
    let last = ask(&connection, b"3").await;
    assert_eq!((&first, &second), (&last, &last));
    last.unwrap_err()
}

#[tokio::test]
async fn responses_out_of_order_reach_their_requests() {
    let (connection, mut server) = connected(8);
    let large = vec![7; 20_000];
    let script = async {
        let mut requests = Vec::new();
        for _ in 0..3 {
            requests.push(server.request().await);
        }
        for (id, body) in requests.iter().rev() {
            server.answer(*id, &[large.as_slice(), body].concat()).await;
        }
    };
    let clone = connection.clone();
    let calls = async { tokio::join!(ask(&connection, b"a"), ask(&clone, b"b"), ask(&connection, b"c")) };
    let (found, ()) = tokio::join!(calls, script);
    for (body, last) in [(found.0, b'a'), (found.1, b'b'), (found.2, b'c')] {
        let body = body.unwrap();
        assert_eq!((body.len(), body.last()), (20_001, Some(&last)));
    }
}

#[tokio::test]
async fn a_response_in_small_pieces_is_put_together() {
    let (connection, mut server) = connected(8);
    let script = async {
        let (id, _) = server.request().await;
        for piece in frame(id, RESPONSE, b"body").chunks(3) {
            server.send(piece).await;
            tokio::task::yield_now().await;
        }
    };
    let (body, ()) = tokio::join!(ask(&connection, b""), script);
    assert_eq!(body.unwrap(), "body");
}

#[tokio::test]
async fn silence_times_out_and_late_unknown_and_repeated_answers_are_dropped() {
    let (connection, mut server) = connected(8);
    assert_eq!(ask_within(SOON, &connection, b"first").await, Err(Failure::Timeout));
    assert!(!connection.is_closed());
    let script = async {
        let (late, _) = server.request().await;
        let (id, body) = server.request().await;
        assert_eq!((late, id, body.as_ref()), (0, 1, b"second".as_slice()));
        server.answer(late, b"late").await;
        server.answer(99, b"unknown").await;
        server.answer(id, b"right").await;
        server.answer(id, b"again").await;
    };
    let (found, ()) = tokio::join!(ask(&connection, b"second"), script);
    assert_eq!(found.unwrap(), "right");
    let (found, ()) = tokio::join!(ask(&connection, b"third"), server.echo());
    assert_eq!(found.unwrap(), "third");
}

#[tokio::test]
async fn a_dropped_request_leaves_the_connection_usable() {
    let (connection, mut server) = connected(8);
    tokio::select! {
        _ = ask(&connection, b"given up") => panic!("nobody answered"),
        request = server.request() => assert_eq!(request.1, "given up"),
    }
    let script = async {
        let (id, _) = server.request().await;
        server.answer(0, b"late").await;
        server.answer(id, b"right").await;
    };
    let (found, ()) = tokio::join!(ask(&connection, b"second"), script);
    assert_eq!(found.unwrap(), "right");
}

#[tokio::test]
async fn the_end_of_the_connection_fails_everyone_who_waits() {
    let closed = |reason| Failure::Ended(closed(reason));
    assert_eq!(failure_after(async |server| drop(server)).await, closed("closed by the server"));
    let cut = async |mut server: Server| server.send(&[0, 0, 0, 9, 0]).await;
    assert_eq!(failure_after(cut).await, closed("bytes remaining on stream"));
}

#[tokio::test]
async fn what_is_no_frame_ends_the_connection() {
    // The server stays, so it is the near side that gives up.
    let found = failure_after(async |mut server| {
        server.send(&frame(0, UNKNOWN, b"")).await;
        assert_eq!(server.next().await, None);
    });
    assert_eq!(found.await, Failure::Ended(End::Protocol("kind 9".to_owned())));
}

#[tokio::test]
async fn what_came_before_the_end_is_delivered() {
    let (connection, mut server) = connected(8);
    let script = async {
        let (id, _) = server.request().await;
        server.send(&[frame(id, RESPONSE, b"last"), frame(0, UNKNOWN, b"")].concat()).await;
        drop(server);
    };
    let (found, ()) = tokio::join!(ask(&connection, b""), script);
    assert_eq!(found.unwrap(), "last");
}

#[tokio::test]
async fn requests_of_the_server_are_answered_if_they_want_it() {
    let (connection, mut server) = connected(8);
    let script = async {
        let (id, _) = server.request().await;
        server.send(&frame(70, NOTICE, b"")).await;
        server.send(&frame(71, QUESTION, b"")).await;
        assert_eq!(server.request().await, (71, Bytes::from_static(b"no")));
        server.answer(id, b"").await;
    };
    let (found, ()) = tokio::join!(ask(&connection, b""), script);
    found.unwrap();
}

#[tokio::test]
async fn reading_goes_on_while_the_server_does_not_read() {
    let (connection, mut server) = connected(8);
    let large = vec![0; 5000];
    let script = async {
        let (id, _) = server.request().await;
        tokio::time::sleep(SOON).await;
        for _ in 0..2 * QUEUED_FRAMES {
            server.send(&frame(71, QUESTION, b"")).await;
        }
        server.answer(id, b"read").await;
    };
    let stuck = ask_within(5 * SOON, &connection, &large);
    let (found, stuck, ()) = tokio::join!(ask(&connection, b""), stuck, script);
    assert_eq!((found.unwrap(), stuck), (Bytes::from_static(b"read"), Err(Failure::Timeout)));
}

#[tokio::test]
async fn only_so_many_requests_wait_at_a_time() {
    let (connection, mut server) = connected(1);
    let script = async {
        let (first, _) = server.request().await;
        assert!(tokio::time::timeout(SOON, server.next()).await.is_err());
        server.answer(first, b"1").await;
        let (second, _) = server.request().await;
        server.answer(second, b"2").await;
    };
    let (first, second, ()) = tokio::join!(ask(&connection, b""), ask(&connection, b""), script);
    assert_eq!((first.unwrap(), second.unwrap()), ("1".into(), "2".into()));
    // Waiting for a permit counts, and a caller who gives up gives its permit back.
    let calls = async {
        tokio::join!(ask_within(SOON, &connection, b"slow"), ask_within(SOON / 2, &connection, b"waiting"))
    };
    assert_eq!(calls.await, (Err(Failure::Timeout), Err(Failure::Timeout)));
    let script = async {
        assert_eq!(server.request().await.1, "slow");
        server.echo().await;
    };
    let (third, ()) = tokio::join!(ask(&connection, b"3"), script);
    assert_eq!(third.unwrap(), "3");
}

#[tokio::test]
async fn an_id_that_still_waits_is_not_given_again() {
    let (connection, mut server) = connected(8);
    let script = async {
        let (old, _) = server.request().await;
        connection.shared.state().next_id = old;
        let found = tokio::join!(ask(&connection, b"new"), server.echo()).0;
        assert_eq!(found.unwrap(), "new");
        server.answer(old, b"old").await;
    };
    let (found, ()) = tokio::join!(ask(&connection, b""), script);
    assert_eq!(found.unwrap(), "old");
}

#[tokio::test]
async fn what_cannot_be_encoded_is_not_sent() {
    let (connection, mut server) = connected(8);
    let failed = connection.exchange(PATIENCE, |_| Err("too large")).await;
    assert_eq!(failed, Err(Failure::Unsendable("too large")));
    let (found, ()) = tokio::join!(ask(&connection, b"next"), server.echo());
    assert_eq!(found.unwrap(), "next");
}

#[tokio::test]
async fn closing_fails_who_waits_and_notifies_the_server() {
    let (connection, mut server) = connected(8);
    let script = async {
        server.request().await;
        connection.close();
        assert_eq!(server.next().await, None);
    };
    let (found, ()) = tokio::join!(ask(&connection, b""), script);
    assert_eq!(found, Err(Failure::Ended(closed("closed by this client"))));
    assert!(connection.is_closed());
}

#[tokio::test]
async fn dropping_the_last_clone_closes() {
    let (connection, mut server) = connected(8);
    let clone = connection.clone();
    assert!(clone.is_same(&connection));
    drop(connection);
    let (found, ()) = tokio::join!(ask(&clone, b"still there"), server.echo());
    assert_eq!(found.unwrap(), "still there");
    drop(clone);
    assert_eq!(server.next().await, None);
}

#[tokio::test]
async fn a_connection_is_idle_only_if_nobody_waits() {
    let (connection, mut server) = connected(8);
    let start = Instant::now();
    let pause = Duration::from_millis(30);
    tokio::time::sleep(pause).await;
    assert!(connection.idle_for() >= pause);
    let script = async {
        let (id, _) = server.request().await;
        tokio::time::sleep(pause).await;
        assert_eq!(connection.idle_for(), Duration::ZERO);
        server.answer(id, b"").await;
    };
    let (found, ()) = tokio::join!(ask(&connection, b""), script);
    found.unwrap();
    assert!(connection.idle_for() + 2 * pause <= start.elapsed());
}

#[tokio::test]
async fn connecting_has_a_time_limit() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let never = |_| std::future::pending::<io::Result<()>>();
    let error = connect(&address, SOON, never).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}
