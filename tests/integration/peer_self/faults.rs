//! What goes wrong on demand.

use std::time::{Duration, Instant};

use mqlake::brokers::qmq::format::message_log;
use tokio::time::timeout;

use super::support::*;
use crate::peer::{GroupLogs, Peer, PeerSettings};

#[tokio::test]
async fn a_message_that_cannot_be_parsed_swallows_index_requests_only() {
    let peer = example_peer(PeerSettings::default()).await;
    peer.swallow_index_from("g1", 221);
    let mut client = Client::connect(peer.sync_addr("g1")).await;
    for offset in [-1, 0, 109, 221] {
        assert!(client.is_unanswered(5, offset).await, "{offset}");
    }
    assert_eq!(client.ask(5, 342).await.0, 454);
    assert_eq!(client.ask(1, 0).await.1.len(), 210);
    assert_eq!(client.ask(2, 0).await.1.len(), 454);
    assert_eq!(peer.counters("g1").faults.swallowed, 4);
    // An answer that ends before the message is given.
    peer.set(|settings| settings.batch_size = 60);
    assert_eq!(client.ask(5, 0).await.0, 221);
    assert!(client.is_unanswered(5, 221).await);
    peer.swallow_nothing("g1");
    assert_eq!(client.ask(5, 221).await.0, 342);
}

#[tokio::test]
async fn a_payload_that_cannot_be_parsed_does_the_same() {
    let (mut log, _) = example();
    message_log::encode(&mut log, 3, T, 5, "order", &[0; 17]);
    let logs = GroupLogs::from_bytes("g", vec![(0, log)], Vec::new());
    let peer = Peer::start(vec![logs], PeerSettings::default()).await;
    let mut client = Client::connect(peer.sync_addr("g")).await;
    assert!(client.is_unanswered(5, -1).await);
    assert!(client.is_unanswered(5, 454).await);
}

#[tokio::test]
async fn bad_magic_skips_what_is_written() {
    let (mut log, _) = example();
    let (more, _) = example();
    log.extend_from_slice(b"garbage, not a record");
    log.extend_from_slice(&more);
    let end = log.len() as i64;
    let logs = GroupLogs::from_bytes("g", vec![(0, log)], Vec::new());
    let peer = Peer::start(vec![logs], PeerSettings::default()).await;
    let mut client = Client::connect(peer.sync_addr("g")).await;
    let (next, data) = client.ask(5, -1).await;
    assert_eq!((next, data.len()), (end, 0x75));
    assert_eq!(client.ask(2, -1).await.1.len() as i64, end);
}

#[tokio::test]
async fn retention_moves_the_start() {
    let (logs, index) = two_segments("g", 400);
    let (_, first) = messages(400, T);
    let peer = Peer::start(vec![logs], PeerSettings::default()).await;
    peer.set_minimum("g", 2 * MESSAGE_SEGMENT, 2 * ACTION_SEGMENT);
    assert_eq!(peer.minimums("g"), (2 * MESSAGE_SEGMENT, 2 * ACTION_SEGMENT));
    let mut client = Client::connect(peer.sync_addr("g")).await;
    for offset in [-1, MESSAGE_SEGMENT as i64, MESSAGE_SEGMENT as i64 + 500] {
        assert_eq!(client.ask(5, offset).await.1, index[first.len()..], "{offset}");
        assert_eq!(client.ask(2, offset).await.0 as u64, 2 * MESSAGE_SEGMENT, "{offset}");
    }
    assert_eq!(
        client.ask(1, ACTION_SEGMENT as i64).await,
        (2 * ACTION_SEGMENT as i64, actions(100, T + 400))
    );
}

#[tokio::test]
async fn a_recreated_broker_has_other_logs_and_they_grow() {
    let (logs, _) = two_segments("g", 400);
    let peer = Peer::start(vec![logs], PeerSettings::default()).await;
    let mut client = Client::connect(peer.sync_addr("g")).await;
    let (messages, actions) = example();
    peer.replace_logs("g", GroupLogs::from_bytes("g", Vec::new(), Vec::new()));
    assert_eq!((peer.visible("g"), peer.is_all_visible()), ((0, 0), true));
    // In pieces: records become visible when they are complete, raw bytes at once.
    peer.append_message("g", &messages[..100]);
    assert_eq!(client.ask(5, 0).await, (0, Vec::new()));
    assert_eq!(client.ask(2, 0).await.1, messages[..100]);
    peer.append_message("g", &messages[100..]);
    peer.append_action("g", &actions);
    assert_eq!(client.ask(5, 0).await.0, 454);
    assert_eq!(client.ask(1, 0).await.1, actions);
    // An end marker finishes the segment; what comes then is in the next one.
    let mut marker = Vec::new();
    message_log::encode_end_of_segment(&mut marker, T, 13);
    peer.append_message("g", &marker);
    assert_eq!(peer.visible("g").0, MESSAGE_SEGMENT);
    assert_eq!(client.ask(5, 454).await.0 as u64, MESSAGE_SEGMENT);
    peer.append_message("g", &messages);
    assert_eq!(client.ask(5, MESSAGE_SEGMENT as i64).await.0 as u64, MESSAGE_SEGMENT + 454);
    // What is added while not all is visible comes last.
    peer.reveal_none();
    peer.append_action("g", &actions);
    assert_eq!(peer.visible("g"), (0, 0));
    peer.reveal_all();
    assert_eq!(peer.visible("g"), (MESSAGE_SEGMENT + 454, 420));
}

#[tokio::test]
async fn a_torn_end_within_the_last_bytes_of_a_segment_blocks_the_index_stream() {
    let (logs, _) = two_segments("g", 40);
    // All but the padding of the first message segment.
    let peer = Peer::start(vec![logs], PeerSettings::default()).await;
    let total = peer.records("g").1;
    let before_padding = (0..total).find(|count| {
        peer.reveal_fraction((*count as f64 + 0.5) / total as f64);
        peer.visible("g").0 == 2 * MESSAGE_SEGMENT
    });
    let before_padding = before_padding.unwrap() - 1;
    let mut blocked = 0;
    for seed in 0..40_u64 {
        let settings = PeerSettings { torn: true, seed, ..PeerSettings::default() };
        let (logs, _) = two_segments("g", 40);
        let torn = Peer::start(vec![logs], settings).await;
        torn.reveal_none();
        torn.reveal_records("g", before_padding);
        let end = torn.visible("g").0;
        assert!(end < 2 * MESSAGE_SEGMENT);
        if 2 * MESSAGE_SEGMENT - end <= 12 {
            let mut client = Client::connect(torn.sync_addr("g")).await;
            let (_, next) = drain(&mut client, 5, -1).await;
            assert_eq!(next as u64, end);
            torn.reveal_all();
            assert_eq!(drain(&mut client, 5, next).await, (Vec::new(), next));
            assert!(!client.ask(5, 2 * MESSAGE_SEGMENT as i64).await.1.is_empty());
            blocked += 1;
        }
    }
    assert!((5..35).contains(&blocked), "{blocked}");
}

#[tokio::test]
async fn a_broken_slave_moves_and_drops() {
    let peer = example_peer(PeerSettings::default()).await;
    let before = peer.sync_addr("g1");
    let mut client = Client::connect(before).await;
    client.ask(5, 0).await;
    peer.drop_connections();
    assert!(client.rest().await.is_empty());
    let mut client = Client::connect(before).await;
    client.ask(5, 0).await;
    peer.move_slave("g1");
    assert!(client.rest().await.is_empty());
    assert_ne!(peer.sync_addr("g1"), before);
    let mut client = Client::connect(peer.sync_addr("g1")).await;
    assert_eq!(client.ask(5, 0).await.0, 454);
    assert_eq!(peer.counters("g1").index.requests, 3);
    let detail = peer.detail_addr("g1");
    peer.move_detail("g1");
    assert_ne!(peer.detail_addr("g1"), detail);
    let address = peer.sync_addr("g1");
    peer.stop();
    assert!(client.rest().await.is_empty());
    let gone = timeout(Duration::from_secs(10), async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    gone.await.unwrap();
}

#[tokio::test]
async fn answers_break_off_fail_or_are_missing() {
    let settings = PeerSettings { cut: 1.0, ..PeerSettings::default() };
    let peer = example_peer(settings).await;
    let mut client = Client::connect(peer.sync_addr("g1")).await;
    assert!(client.try_ask(5, 0, 0).await.is_err());
    let query = encoded(r#"{"subject":"order","keys":[{"sequence":0}]}"#);
    let mut detail = Client::connect(peer.detail_addr("g1")).await;
    detail.write(format!("GET /api/broker/message?backupQuery={query} HTTP/1.1\r\n\r\n").as_bytes()).await;
    assert!(!detail.rest().await.ends_with(b"0\r\n\r\n"));
    peer.set(|settings| (settings.cut, settings.error) = (0.0, 1.0));
    let mut client = Client::connect(peer.sync_addr("g1")).await;
    assert_eq!(client.call(5, 0, 0).await.unwrap(), (51, Vec::new()));
    peer.set(|settings| (settings.error, settings.silent) = (0.0, 1.0));
    assert!(client.is_deaf().await);
    peer.set(|settings| settings.silent = 0.0);
    // A batch size that was lowered while the broker runs.
    peer.set(|settings| settings.index_cut = Some(30));
    let (next, data) = client.ask(5, 0).await;
    assert_eq!((next, data.len()), (454, 30));
    let faults = peer.counters("g1").faults;
    assert_eq!((faults.cut, faults.error, faults.silent), (2, 1, 1));
}

#[tokio::test]
async fn delays_come_on_top() {
    let delay = Duration::from_millis(50);
    let peer = example_peer(PeerSettings { delay, ..PeerSettings::default() }).await;
    let mut client = Client::connect(peer.sync_addr("g1")).await;
    let started = Instant::now();
    client.ask(5, 0).await;
    client.ask(5, 454).await;
    assert!(started.elapsed() >= 2 * delay);
}

#[tokio::test]
async fn live_streams_are_whole_under_all_faults_together() {
    let (logs, index) = two_segments("g", 3000);
    let ends = logs.ends();
    let (cut, error, silent, batch_size) = (0.03, 0.03, 0.01, 500);
    let settings = PeerSettings { torn: true, cut, error, silent, batch_size, ..PeerSettings::default() };
    let peer = Peer::start(vec![logs], settings).await;
    peer.reveal_fraction(0.2);
    peer.reveal_at_rate(30_000.0);
    let (mut found, mut offset) = (Vec::new(), -1);
    let mut client = Client::connect(peer.sync_addr("g")).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    while offset != ends.0 as i64 {
        assert!(Instant::now() < deadline, "stuck at {offset}");
        let to_base = MESSAGE_SEGMENT as i64 - offset.rem_euclid(MESSAGE_SEGMENT as i64);
        if to_base <= 12 && peer.visible("g").0 >= (offset + to_base) as u64 {
            offset += to_base;
        }
        match timeout(Duration::from_millis(300), client.try_ask(5, offset, offset)).await {
            Ok(Ok((next, data))) => {
                found.extend_from_slice(&data);
                offset = offset.max(next);
            }
            Ok(Err(error)) if error.to_string() == "code 51" => {}
            _ => client = Client::connect(peer.sync_addr("g")).await,
        }
    }
    assert!(found == index);
    let faults = peer.counters("g").faults;
    assert!(faults.cut > 0 && faults.error > 0 && faults.silent > 0, "{faults:?}");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !peer.is_all_visible() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
