//! Tests of the connection against peers that answer late, wrong, out of order or not at all.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::brokers::qmq::wire::fake;
use crate::brokers::qmq::wire::fake::{MAX_FRAME, connected, hex, settings};
use crate::brokers::qmq::wire::remoting::{
    BROKER_ACQUIRE_META, SYNC_CHECKPOINT_REQUEST, SYNC_LOG_REQUEST, VERSION_METASERVER, VERSION_SYNC,
};

async fn ask(connection: &Connection, body: &[u8]) -> Result<Bytes, PeerError> {
    connection.request(SYNC_LOG_REQUEST, VERSION_SYNC, body).await
}

#[tokio::test]
async fn worked_example_of_a_checkpoint_exchange() {
    let (connection, mut peer) = connected().await;
    let script = async {
        for _ in 0..6 {
            let (header, _) = peer.request().await.unwrap();
            peer.answer(&header, 0, &[]).await;
        }
        peer.expect("00000014 0012 dec10ade 0015 0009 00000006 00000000 0015").await;
        peer.send(&hex("00000058 0012 dec10ade 0000 0009 00000006 00000001 0015 01
            0000001f 320a3435340a255245545259256f7264657225672f310a6f726465722f310a
            0000001c 330a2d310a6f726465722f310a672f302f322f310a63312f312f310a"))
            .await;
    };
    let calls = async {
        for _ in 0..6 {
            assert!(ask(&connection, b"").await.unwrap().is_empty());
        }
        connection.request(SYNC_CHECKPOINT_REQUEST, VERSION_SYNC, b"").await.unwrap()
    };
    let ((), body) = tokio::join!(script, calls);
    assert_eq!((body.len(), body[0]), (68, 1));
}

#[tokio::test]
async fn the_request_code_is_set_for_sync_ports_only() {
    let (connection, mut peer) = connected().await;
    let script = async {
        for expected in [(20, 9, 0, 0, 20), (40, 8, 1, 0, -1)] {
            let (header, _) = peer.request().await.unwrap();
            let Header { code, version, opaque, flag, request_code } = header;
            assert_eq!((code, version, opaque, flag, request_code), expected);
            peer.answer(&header, 0, &[]).await;
        }
    };
    let calls = async {
        ask(&connection, b"").await.unwrap();
        connection.request(BROKER_ACQUIRE_META, VERSION_METASERVER, b"").await.unwrap();
    };
    tokio::join!(script, calls);
}

#[tokio::test]
async fn silence_times_out() {
    let (connection, _peer) = fake::impatient().await;
    let silence = ask(&connection, b"").await.unwrap_err();
    assert!(silence.is_silence() && !connection.is_closed());
    assert!(silence.to_string().contains("SYNC_LOG_REQUEST within 1s"), "{silence}");
}

#[tokio::test]
async fn an_error_code_is_a_refusal_whatever_the_body() {
    let (connection, mut peer) = connected().await;
    let script = async {
        for (code, body) in [(51, b"".as_slice()), (3, b"text")] {
            let (header, _) = peer.request().await.unwrap();
            peer.answer(&header, code, body).await;
        }
    };
    let calls = async {
        for expected in [51, 3] {
            let error = ask(&connection, b"").await.unwrap_err();
            assert!(matches!(error, PeerError::Refused { code, .. } if code == expected), "{error}");
        }
    };
    tokio::join!(script, calls);
    assert!(!connection.is_closed());
}

#[tokio::test]
async fn worked_example_of_an_error_response() {
    let (connection, mut peer) = connected().await;
    let script = async {
        for _ in 0..4 {
            let (header, _) = peer.request().await.unwrap();
            peer.answer(&header, 0, &[]).await;
        }
        assert_eq!(peer.request().await.unwrap().0.opaque, 4);
        peer.send(&hex("00000014 0012 dec10ade 0033 0009 00000004 00000001 0014")).await;
    };
    let calls = async {
        for _ in 0..4 {
            ask(&connection, b"").await.unwrap();
        }
        ask(&connection, b"").await.unwrap_err()
    };
    let ((), error) = tokio::join!(script, calls);
    assert!(error.to_string().contains("refused SYNC_LOG_REQUEST: code 51 BROKER_ERROR"), "{error}");
}

#[tokio::test]
async fn the_end_of_the_connection_says_why() {
    let too_large = format!("{:08x} 0012 dec10ade", MAX_FRAME - 3);
    for (bytes, expected) in [
        ("00000025 0012 dec10ade 0000 0009 00000000 00000001 0014 05 ff", "closed the connection"),
        (
            "00000014 0012 dec10adf 0000 0009 00000000 00000001 0014",
            "protocol: unknown frame magic 0xdec10adf",
        ),
        ("00000014 0014 dec10ade 0000 0009 00000000 00000001 0014", "protocol: frame header of 20 bytes"),
        ("fffffff0 0012 dec10ade 0000 0009 00000000 00000001 0014", "protocol: bad frame length -16"),
        ("00000014 0012 dec10ade 0000 0009 00000000 00000000 0014", "protocol: a frame with flag 0 where"),
        (&too_large, "protocol: frame of 65537 bytes, more than the 65536 allowed"),
    ] {
        let (connection, mut peer) = connected().await;
        let script = async {
            peer.request().await.unwrap();
            peer.send(&hex(bytes)).await;
            drop(peer);
        };
        let (waiting, ()) = tokio::join!(ask(&connection, b""), script);
        for failed in [waiting, ask(&connection, b"").await] {
            let error = failed.unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}

#[tokio::test]
async fn a_frame_of_exactly_the_limit_is_taken() {
    let (connection, mut peer) = connected().await;
    let body = vec![1; MAX_FRAME - remoting::MIN_FRAME_BYTES];
    let script = async {
        let (header, _) = peer.request().await.unwrap();
        peer.answer(&header, 0, &body).await;
    };
    let (found, ()) = tokio::join!(ask(&connection, b""), script);
    assert_eq!(found.unwrap().as_ref(), body);
}

#[tokio::test]
async fn the_number_in_flight_is_bounded() {
    let (connection, mut peer) = connected().await;
    let calls = futures::future::join_all((0..MAX_IN_FLIGHT + 1).map(|_| ask(&connection, b"")));
    let script = async {
        let mut headers = Vec::new();
        for _ in 0..MAX_IN_FLIGHT {
            headers.push(peer.request().await.unwrap().0);
        }
        let further = tokio::time::timeout(Duration::from_millis(50), peer.request()).await;
        assert!(further.is_err());
        drop(peer);
    };
    let (found, ()) = tokio::join!(calls, script);
    assert!(found.iter().all(|found| matches!(found, Err(PeerError::Closed { .. }))));
}

#[tokio::test]
async fn dropping_the_last_clone_closes_the_socket() {
    let (connection, mut peer) = connected().await;
    drop(connection.clone());
    assert!(!connection.is_closed());
    drop(connection);
    assert!(peer.request().await.is_none());
}

#[tokio::test]
async fn addresses_that_cannot_be_connected_are_named() {
    let (listener, unused) = fake::listen().await;
    drop(listener);
    for address in [unused.as_str(), "no port", "127.0.0.1:99999"] {
        let error = Connection::open(address, &settings()).await.unwrap_err();
        assert!(matches!(&error, PeerError::Connect { address: named, .. } if named == address), "{error}");
    }
}
