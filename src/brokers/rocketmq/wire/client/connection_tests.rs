//! Tests of the connection against servers that answer late, wrong, out of order or not at all.
#![allow(clippy::indexing_slicing)]

use bytes::Bytes;

use super::*;
use crate::brokers::rocketmq::wire::client::fake;
use crate::brokers::rocketmq::wire::client::fake::{MAX_FRAME, PATIENCE, connected, response, settings};
use crate::brokers::rocketmq::wire::command::FLAG_ONE_WAY;

async fn ask(connection: &Connection, body: &'static [u8]) -> Result<Command, RemoteError> {
    let command = Command { body: Bytes::from_static(body), ..Command::request(30) };
    connection.call(command, "GET_MAX_OFFSET", PATIENCE).await
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
async fn the_end_of_the_connection_says_why() {
    let too_large = (MAX_FRAME as u32 - 3).to_be_bytes();
    for (bytes, expected) in [
        (b"".as_slice(), "ended before GET_MAX_OFFSET was answered: closed by the server"),
        (&[0, 0, 0, 20, 0, 0, 0, 2, b'{'], "was answered: closed by the server inside a frame"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "more than the 65536 allowed"),
        (&too_large, "protocol: frame of 65537 bytes, more than the 65536 allowed"),
        (&[0xff; 8], "protocol: bad frame length -1"),
        (&[0, 0, 0, 4, 2, 0, 0, 0], "protocol: unknown header type 2"),
        (&[0, 0, 0, 4, 0, 0, 0, 1], "protocol: header of 1 bytes"),
        (&[0, 0, 0, 6, 0, 0, 0, 2, b'{', b'{'], "protocol: bad header"),
    ] {
        let (connection, mut peer) = connected(&settings()).await;
        let script = async {
            peer.request().await;
            peer.send(bytes).await;
            drop(peer);
        };
        let (waiting, ()) = tokio::join!(ask(&connection, b""), script);
        for failed in [waiting, ask(&connection, b"").await] {
            let error = failed.unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(error.is_retryable(), expected.contains("closed"));
        }
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
async fn silence_and_closing_are_named() {
    let (connection, _peer) = connected(&settings()).await;
    let after = Duration::from_millis(100);
    let ask = || connection.call(Command::request(30), "GET_MAX_OFFSET", after);
    let error = ask().await.unwrap_err();
    assert!(error.to_string().ends_with("did not answer GET_MAX_OFFSET within 100ms"), "{error}");
    assert!(!connection.is_closed());
    connection.close();
    let error = ask().await.unwrap_err();
    assert!(error.to_string().ends_with("GET_MAX_OFFSET was answered: closed by this client"), "{error}");
}

#[tokio::test]
async fn nobody_there() {
    let (listener, address) = fake::listen().await;
    drop(listener);
    let error = Connection::open(&address, &settings()).await.unwrap_err();
    assert!(matches!(&error, RemoteError::Connect { .. }) && error.is_retryable(), "{error}");
    assert!(Connection::open("no address", &settings()).await.is_err());
}
