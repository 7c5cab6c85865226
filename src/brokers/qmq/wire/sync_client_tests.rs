//! Tests of the sync client: the offsets it sends, the answers it takes and those it refuses.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::brokers::qmq::wire::fake;
use crate::brokers::qmq::wire::fake::{Peer, connected, hex};

/// Serves one request: its body must be `asked`, the answer has the body `answered`.
async fn serve(peer: &mut Peer, asked: &str, answered: &str) {
    let (header, body) = peer.request().await.unwrap();
    assert_eq!((header.code, header.version, header.request_code, header.flag), (20, 9, 20, 0));
    assert_eq!(body, hex(asked));
    peer.answer(&header, 0, &hex(answered)).await;
}

async fn client() -> (SyncClient, Peer) {
    let (connection, peer) = connected().await;
    (SyncClient::new(connection), peer)
}

#[tokio::test]
async fn index_sends_the_offset_twice() {
    let (client, mut peer) = client().await;
    let record = "0000000000000000 0000018bcfe56800 0005 6f72646572 0002 6d31";
    let answer = format!("0000001b 00000000000001c6 {record}");
    let script = serve(&mut peer, "05 ffffffffffffffff ffffffffffffffff", &answer);
    let (found, ()) = tokio::join!(client.index(-1), script);
    assert_eq!(found.unwrap(), SyncAnswer { start_offset: 454, data: hex(record).into() });
}

#[tokio::test]
async fn action_sends_the_offset_twice_and_may_bring_nothing() {
    let (client, mut peer) = client().await;
    let script = serve(&mut peer, "01 00000000000000d2 00000000000000d2", "00000000 00000000000000d2");
    let (found, ()) = tokio::join!(client.action(210), script);
    assert_eq!(found.unwrap(), SyncAnswer { start_offset: 210, data: Bytes::new() });
}

#[tokio::test]
async fn worked_example_of_a_cut_action_answer() {
    let (client, mut peer) = client().await;
    let data = "c3b2a1000000 00000037 0005 6f72646572 0001 67";
    let answer = format!("00000014 0000000000000071 {data}");
    let script = serve(&mut peer, "01 0000000000000071 0000000000000071", &answer);
    let (found, ()) = tokio::join!(client.action(113), script);
    assert_eq!(found.unwrap(), SyncAnswer { start_offset: 113, data: hex(data).into() });
}

#[tokio::test]
async fn message_leaves_the_action_offset_zero() {
    let (client, mut peer) = client().await;
    let script = serve(&mut peer, "02 0000000000000005 0000000000000000", "00000001 0000000000000005 a1");
    let (found, ()) = tokio::join!(client.message(5), script);
    assert_eq!(found.unwrap(), SyncAnswer { start_offset: 5, data: hex("a1").into() });
}

#[tokio::test]
async fn heartbeat_sends_both_offsets_and_returns_both_maxima() {
    let (client, mut peer) = client().await;
    let maxima = "00000000000001c6 00000000000000d2";
    let script = serve(&mut peer, "03 00000000000001c6 00000000000000d2", maxima);
    let (found, ()) = tokio::join!(client.heartbeat(454, 210), script);
    assert_eq!(found.unwrap(), Maxima { message: 454, action: 210 });
}

#[tokio::test]
async fn answers_of_the_wrong_shape_break_the_protocol() {
    let (client, mut peer) = client().await;
    let asked = "05 0000000000000007 0000000000000007";
    for (answered, expected) in [
        ("", "answer to the index request at offset 7: the body ends inside its data size"),
        ("ffffffff 0000000000000007", "negative data size -1"),
        ("00000002 0000000000000007 00", "1 data bytes instead of the 2 announced"),
        ("00000000 0000000000000007 00", "1 bytes left over"),
    ] {
        let (found, ()) = tokio::join!(client.index(7), serve(&mut peer, asked, answered));
        let error = found.unwrap_err();
        assert!(matches!(&error, PeerError::Protocol { reason, .. } if reason.contains(expected)), "{error}");
    }
    let script = serve(&mut peer, "03 0000000000000007 0000000000000008", "00");
    let (found, ()) = tokio::join!(client.heartbeat(7, 8), script);
    assert!(matches!(found, Err(PeerError::Protocol { .. })));
    assert!(!client.connection().is_closed());
}

#[tokio::test]
async fn silence_and_refusals_say_what_was_asked() {
    let (connection, mut peer) = fake::impatient().await;
    let client = SyncClient::new(connection);
    let silence = client.index(7).await.unwrap_err();
    assert!(silence.is_silence());
    assert!(silence.to_string().contains("did not answer the index request at offset 7"), "{silence}");
    peer.request().await.unwrap();
    let script = async {
        let (header, _) = peer.request().await.unwrap();
        peer.answer(&header, 51, &[]).await;
    };
    let (found, ()) = tokio::join!(client.message(9), script);
    let error = found.unwrap_err().to_string();
    assert!(error.contains("refused the message request at offset 9: code 51 BROKER_ERROR"), "{error}");
}
