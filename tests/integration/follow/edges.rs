//! The protocol's edge cases (`E` numbers of the wire specification's section 10.1) as a running server meets them.
//! Those that concern single records or answers are unit tests beside the code.

use mqlake::brokers::qmq::follow::{SeekTarget, seek};
use mqlake::brokers::qmq::format::action_log::{Action, ActionKind};
use mqlake::brokers::qmq::format::{action_log, message_log, payload};
use mqlake::brokers::qmq::logs;
use mqlake::lake::Log;
use tempfile::TempDir;

use super::{Following, config, week_logs};
use crate::peer::{GroupLogs, Peer, PeerSettings};
use crate::support;

const T: i64 = 1_716_200_000_000;
const SEGMENT: u64 = message_log::SEGMENT_BYTES as u64;

/// A message whose record header and payload name the given queues.
fn message(queue: &str, sequence: i64, subject: &str, id: &str) -> Vec<u8> {
    let content = payload::encode(0, T + sequence, T + 9, subject, id, &[], &[("k", "v")]);
    let mut record = Vec::new();
    message_log::encode(&mut record, 3, T + 10, sequence, queue, &content);
    record
}

fn orders(sequences: std::ops::Range<i64>) -> Vec<u8> {
    sequences.flat_map(|n| message("order", n, "order", &format!("id{n}"))).collect()
}

fn action(consumer: &str, at: i64, kind: ActionKind) -> Vec<u8> {
    let mut record = Vec::new();
    let action = Action {
        subject: b"order",
        consumer_group: b"g",
        consumer_id: consumer.as_bytes(),
        timestamp_ms: T + at,
        kind,
    };
    action_log::encode(&mut record, &action);
    record
}

fn pull(first: i64, last: i64, message: i64) -> ActionKind {
    ActionKind::Pull {
        broadcast: false,
        first_sequence: first,
        last_sequence: last,
        first_message_sequence: message,
        last_message_sequence: message + (last - first),
    }
}

fn ack(first: i64, last: i64) -> ActionKind {
    ActionKind::RangeAck { first_sequence: first, last_sequence: last }
}

struct Scene {
    /// Deleted at the end.
    _home: TempDir,
    peer: Peer,
    config: mqlake::config::Config,
}

impl Scene {
    async fn new(logs: GroupLogs, settings: PeerSettings) -> Scene {
        let home = tempfile::tempdir().unwrap();
        let peer = Peer::start(vec![logs], settings).await;
        peer.reveal_all();
        let config = config(home.path(), &peer);
        Scene { _home: home, peer, config }
    }

    async fn of(messages: Vec<u8>, actions: Vec<u8>) -> Scene {
        let logs = GroupLogs::from_bytes("g1", vec![(0, messages)], vec![(0, actions)]);
        Scene::new(logs, PeerSettings::default()).await
    }

    /// Follows to the end of what is shown.
    async fn follow(&self) -> Following {
        let following = Following::start(&self.config).await;
        following.wait_until_caught_up(&self.peer).await;
        following
    }

    async fn seek(&self, log: Log, to: SeekTarget) -> Option<(u64, u64)> {
        let lake = support::open(&self.config).await;
        seek(&lake, &self.config, "g1", log, to).await.unwrap()
    }
}

async fn ids(following: &Following) -> Vec<String> {
    let rows = following.sql("SELECT message_id FROM message ORDER BY sequence, message_id").await;
    rows.iter().map(|row| row["message_id"].as_str().unwrap().to_owned()).collect()
}

fn names(sequences: std::ops::Range<i64>) -> Vec<String> {
    sequences.map(|n| format!("id{n}")).collect()
}

/// A retry that the broker wrote: the header says the retry queue, the payload still the real subject (7.3).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e19_a_retry_written_by_the_broker_is_a_retry() {
    let mut log = orders(0..3);
    log.extend(message("%RETRY%order%g", 0, "order", "id1"));
    log.extend(orders(3..4));
    // this one happens to continue the run of the real subject
    log.extend((1..4).flat_map(|n| message("%RETRY%order%g", n, "order", "id2")));
    log.extend(message("%RETRY%order%g", 4, "order", "id2"));
    log.extend(orders(4..6));
    let scene = Scene::of(log, Vec::new()).await;
    let following = scene.follow().await;
    let real = following.sql("SELECT sequence FROM message WHERE kind = 0 ORDER BY sequence").await;
    let real: Vec<i64> = real.iter().map(|row| row["sequence"].as_i64().unwrap()).collect();
    assert_eq!(real, [0, 1, 2, 3, 4, 5]);
    let retries = following
        .sql("SELECT subject, consumer_group, sequence, message_id FROM message WHERE kind = 1 ORDER BY sequence")
        .await;
    assert_eq!(retries.len(), 5);
    assert_eq!(retries[0]["message_id"], "id1");
    assert!(retries.iter().all(|row| row["subject"] == "order" && row["consumer_group"] == "g"));
    following.stop().await;
}

/// A message that the broker's index worker cannot read: it answers nothing at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e9_a_blocked_index_stream_is_passed_through_the_message_log() {
    let mut scene = Scene::of(orders(0..20), Vec::new()).await;
    scene.config.qmq[0].request_timeout = std::time::Duration::from_millis(100);
    scene.peer.swallow_index_from("g1", orders(0..7).len() as u64);
    let following = scene.follow().await;
    assert_eq!(ids(&following).await.len(), 20);
    assert!(!following.source("g1").alarms.contains_key("index stream"), "over");
    following.stop().await;
}

/// The index stream would silently skip everything from an offset inside a record.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e12_an_offset_where_no_record_begins_is_alarmed_and_not_asked_for() {
    let scene = Scene::of(orders(0..9), Vec::new()).await;
    scene.follow().await.stop().await;
    let asked = scene.peer.counters("g1").index.requests;
    let other: Vec<u8> =
        (0..99).flat_map(|n| message("another", n, "another", "an-id-of-another-length")).collect();
    scene.peer.replace_logs("g1", GroupLogs::from_bytes("g1", vec![(0, other)], vec![(0, Vec::new())]));
    let following = Following::start(&scene.config).await;
    following.wait("an alarm", |f| f.source("g1").alarms.contains_key("message log")).await;
    assert_eq!(ids(&following).await, names(0..9));
    following.stop().await;
    assert_eq!(scene.peer.counters("g1").index.requests, asked);
}

/// A log that was cut and written again can have a record, or its end, at the very place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_written_again_up_to_the_own_place_is_alarmed() {
    let pulls =
        |consumer: &str| -> Vec<u8> { (0..6).flat_map(|n| action(consumer, n, pull(n, n, n))).collect() };
    let scene = Scene::of(orders(0..9), pulls("c")).await;
    let following = scene.follow().await;
    let others: Vec<u8> = (0..9).flat_map(|n| message("order", n, "order", &format!("ix{n}"))).collect();
    let logs = GroupLogs::from_bytes("g1", vec![(0, others)], vec![(0, pulls("d"))]);
    scene.peer.replace_logs("g1", logs);
    scene.peer.reveal_all();
    scene.peer.drop_connections();
    for alarm in ["message log", "action log"] {
        following.wait(alarm, |f| f.source("g1").alarms.contains_key(alarm)).await;
        let reported = following.source("g1").alarms[alarm].clone();
        assert!(reported.contains("has other records at offset"), "{reported}");
        assert!(reported.contains("mqlake seek --broker-group g1"), "{reported}");
    }
    assert_eq!(ids(&following).await, names(0..9), "nothing is appended");
    following.stop().await;
    assert!(scene.seek(logs::MESSAGE, SeekTarget::Start).await.is_some());
    assert!(scene.seek(logs::ACTION, SeekTarget::Start).await.is_some());
    let following = scene.follow().await;
    assert_eq!(following.count("message").await, 18);
    following.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seek_beyond_the_log_is_refused_with_what_the_log_holds() {
    let scene = Scene::of(orders(0..9), action("c", 1, pull(0, 1, 7))).await;
    scene.follow().await.stop().await;
    let (message, action) = scene.peer.ends("g1");
    let lake = support::open(&scene.config).await;
    for (log, name, end) in [(logs::MESSAGE, "message", message), (logs::ACTION, "action", action)] {
        for beyond in [end + 1, 1 << 60] {
            let target = SeekTarget::Offset(beyond);
            let error = seek(&lake, &scene.config, "g1", log, target).await.unwrap_err().to_string();
            let holds = format!("the {name} log of broker group `g1`, which holds offsets 0 to {end}");
            assert!(error.contains(&format!("offset {beyond} lies beyond {holds}")), "{error}");
        }
        let moved = seek(&lake, &scene.config, "g1", log, SeekTarget::Offset(end)).await.unwrap();
        assert_eq!(moved, Some((end, end)));
    }
    // nothing was moved by what was refused
    let following = scene.follow().await;
    assert_eq!(ids(&following).await, names(0..9));
    following.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lag_is_unknown_while_the_slave_is_away() {
    let scene = Scene::of(orders(0..9), action("c", 1, pull(0, 1, 7))).await;
    let mut config = scene.config.clone();
    // metrics are those of the whole process
    config.qmq[0].name = Some("away".to_owned());
    let following = Following::start(&config).await;
    let has_lag = |f: &Following| {
        let source = f.source("g1");
        !source.streams.is_empty()
            && source.streams.iter().all(|s| s.lag_bytes == Some(0) && s.lag_seconds.is_some())
    };
    following.wait("the lag is known", has_lag).await;
    let lags = |text: &str| {
        let is_lag =
            |line: &&str| line.starts_with("mqlake_follow_lag_") && line.contains(r#"source="away""#);
        text.lines().filter(is_lag).count()
    };
    assert_eq!(lags(&following.server.get("/metrics").await.text()), 4);
    let Scene { _home, peer, .. } = scene;
    drop(peer);
    let has_none = |f: &Following| {
        f.source("g1").streams.iter().all(|s| s.lag_bytes.is_none() && s.lag_seconds.is_none())
    };
    following.wait("the lag is unknown", has_none).await;
    let status = following.server.get("/api/status").await.json();
    for stream in status["sources"][0]["streams"].as_array().unwrap() {
        assert!(stream["lag_bytes"].is_null() && stream["lag_seconds"].is_null(), "{status}");
    }
    assert_eq!(lags(&following.server.get("/metrics").await.text()), 0);
    following.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e13_the_first_request_begins_at_the_broker_s_minimum() {
    let logs = GroupLogs::from_bytes(
        "g1",
        vec![(5 * SEGMENT, orders(7..12))],
        vec![(3 * 104_857_600, action("c", 1, pull(0, 1, 7)))],
    );
    let scene = Scene::new(logs, PeerSettings::default()).await;
    let following = scene.follow().await;
    assert_eq!(ids(&following).await, names(7..12));
    assert_eq!(following.count("record").await, 2);
    assert!(following.source("g1").gaps.is_empty(), "what was removed before the first start is no loss");
    following.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e14_to_e17_pulls_and_acks_that_do_not_match() {
    let empty = ActionKind::Pull {
        broadcast: false,
        first_sequence: 2,
        last_sequence: 1,
        first_message_sequence: 3,
        last_message_sequence: 2,
    };
    let actions = [
        ("early", ack(0, 1)),
        ("c", pull(0, 1, 0)),
        ("c", empty),
        ("wide", pull(1_000_000, 1_000_001, 5)),
        ("wide", ack(0, 1_000_001)),
        ("c", ack(0, 1)),
        ("c", ActionKind::ForeverOffline),
        ("c", pull(0, 0, 7)),
        ("c", ack(0, 0)),
    ];
    let log =
        actions.into_iter().enumerate().flat_map(|(at, (who, kind))| action(who, at as i64, kind)).collect();
    let scene = Scene::of(orders(0..9), log).await;
    let following = scene.follow().await;
    let rows = following
        .sql("SELECT consumer_id, action, sequence FROM record ORDER BY consumer_id, action, sequence")
        .await;
    let got: Vec<(String, i64, i64)> = rows
        .iter()
        .map(|row| {
            let number = |name: &str| row[name].as_i64().unwrap();
            (row["consumer_id"].as_str().unwrap().to_owned(), number("action"), number("sequence"))
        })
        .collect();
    let c = |action: i64, sequences: &[i64]| {
        sequences.iter().map(move |s| ("c".to_owned(), action, *s)).collect()
    };
    let wide = |action: i64| vec![("wide".to_owned(), action, 5), ("wide".to_owned(), action, 6)];
    let wanted: Vec<Vec<(String, i64, i64)>> = vec![c(0, &[0, 1, 7]), c(1, &[0, 1, 7]), wide(0), wide(1)];
    assert_eq!(got, wanted.concat());
    let unresolved = following
        .sql("SELECT consumer_id, first_pull_sequence, last_pull_sequence FROM unresolved_ack ORDER BY consumer_id")
        .await;
    assert_eq!(unresolved.len(), 2, "{unresolved:?}");
    assert_eq!(unresolved[0]["consumer_id"], "early");
    assert_eq!(
        (&unresolved[1]["first_pull_sequence"], &unresolved[1]["last_pull_sequence"]),
        (&0.into(), &999_999.into())
    );
    following.stop().await;
}

/// A broker that crashed used a sequence again, and an id is at several places: each copy is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e18_e21_sequences_and_ids_that_repeat_are_all_kept() {
    let log =
        [orders(0..3), message("order", 2, "order", "other"), message("order", 3, "order", "id0")].concat();
    let scene = Scene::of(log, Vec::new()).await;
    let following = scene.follow().await;
    let all: Vec<String> = ["id0", "id1", "id2", "other", "id0"].map(str::to_owned).to_vec();
    assert_eq!(ids(&following).await, all);
    following.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e22_e23_answers_that_come_late_or_refuse_change_nothing() {
    let settings = PeerSettings { error: 0.2, silent: 0.05, cut: 0.05, ..PeerSettings::default() };
    let logs = GroupLogs::from_bytes("g1", vec![(0, orders(0..500))], vec![(0, Vec::new())]);
    let mut scene = Scene::new(logs, PeerSettings { batch_size: 2000, ..settings }).await;
    scene.config.qmq[0].request_timeout = std::time::Duration::from_millis(100);
    let following = scene.follow().await;
    assert_eq!(ids(&following).await, names(0..500));
    following.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e24_a_retry_subject_without_three_parts_counts_as_real() {
    let scene = Scene::of(message("%RETRY%order", 0, "%RETRY%order", "m"), Vec::new()).await;
    let following = scene.follow().await;
    let rows = following.sql("SELECT subject, kind FROM message").await;
    assert_eq!((&rows[0]["subject"], &rows[0]["kind"]), (&"%RETRY%order".into(), &0.into()));
    following.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e25_a_segment_that_begins_with_zeros_is_read_all_the_same() {
    let log = [vec![0; 5000], orders(0..9)].concat();
    let scene = Scene::of(log, [vec![0; 700], action("c", 1, pull(0, 1, 0))].concat()).await;
    let following = scene.follow().await;
    assert_eq!(ids(&following).await, names(0..9));
    assert_eq!(following.count("record").await, 2);
    following.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e26_records_lost_from_an_answer_are_read_from_the_message_log() {
    let logs = GroupLogs::from_bytes("g1", vec![(0, orders(0..300))], vec![(0, Vec::new())]);
    let settings = PeerSettings { index_cut: Some(1000), ..PeerSettings::default() };
    let scene = Scene::new(logs, settings).await;
    let following = scene.follow().await;
    assert_eq!(ids(&following).await, names(0..300));
    following.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e27_e28_bodies_and_names_that_cannot_be_read_do_not_stop_the_stream() {
    let mut garbled = message("order", 1, "order", "id1");
    // the payload's subject becomes invalid UTF-8; its checksum is set right again
    let start = garbled.len() - payload::encode(0, T, T, "order", "id1", &[], &[("k", "v")]).len();
    garbled[start + 19] = 0xff;
    let crc = crc32fast::hash(&garbled[start..]);
    garbled[32..36].copy_from_slice(&crc.to_be_bytes());
    let log = [orders(0..1), garbled, orders(2..4)].concat();
    let mut scene = Scene::of(log, Vec::new()).await;
    scene.config.qmq[0].content = mqlake::config::ContentPolicy::All;
    let following = scene.follow().await;
    assert_eq!(ids(&following).await, names(0..4));
    assert_eq!(following.count("content").await, 4, "content = all keeps every body");
    following.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e30_each_clock_keeps_its_own_time() {
    let scene = Scene::of(orders(0..1), action("c", -5_000_000, pull(0, 0, 0))).await;
    let following = scene.follow().await;
    let row = following
        .sql("SELECT CAST(m.create_time AS BIGINT) AS made, CAST(r.action_time AS BIGINT) AS pulled FROM message m, record r")
        .await;
    assert_eq!((&row[0]["made"], &row[0]["pulled"]), (&T.into(), &(T - 5_000_000).into()));
    following.stop().await;
}

/// E7 met by a running server: the stream stands still with an alarm, and a command leads past it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e7_a_damaged_action_log_is_stepped_over_by_command() {
    let first = action("c", 0, pull(0, 0, 0));
    let damaged = [first.clone(), vec![7; 100]].concat();
    let segment = 104_857_600;
    let logs = GroupLogs::from_bytes(
        "g1",
        vec![(0, orders(0..3))],
        vec![(0, damaged), (segment, action("c", 9, pull(1, 1, 1)))],
    );
    let scene = Scene::new(logs, PeerSettings::default()).await;
    let following = Following::start(&scene.config).await;
    following.wait("an alarm", |f| f.source("g1").alarms.contains_key("action log")).await;
    let reported = following.source("g1").alarms["action log"].clone();
    assert!(reported.contains("--to next-segment"), "{reported}");
    let sound = Some(first.len() as u64);
    following.wait("the sound record", |f| f.source("g1").streams.iter().any(|s| s.visible == sound)).await;
    assert_eq!(following.count("record").await, 1);
    following.stop().await;
    assert_eq!(scene.seek(logs::ACTION, SeekTarget::NextSegment).await, Some((first.len() as u64, segment)));
    let following = scene.follow().await;
    assert_eq!(following.count("record").await, 2);
    following.stop().await;
}

/// Dead letters are fetched one by one; a slave without detail server costs the message log of the stretch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contents_of_dead_letters_are_fetched_or_read_from_the_message_log() {
    for slave_http in [true, false] {
        let mut log = orders(0..3);
        log.extend(
            (0..3).flat_map(|n| message("%DEAD_RETRY%order%g", n, "%DEAD_RETRY%order%g", &format!("id{n}"))),
        );
        let logs = GroupLogs::from_bytes("g1", vec![(0, log)], vec![(0, Vec::new())]);
        let scene = Scene::new(logs, PeerSettings { slave_http, ..PeerSettings::default() }).await;
        let following = scene.follow().await;
        // the queues are known now: more dead letters come under certain names
        let more =
            (3..6).flat_map(|n| message("%DEAD_RETRY%order%g", n, "%DEAD_RETRY%order%g", &format!("id{n}")));
        scene.peer.append_message("g1", &more.collect::<Vec<u8>>());
        scene.peer.reveal_all();
        following.wait_until_caught_up(&scene.peer).await;
        let rows = following.sql("SELECT message_id, attributes FROM content ORDER BY sequence").await;
        let ids: Vec<&str> = rows.iter().map(|row| row["message_id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["id0", "id1", "id2", "id3", "id4", "id5"], "slave_http {slave_http}");
        assert!(rows.iter().all(|row| row["attributes"]["k"] == "v"));
        assert_eq!(scene.peer.counters("g1").detail_messages, if slave_http { 3 } else { 0 });
        following.stop().await;
    }
}

/// The slave is asked for a message's content first; the stored content answers when it is gone there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn details_come_from_the_slave_and_then_from_the_store() {
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(week_logs(), PeerSettings::default()).await;
    peer.reveal_all();
    let following = Following::start(&config(home.path(), &peer)).await;
    following.wait_until_caught_up(&peer).await;
    let dead = following
        .sql("SELECT subject, consumer_group, broker_group, sequence FROM dead_message LIMIT 1")
        .await;
    let subject = format!(
        "%DEAD_RETRY%{}%{}",
        dead[0]["subject"].as_str().unwrap(),
        dead[0]["consumer_group"].as_str().unwrap()
    );
    let query = serde_json::json!({"subject": subject, "brokerGroup": dead[0]["broker_group"], "sequence": dead[0]["sequence"]});
    let query = query.to_string();
    let ask = || following.server.ask("/api/message/detail", "backupQuery", &query);
    let from_slave = ask().await;
    assert_eq!(from_slave.headers["mqlake-content-from"], "slave");
    peer.set(|settings| settings.slave_http = false);
    for group in peer.groups() {
        peer.move_detail(&group);
    }
    let from_store = ask().await;
    assert_eq!(from_store.headers["mqlake-content-from"], "store");
    assert_eq!(from_store.json(), from_slave.json());
    following.stop().await;
    drop(home);
}
