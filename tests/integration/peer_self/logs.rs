//! Where logs come from and how they become visible.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;

use super::support::*;
use crate::peer::{GroupLogs, Peer, PeerSettings};

#[tokio::test]
async fn a_store_with_preallocated_files_is_served_as_its_used_prefix() {
    let store = tempfile::tempdir().unwrap();
    for (folder, size) in [("messagelog", MESSAGE_SEGMENT), ("actionlog", ACTION_SEGMENT)] {
        fs::create_dir(store.path().join(folder)).unwrap();
        for file in fs::read_dir(week().join("bg2").join(folder)).unwrap() {
            let path = file.unwrap().path();
            let mut data = Vec::new();
            GzDecoder::new(File::open(&path).unwrap()).read_to_end(&mut data).unwrap();
            let base = &path.file_name().unwrap().to_str().unwrap()[..20];
            let mut file = File::create(store.path().join(folder).join(base)).unwrap();
            file.write_all(&data).unwrap();
            file.set_len(size).unwrap();
        }
        fs::write(store.path().join(folder).join(".00000000000000000000.offset"), "{}").unwrap();
    }
    let logs = [GroupLogs::from_store("store", store.path()), GroupLogs::from_fixture(&week().join("bg2"))];
    assert_eq!(logs[0].ends(), logs[1].ends());
    assert_eq!(logs[0].minimums(), (3 << 30, 0));
    let peer = Peer::start(logs.into(), PeerSettings::default()).await;
    for kind in [1, 2, 5] {
        let mut streams = Vec::new();
        for group in ["store", "bg2"] {
            streams.push(drain(&mut Client::connect(peer.sync_addr(group)).await, kind, -1).await);
        }
        assert!(streams[0] == streams[1], "type {kind}");
    }
}

#[tokio::test]
async fn finished_segments_of_a_store_keep_the_bytes_after_the_end_marker() {
    let store = tempfile::tempdir().unwrap();
    let mut first = actions(10, T);
    mqlake::brokers::qmq::format::action_log::encode_end_of_segment(&mut first, &[0xee; 30]);
    for (folder, files) in [("messagelog", vec![]), ("actionlog", vec![first.clone(), actions(5, T)])] {
        fs::create_dir(store.path().join(folder)).unwrap();
        for (base, data) in (0..).step_by(ACTION_SEGMENT as usize).zip(files) {
            let mut file = File::create(store.path().join(folder).join(format!("{base:020}"))).unwrap();
            file.write_all(&data).unwrap();
            file.set_len(ACTION_SEGMENT).unwrap();
        }
    }
    let logs = GroupLogs::from_store("g", store.path());
    assert_eq!(logs.ends(), (0, ACTION_SEGMENT + actions(5, T).len() as u64));
    let peer = Peer::start(vec![logs], PeerSettings::default()).await;
    let mut client = Client::connect(peer.sync_addr("g")).await;
    let (_, data) = client.ask(1, 0).await;
    assert_eq!(data[..first.len()], first);
    assert!(data.len() == 100_000 && data[first.len()..].iter().all(|byte| *byte == 0));
}

#[tokio::test]
async fn records_become_visible_by_time() {
    let peer = example_peer(PeerSettings::default()).await;
    assert_eq!((peer.visible("g1"), peer.records("g1")), ((454, 210), (8, 8)));
    peer.reveal_none();
    assert_eq!((peer.visible("g1"), peer.is_all_visible()), ((0, 0), false));
    // All messages are older than all actions; the third action has an older time than the one before it.
    let steps = [(109, 0), (221, 0), (342, 0), (454, 0), (454, 65), (454, 113), (454, 178), (454, 210)];
    let mut client = Client::connect(peer.sync_addr("g1")).await;
    for ends in steps {
        peer.reveal_records("g1", 1);
        assert_eq!(peer.visible("g1"), ends);
        assert_eq!(
            client.call(3, 0, 0).await.unwrap().1,
            [ends.0.to_be_bytes(), ends.1.to_be_bytes()].concat()
        );
        assert_eq!(client.ask(2, 0).await.1.len() as u64, ends.0);
    }
    assert!(peer.is_all_visible());
    let reveals: Vec<_> =
        peer.reveals("g1").iter().map(|reveal| (reveal.message_end, reveal.action_end)).collect();
    assert_eq!(reveals, [&[(0, 0)][..], &steps].concat());
    peer.reveal_fraction(0.5);
    assert_eq!(peer.visible("g1"), (454, 0));
}

#[tokio::test]
async fn torn_ends_fall_inside_records_and_move_forward_only() {
    let (logs, index) = two_segments("g", 300);
    let peer = Peer::start(vec![logs], PeerSettings { torn: true, seed: 3, ..PeerSettings::default() }).await;
    peer.reveal_none();
    let (mut last, mut inside) = (peer.visible("g"), 0);
    let (mut found, mut offset) = (Vec::new(), -1);
    let mut client = Client::connect(peer.sync_addr("g")).await;
    while !peer.is_all_visible() {
        peer.reveal_records("g", 3);
        let now = peer.visible("g");
        assert!(now.0 >= last.0 && now.1 >= last.1);
        last = now;
        let (start, data) = client.ask(5, offset).await;
        assert!(start as u64 <= now.0);
        inside += u64::from(start > 0 && (start as u64) < now.0);
        found.extend_from_slice(&data);
        offset = start;
        if peer.visible("g").0 >= 2 * MESSAGE_SEGMENT && offset < 2 * MESSAGE_SEGMENT as i64 {
            offset = 2 * MESSAGE_SEGMENT as i64;
        }
    }
    found.extend_from_slice(&drain(&mut client, 5, offset).await.0);
    assert_eq!(last, peer.ends("g"));
    assert!(inside > 50, "{inside}");
    assert!(found == index);
}

#[tokio::test]
async fn live_traffic_shows_everything_in_the_end() {
    let (logs, _) = two_segments("g", 500);
    let ends = logs.ends();
    let peer = Peer::start(vec![logs], PeerSettings::default()).await;
    peer.reveal_fraction(0.1);
    let before = peer.records("g");
    assert_eq!(before.0, before.1 / 10);
    peer.reveal_at_rate(20_000.0);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !peer.is_all_visible() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    peer.reveal_at_rate(0.0);
    assert_eq!(peer.visible("g"), ends);
    let reveals = peer.reveals("g");
    assert!(reveals.len() > 3 && reveals.is_sorted_by_key(|reveal| (reveal.at, reveal.message_end)));
}
