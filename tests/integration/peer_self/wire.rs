//! Sync answers: captured ones, the worked examples, and offsets where there is nothing.

use super::support::*;
use crate::peer::{GroupLogs, Peer, PeerSettings, frame};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};

/// The body of a captured answer.
fn body(line: &Value) -> Vec<u8> {
    let data = STANDARD.decode(line["data_base64"].as_str().unwrap_or_default()).unwrap();
    let Some(start) = line["start_offset"].as_i64() else { return data };
    let size = line["size"].as_u64().unwrap() as u32;
    [size.to_be_bytes().as_slice(), &start.to_be_bytes(), &data].concat()
}

#[tokio::test]
async fn captured_requests_are_answered_byte_for_byte() {
    let peer = Peer::start(GroupLogs::all_from_fixture(&week()), PeerSettings::default()).await;
    for (group, lines) in [("bg1", 24), ("bg2", 22)] {
        let mut client = Client::connect(peer.sync_addr(group)).await;
        let file = File::open(week().join(group).join("sync.jsonl.gz")).unwrap();
        let mut seen = 0;
        for line in BufReader::new(GzDecoder::new(file)).lines() {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            let offset = &line["request_offset"];
            let both = |at: usize| offset.as_i64().or_else(|| offset[at].as_i64()).unwrap();
            let kind = line["type"].as_i64().unwrap() as i8;
            let (code, found) = client.call(kind, both(0), both(1)).await.unwrap();
            assert_eq!(i64::from(code), line["code"].as_i64().unwrap(), "{group} type {kind} at {offset}");
            assert!(found == body(&line), "{group} type {kind} at {offset}");
            seen += 1;
        }
        assert_eq!(seen, lines);
    }
}

#[tokio::test]
async fn worked_examples() {
    let peer = example_peer(PeerSettings::default()).await;
    let mut client = Client::connect(peer.sync_addr("g1")).await;
    let cases = [
        // The whole index.
        (
            "00000025 0012 dec10ade 0014 0009 00000007 00000000 0014 05 ffffffffffffffff ffffffffffffffff",
            "00000095 0012 dec10ade 0000 0009 00000007 00000001 0014 00000075 00000000000001c6
             0000000000000000 0000018bcfe56800 0005 6f72646572 0002 6d31
             0000000000000001 0000018bcfe56801 0005 6f72646572 0002 6d32
             0000000000000000 0000018bcfe56802 000e 255245545259256f726465722567 0002 6d33
             0000000000000001 0000018bcfe56803 0005 6f72646572 0002 6d34",
        ),
        // The end of the action log.
        (
            "00000025 0012 dec10ade 0014 0009 00000005 00000000 0014 01 00000000000000d2 00000000000000d2",
            "00000020 0012 dec10ade 0000 0009 00000005 00000001 0014 00000000 00000000000000d2",
        ),
        // A heartbeat.
        (
            "00000025 0012 dec10ade 0014 0009 00000003 00000000 0014 03 00000000000001c6 00000000000000d2",
            "00000024 0012 dec10ade 0000 0009 00000003 00000001 0014 00000000000001c6 00000000000000d2",
        ),
        // A type that only delay servers know, and a short body.
        (
            "00000025 0012 dec10ade 0014 0009 00000004 00000000 0014 04 0000000000000000 0000000000000000",
            "00000014 0012 dec10ade 0033 0009 00000004 00000001 0014",
        ),
        (
            "00000015 0012 dec10ade 0014 0009 00000004 00000000 0014 05",
            "00000014 0012 dec10ade 0033 0009 00000004 00000001 0014",
        ),
        // A command of another port.
        (
            "00000014 0012 dec10ade 000a 0009 00000004 00000000 000a",
            "00000014 0012 dec10ade 0003 0009 00000004 00000001 000a",
        ),
    ];
    for (request, response) in cases {
        assert_eq!(client.call_raw(&hex(request)).await, hex(response), "{request}");
    }
    peer.set(|settings| settings.batch_size = 20);
    assert_eq!(
        client.call_raw(&frame::request(20, 9, 4, &frame::sync_body(1, 113, 113))).await,
        hex("00000034 0012 dec10ade 0000 0009 00000004 00000001 0014 00000014 0000000000000071
             c3b2a1000000 00000037 0005 6f72646572 0001 67")
    );
}

#[tokio::test]
async fn checkpoints_tell_how_far_subjects_and_consumers_are() {
    let peer = example_peer(PeerSettings::default()).await;
    // Without the last action, which forgets the consumer.
    let total = peer.records("g1").1;
    peer.reveal_none();
    peer.reveal_records("g1", total - 1);
    let mut client = Client::connect(peer.sync_addr("g1")).await;
    let raw = client.call_raw(&frame::request(21, 9, 6, &[])).await;
    let texts = ["2\n454\n%RETRY%order%g/1\norder/1\n", "3\n178\norder/1\ng/0/2/1\nc1/1/1\n"];
    let mut expected = vec![1];
    for text in texts {
        expected.extend_from_slice(&(text.len() as u32).to_be_bytes());
        expected.extend_from_slice(text.as_bytes());
    }
    assert_eq!(raw[24..], expected);
}

#[tokio::test]
async fn offsets_where_there_is_nothing() {
    let (_, actions) = example();
    let peer = example_peer(PeerSettings::default()).await;
    let mut client = Client::connect(peer.sync_addr("g1")).await;
    let (message, action) = (MESSAGE_SEGMENT as i64, ACTION_SEGMENT as i64);
    let cases = [
        ("below the minimum", 1, -5, -5, 0, &actions[..]),
        ("a little beyond the end", 1, 300, 300, 300, &[]),
        ("beyond, a segment base; type 2 echoes the message offset", 2, 5 * message, 7, 5 * message, &[]),
        ("beyond, a segment base; type 1 echoes the action offset", 1, 7, 5 * action, 5 * action, &[]),
        ("beyond, wrong place", 1, 0, 3 * action + 178, 178, &actions[178..]),
        ("index not on a record", 5, 3, 3, 454, &[]),
        ("index beyond, not a segment base", 5, 7 * message + 3, 7, 7 * message + 454, &[]),
        ("index at the end", 5, 454, 454, 454, &[]),
        ("index at the end echoes the action offset", 5, 454, 99, 99, &[]),
        ("index beyond, a segment base", 5, 5 * message, 5 * message, 5 * message, &[]),
    ];
    for (name, kind, message, action, start, data) in cases {
        assert_eq!(client.try_ask(kind, message, action).await.unwrap(), (start, data.to_vec()), "{name}");
    }
}

#[tokio::test]
async fn an_empty_log_that_begins_later_moves_the_asker_to_its_minimum() {
    let logs = GroupLogs::from_bytes("g", vec![(MESSAGE_SEGMENT, Vec::new())], Vec::new());
    let peer = Peer::start(vec![logs], PeerSettings::default()).await;
    let mut client = Client::connect(peer.sync_addr("g")).await;
    assert_eq!(client.ask(5, -1).await, (MESSAGE_SEGMENT as i64, Vec::new()));
    assert_eq!(client.ask(1, -1).await, (-1, Vec::new()));
}

#[tokio::test]
async fn streams_are_whole_at_every_batch_size() {
    let (logs, index) = two_segments("g", 12_000);
    let ends = logs.ends();
    let peer = Peer::start(vec![logs], PeerSettings::default()).await;
    let mut client = Client::connect(peer.sync_addr("g")).await;
    for batch_size in [1000, 100_000, 10 << 20] {
        peer.set(|settings| settings.batch_size = batch_size);
        let (found, next) = drain(&mut client, 5, -1).await;
        assert!(found == index, "batch size {batch_size}");
        assert_eq!(next as u64, ends.0);
    }
    let (found, next) = drain(&mut client, 1, -1).await;
    assert_eq!((found.len() as u64, next as u64), (ends.1 - ACTION_SEGMENT, ends.1));
    // One answer looks at 5000 messages and never goes past the end of a segment.
    let (first, _) = client.ask(5, -1).await;
    let (_, many) = messages(5000, T);
    assert_eq!(client.ask(5, -1).await.1, many);
    let (second, _) = client.ask(5, first).await;
    let (third, _) = client.ask(5, second).await;
    assert_eq!(third as u64, 2 * MESSAGE_SEGMENT);
}

#[tokio::test]
async fn the_second_look_does_not_hold_up_later_requests() {
    let peer = example_peer(PeerSettings::default()).await;
    let mut client = Client::connect(peer.sync_addr("g1")).await;
    let ask = |opaque, kind, offset| frame::request(20, 9, opaque, &frame::sync_body(kind, offset, offset));
    client.write(&[ask(1, 5, 454), ask(2, 3, 0), ask(3, 1, 0)].concat()).await;
    let mut order = Vec::new();
    for _ in 0..3 {
        order.push(client.read_raw().await.unwrap()[17]);
    }
    assert_eq!(order, [2, 3, 1]);
}

#[tokio::test]
async fn bad_magic_makes_a_connection_deaf_but_keeps_it_open() {
    let peer = example_peer(PeerSettings::default()).await;
    let mut client = Client::connect(peer.sync_addr("g1")).await;
    let mut bad = frame::request(20, 9, 1, &frame::sync_body(3, 0, 0));
    bad[6] = 0;
    client.write(&bad).await;
    assert!(client.is_deaf().await);
    assert_eq!(peer.sync_connections("g1"), 1);
}
