//! Tests of the connection against servers that answer late, wrong, out of order or not at all.
#![allow(clippy::indexing_slicing)]

use bytes::Bytes;

use super::*;
use crate::brokers::rocketmq::wire::client::fake;
use crate::brokers::rocketmq::wire::client::fake::{
    MAX_FRAME, PATIENCE, Peer, connected, response, settings,
};
use crate::brokers::rocketmq::wire::command::FLAG_ONE_WAY;

async fn ask(connection: &Connection, body: &'static [u8]) -> Result<Command, RemoteError> {
    connection.call(command(body), "GET_MAX_OFFSET", PATIENCE).await
}

fn command(body: &'static [u8]) -> Command {
    Command { body: Bytes::from_static(body), ..Command::request(30) }
}

/// Two requests that both wait when the server does `script`.
async fn two_waiting(script: impl AsyncFnOnce(Peer)) -> (Connection, [RemoteError; 2]) {
    let (connection, mut peer) = connected(&settings()).await;
    let script = async {
        for _ in 0..2 {
            peer.request().await;
        }
        script(peer).await;
    };
    let (first, second, ()) = tokio::join!(ask(&connection, b"1"), ask(&connection, b"2"), script);
    assert!(connection.is_closed());
    (connection, [first.unwrap_err(), second.unwrap_err()])
}

fn is_protocol(error: &RemoteError, part: &str) -> bool {
    matches!(error, RemoteError::Protocol { reason, .. } if reason.contains(part))
}

fn is_closed(error: &RemoteError, part: &str) -> bool {
    matches!(error, RemoteError::Closed { reason, .. } if reason.contains(part))
}

#[tokio::test]
async fn requests_are_written_as_configured() {
    let json = r#"{"code":105,"extFields":{"topic":"T"},"flag":0,"language":"OTHER","opaque":0,"serializeTypeCurrentRPC":"JSON","version":479}"#;
    let mut expected = vec![0, 0, 0, 4 + json.len() as u8, 0, 0, 0, json.len() as u8];
    expected.extend_from_slice(json.as_bytes());
    let compact =
        b"\0\0\0\x25\x01\0\0\x21\0\x69\x07\x01\xdf\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0c\0\x05topic\0\0\0\x01T";
    for (header_type, expected) in [(HeaderType::Json, expected), (HeaderType::Compact, compact.to_vec())] {
        let (connection, mut peer) = connected(&ConnectionSettings { header_type, ..settings() }).await;
        let request = Command { fields: vec![("topic".into(), "T".into())], ..Command::request(105) };
        let call = connection.call(request.clone(), "route", PATIENCE);
        let script = async {
            assert_eq!(peer.bytes(expected.len()).await, expected);
            peer.answer(&response(&request, 17, b"")).await;
        };
        // The answer comes in JSON whatever the request was written in.
        let (answer, ()) = tokio::join!(call, script);
        assert_eq!(answer.unwrap().code, 17);
    }
}

#[tokio::test]
async fn responses_out_of_order_reach_their_requests() {
    let (connection, mut peer) = connected(&settings()).await;
    let large = vec![7; 20_000];
    let script = async {
        let mut requests = Vec::new();
        for _ in 0..3 {
            requests.push(peer.request().await);
        }
        for request in requests.iter().rev() {
            peer.answer(&response(request, 0, &[large.as_slice(), &request.body].concat())).await;
        }
    };
    let clone = connection.clone();
    let calls = async { tokio::join!(ask(&connection, b"a"), ask(&clone, b"b"), ask(&connection, b"c")) };
    let (found, ()) = tokio::join!(calls, script);
    for (found, last) in [(found.0, b'a'), (found.1, b'b'), (found.2, b'c')] {
        let body = found.unwrap().body;
        assert_eq!((body.len(), body.last()), (20_001, Some(&last)));
    }
}

#[tokio::test]
async fn a_response_in_small_pieces_is_put_together() {
    let (connection, mut peer) = connected(&settings()).await;
    let script = async {
        let request = peer.request().await;
        for piece in fake::bytes(&response(&request, 0, b"body")).chunks(3) {
            peer.send(piece).await;
            tokio::task::yield_now().await;
        }
    };
    let (found, ()) = tokio::join!(ask(&connection, b""), script);
    assert_eq!(found.unwrap().body.as_ref(), b"body");
}

#[tokio::test]
async fn silence_times_out_and_late_and_unknown_answers_are_dropped() {
    let (connection, mut peer) = connected(&settings()).await;
    let after = Duration::from_millis(200);
    let silence = connection.call(command(b"first"), "GET_MAX_OFFSET", after).await.unwrap_err();
    assert!(matches!(silence, RemoteError::Timeout { .. }) && !connection.is_closed());
    let script = async {
        let late = peer.request().await;
        let request = peer.request().await;
        assert_eq!((late.opaque, request.opaque, request.body.as_ref()), (0, 1, b"second".as_slice()));
        peer.answer(&response(&late, 0, b"late")).await;
        peer.answer(&response(&Command { opaque: 99, ..request.clone() }, 0, b"unknown")).await;
        peer.answer(&response(&request, 0, b"right")).await;
        peer.answer(&response(&request, 0, b"again")).await;
    };
    let (found, ()) = tokio::join!(ask(&connection, b"second"), script);
    assert_eq!(found.unwrap().body.as_ref(), b"right");
    let script = async {
        let request = peer.request().await;
        peer.answer(&response(&request, 0, b"third")).await;
    };
    let (found, ()) = tokio::join!(ask(&connection, b""), script);
    assert_eq!(found.unwrap().body.as_ref(), b"third");
}

#[tokio::test]
async fn an_answer_under_a_wrong_opaque_reaches_nobody() {
    let (connection, mut peer) = connected(&settings()).await;
    let script = async {
        let request = peer.request().await;
        peer.answer(&response(&Command { opaque: request.opaque + 1, ..request }, 0, b"")).await;
    };
    let call = connection.call(command(b""), "GET_MAX_OFFSET", Duration::from_millis(200));
    let (found, ()) = tokio::join!(call, script);
    assert!(matches!(found, Err(RemoteError::Timeout { .. })));
}

#[tokio::test]
async fn the_end_of_the_connection_fails_everyone_who_waits() {
    let (connection, errors) = two_waiting(async |peer| drop(peer)).await;
    assert!(
        errors.iter().all(|error| is_closed(error, "by the server") && error.is_retryable()),
        "{errors:?}"
    );
    assert!(is_closed(&ask(&connection, b"").await.unwrap_err(), "by the server"));
    let (_, errors) = two_waiting(async |mut peer| peer.send(&[0, 0, 0, 20, 0, 0, 0, 2, b'{']).await).await;
    assert!(errors.iter().all(|error| is_closed(error, "inside a frame")), "{errors:?}");
}

#[tokio::test]
async fn what_is_no_frame_ends_the_connection() {
    let too_large = (MAX_FRAME as u32 - 3).to_be_bytes();
    for (bytes, part) in [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(), "more than the"),
        (&too_large, "frame of 65537 bytes, more than the 65536 allowed"),
        (&[0xff; 8], "bad frame length -1"),
        (&[0, 0, 0, 4, 2, 0, 0, 0], "unknown header type 2"),
        (&[0, 0, 0, 4, 0, 0, 0, 1], "header of 1 bytes"),
        (&[0, 0, 0, 6, 0, 0, 0, 2, b'{', b'{'], "bad header"),
    ] {
        let (connection, errors) = two_waiting(async |mut peer| {
            peer.send(bytes).await;
            assert_eq!(peer.next().await, None);
        })
        .await;
        assert!(errors.iter().all(|error| is_protocol(error, part)), "{errors:?}");
        assert!(is_protocol(&ask(&connection, b"").await.unwrap_err(), part));
    }
}

#[tokio::test]
async fn requests_of_the_server_are_refused_and_one_way_ones_dropped() {
    let (connection, mut peer) = connected(&settings()).await;
    let script = async {
        let request = peer.request().await;
        let notice = Command { flag: FLAG_ONE_WAY, opaque: 70, ..Command::request(40) };
        let question = Command { opaque: 71, ..Command::request(307) };
        peer.answer(&notice).await;
        peer.answer(&question).await;
        let refusal = peer.request().await;
        assert_eq!((refusal.code, refusal.opaque, refusal.is_response()), (3, 71, true));
        peer.answer(&response(&request, 0, b"")).await;
    };
    let (found, ()) = tokio::join!(ask(&connection, b""), script);
    assert_eq!(found.unwrap().code, 0);
}

#[tokio::test]
async fn only_so_many_requests_wait_at_a_time() {
    let (connection, mut peer) = connected(&ConnectionSettings { max_in_flight: 1, ..settings() }).await;
    let script = async {
        let first = peer.request().await;
        let early = tokio::time::timeout(Duration::from_millis(100), peer.next()).await;
        assert!(early.is_err());
        peer.answer(&response(&first, 0, b"1")).await;
        let second = peer.request().await;
        peer.answer(&response(&second, 0, b"2")).await;
    };
    let (first, second, ()) = tokio::join!(ask(&connection, b""), ask(&connection, b""), script);
    assert_eq!(
        (first.unwrap().body.as_ref(), second.unwrap().body.as_ref()),
        (b"1".as_slice(), b"2".as_slice())
    );
    // Waiting for a place counts, and a caller who gives up gives its place back.
    let after = Duration::from_millis(100);
    let calls = async {
        tokio::join!(connection.call(command(b""), "x", after), connection.call(command(b""), "x", after / 2))
    };
    let (slow, waiting) = calls.await;
    assert!(matches!(slow, Err(RemoteError::Timeout { .. })));
    assert!(matches!(waiting, Err(RemoteError::Timeout { .. })));
    let script = async {
        peer.request().await;
        let request = peer.request().await;
        peer.answer(&response(&request, 0, b"3")).await;
    };
    let (third, ()) = tokio::join!(ask(&connection, b""), script);
    assert_eq!(third.unwrap().body.as_ref(), b"3");
}

#[tokio::test]
async fn closing_fails_who_waits_and_tells_the_server() {
    let (connection, mut peer) = connected(&settings()).await;
    let script = async {
        peer.request().await;
        connection.close();
        assert_eq!(peer.next().await, None);
    };
    let (found, ()) = tokio::join!(ask(&connection, b""), script);
    assert!(is_closed(&found.unwrap_err(), "by this client"));
    assert!(connection.is_closed());
}

#[tokio::test]
async fn dropping_the_last_clone_closes() {
    let (connection, mut peer) = connected(&settings()).await;
    let clone = connection.clone();
    drop(connection);
    assert!(tokio::time::timeout(Duration::from_millis(50), peer.next()).await.is_err());
    drop(clone);
    assert_eq!(peer.next().await, None);
}

#[tokio::test]
async fn a_connection_is_idle_only_if_nobody_waits() {
    let (connection, mut peer) = connected(&settings()).await;
    let start = Instant::now();
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert!(connection.idle_for() >= Duration::from_millis(30));
    let script = async {
        let request = peer.request().await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(connection.idle_for(), Duration::ZERO);
        peer.answer(&response(&request, 0, b"")).await;
    };
    let (found, ()) = tokio::join!(ask(&connection, b""), script);
    found.unwrap();
    assert!(connection.idle_for() + Duration::from_millis(60) <= start.elapsed());
}

#[tokio::test]
async fn what_does_not_fit_is_not_sent() {
    let (connection, mut peer) = connected(&settings()).await;
    let body = Bytes::from(vec![0; MAX_FRAME]);
    let large = connection.call(Command { body, ..Command::request(30) }, "x", PATIENCE).await;
    assert!(matches!(large, Err(RemoteError::Unsendable { .. })));
    let script = async {
        let request = peer.request().await;
        assert_eq!(request.body.as_ref(), b"next");
        peer.answer(&response(&request, 0, b"")).await;
    };
    let (found, ()) = tokio::join!(ask(&connection, b"next"), script);
    found.unwrap();
}

#[tokio::test]
async fn nobody_there() {
    let (listener, address) = fake::listen().await;
    drop(listener);
    let error = Connection::open(&address, &settings()).await.unwrap_err();
    assert!(matches!(&error, RemoteError::Connect { .. }) && error.is_retryable(), "{error}");
    assert!(Connection::open("no address", &settings()).await.is_err());
}
