//! Following a RocketMQ cluster, over real sockets, against the test cluster.

use std::path::Path;
use std::time::Duration;

use mqlake::brokers::rocketmq::format::topics::is_system_topic;
use mqlake::config::{Config, ContentPolicy, RocketMqSource, Secret};

use super::Following;
use crate::rocketmq_peer::{Acl, Cluster, ClusterSettings, Faults, Message};
use crate::support::rocketmq::{BROKERS, LOG_FILE_BYTES, When, import, messages, write_beginning};
use crate::support::{self, rows};

const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";

pub(crate) fn config(home: &Path, cluster: &Cluster) -> Config {
    let mut config = support::config(&home.join("data"));
    config.follow.spool = Some(home.join("spool"));
    config.follow.flush_every = Duration::from_secs(1);
    config.follow.visible_every = Duration::from_millis(20);
    config.follow.retry_min = Duration::from_millis(10);
    config.follow.retry_max = Duration::from_millis(200);
    config.rocketmq.push(RocketMqSource {
        name: Some("test".to_owned()),
        name_servers: vec![cluster.name_server_addr().to_string()],
        content: ContentPolicy::All,
        discover_every: Duration::from_millis(100),
        progress_every: Duration::from_secs(1),
        suspend: Duration::from_secs(1),
        request_timeout: Duration::from_millis(500),
        ..RocketMqSource::default()
    });
    config
}

async fn cluster() -> Cluster {
    Cluster::start(settings()).await
}

pub(super) fn settings() -> ClusterSettings {
    ClusterSettings { brokers: vec!["broker-a".to_owned()], ..ClusterSettings::default() }
}

/// Appends numbered messages to a queue.
pub(super) fn append(cluster: &Cluster, topic: &str, queue: i32, numbers: std::ops::Range<u32>) {
    let broker = &cluster.brokers()[0];
    for number in numbers {
        let message = Message {
            keys: format!("order-{number} all"),
            unique_key: format!("7F0000010B7518B4AAC2{number:012X}"),
            tags: "paid".to_owned(),
            ..Message::text(&format!("body {number}"))
        };
        cluster.append(broker, topic, queue, message);
    }
}

impl Following {
    /// Waits until a topic has this many messages.
    pub(super) async fn wait_for(&self, topic: &str, messages: u64) {
        let begun = tokio::time::Instant::now();
        loop {
            let found = self.count(&format!("message WHERE subject = '{topic}'")).await;
            if found >= messages {
                assert_eq!(found, messages, "{topic}");
                return;
            }
            assert!(
                begun.elapsed() < super::PATIENCE,
                "{topic}: {found} of {messages}: {:#?}",
                self.follow.status()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn wait_until_committed(&self) {
        // samples of progress go on coming, on a loaded machine faster than they are committed
        let ends = |f: &Following| -> Vec<(Option<u64>, Option<u64>)> {
            let status = f.follow.status();
            status.iter().flat_map(|s| &s.streams).map(|s| (s.received, s.committed)).collect()
        };
        let received = ends(self);
        self.wait("everything committed", |f| {
            ends(f).iter().zip(&received).all(|((_, committed), (received, _))| committed >= received)
        })
        .await;
    }

    /// Queue offsets of a topic, in order.
    async fn offsets(&self, topic: &str) -> Vec<(i64, i64)> {
        let statement = format!(
            "SELECT queue_id, sequence FROM message WHERE subject = '{topic}' ORDER BY 1, 2, create_time"
        );
        let rows = self.sql(&statement).await;
        rows.iter()
            .map(|row| (row["queue_id"].as_i64().unwrap(), row["sequence"].as_i64().unwrap()))
            .collect()
    }

    async fn get(&self, path: &str) -> serde_json::Value {
        let answer = self.server.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        serde_json::from_str(&answer.text()).unwrap()
    }
}

fn consecutive(queues: &[(i64, i64)]) -> Vec<(i64, i64)> {
    queues.iter().flat_map(|(queue, count)| (0..*count).map(move |offset| (*queue, offset))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_followed_through_growth_restarts_and_new_queues() {
    let home = tempfile::tempdir().unwrap();
    let cluster = cluster().await;
    cluster.set_queues("order", 2);
    append(&cluster, "order", 0, 0..50);
    append(&cluster, "order", 1, 50..70);
    let config = config(home.path(), &cluster);
    let following = Following::start(&config).await;
    following.wait_for("order", 70).await;
    // one more is seen while a pull waits for it
    append(&cluster, "order", 0, 70..71);
    following.wait_for("order", 71).await;
    // a queue, a topic and a broker more
    cluster.set_queues("order", 3);
    append(&cluster, "order", 2, 71..75);
    cluster.set_queues("%RETRY%g", 1);
    append(&cluster, "%RETRY%g", 0, 75..77);
    following.wait_for("order", 75).await;
    following.wait_for("%RETRY%g", 2).await;
    following.wait_until_committed().await;
    following.stop().await;
    // nothing twice after a restart, nor anything lost that came meanwhile
    append(&cluster, "order", 1, 77..90);
    let following = Following::start(&config).await;
    following.wait_for("order", 88).await;
    assert_eq!(following.offsets("order").await, consecutive(&[(0, 51), (1, 33), (2, 4)]));
    let found = following.get("/api/v1/messages?system=rocketmq&topic=order&key=order-60&body=true").await;
    let message = &found["messages"][0];
    assert_eq!((&message["queue_id"], &message["queue_offset"]), (&1.into(), &10.into()), "{found}");
    assert_eq!(message["body"], "body 60");
    cluster.assert_read_only();
    following.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_stops_moves_and_comes_back_is_followed_on() {
    let home = tempfile::tempdir().unwrap();
    let cluster = cluster().await;
    cluster.set_queues("order", 1);
    append(&cluster, "order", 0, 0..10);
    let broker = cluster.brokers()[0].clone();
    let following = Following::start(&config(home.path(), &cluster)).await;
    following.wait_for("order", 10).await;
    cluster.stop_broker(&broker).await;
    append(&cluster, "order", 0, 10..20);
    cluster.start_broker(&broker);
    following.wait_for("order", 20).await;
    cluster.move_broker(&broker).await;
    append(&cluster, "order", 0, 20..30);
    following.wait_for("order", 30).await;
    cluster.stop_name_server().await;
    append(&cluster, "order", 0, 30..31);
    following.wait_for("order", 31).await;
    assert_eq!(following.offsets("order").await, consecutive(&[(0, 31)]));
    following.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_arrives_once_under_cut_wrong_late_and_missing_answers() {
    let home = tempfile::tempdir().unwrap();
    let cluster = cluster().await;
    cluster.set_queues("order", 4);
    cluster.set_faults(Faults {
        torn: 0.03,
        cut: 0.05,
        slow: 0.02,
        error: 0.03,
        silent: 0.01,
        wrong_opaque: 0.02,
        garbage: 0.01,
        seed: 7,
        ..Faults::default()
    });
    let following = Following::start(&config(home.path(), &cluster)).await;
    for round in 0..40_u32 {
        for queue in 0..4 {
            append(
                &cluster,
                "order",
                queue,
                round * 40 + queue as u32 * 10..round * 40 + queue as u32 * 10 + 10,
            );
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    following.wait_for("order", 1600).await;
    assert_eq!(following.offsets("order").await, consecutive(&[(0, 400), (1, 400), (2, 400), (3, 400)]));
    following.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_made_anew_is_read_from_its_beginning() {
    let home = tempfile::tempdir().unwrap();
    let cluster = cluster().await;
    cluster.set_queues("order", 1);
    append(&cluster, "order", 0, 0..10);
    let following = Following::start(&config(home.path(), &cluster)).await;
    following.wait_for("order", 10).await;
    cluster.recreate_topic("order");
    append(&cluster, "order", 0, 10..14);
    following.wait_for("order", 14).await;
    let source = following.follow.status().swap_remove(0);
    assert!(source.alarms.contains_key("went back"), "{:?}", source.alarms);
    following.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_are_decoded_and_joined_with_stored_copies() {
    let home = tempfile::tempdir().unwrap();
    let cluster = cluster().await;
    cluster.set_queues("order", 1);
    cluster.set_queues(TRACE_TOPIC, 1);
    append(&cluster, "order", 0, 1..2);
    let broker = cluster.brokers()[0].clone();
    let id = format!("7F0000010B7518B4AAC2{:012X}", 1);
    let line = |fields: &[&str]| format!("{}\u{2}", fields.join("\u{1}"));
    let body = [
        line(&[
            "Pub",
            "1000",
            "DefaultRegion",
            "p",
            "order",
            &id,
            "paid",
            "order-1",
            "10.0.0.1:10911",
            "6",
            "9",
            "0",
            "X",
            "true",
        ]),
        line(&["SubBefore", "2000", "DefaultRegion", "g", "R1", &id, "0", "order-1"]),
        line(&["SubAfter", "R1", &id, "35", "true", "order-1", "0", "2035", "g"]),
        line(&["Nonsense", "x"]),
    ]
    .concat();
    cluster.append(
        &broker,
        TRACE_TOPIC,
        0,
        Message { keys: format!("{id} order-1"), ..Message::text(&body) },
    );
    let following = Following::start(&config(home.path(), &cluster)).await;
    following.wait_for(TRACE_TOPIC, 1).await;
    following.wait_for("order", 1).await;
    for query in
        [format!("id={id}"), format!("id={}", id.to_lowercase()), "key=order-1&topic=order".to_owned()]
    {
        let graph = following.get(&format!("/api/v1/traces?system=rocketmq&{query}")).await;
        assert_eq!(graph["copies"].as_array().unwrap().len(), 1, "{query}: {graph}");
        assert_eq!(graph["sends"][0]["cost_ms"], 9, "{query}: {graph}");
        let delivery = &graph["consumers"][0]["deliveries"][0];
        assert_eq!(
            (&delivery["success"], &delivery["outcome"]),
            (&true.into(), &"success".into()),
            "{graph}"
        );
    }
    assert_eq!(following.count("trace WHERE trace_type = 'Undecoded'").await, 1);
    following.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signed_requests_are_taken_and_unsigned_ones_explained() {
    let home = tempfile::tempdir().unwrap();
    let acl = Acl { access_key: "reader".to_owned(), secret_key: "secret".to_owned() };
    let cluster = Cluster::start(ClusterSettings { acl: Some(acl), ..settings() }).await;
    cluster.set_queues("order", 1);
    append(&cluster, "order", 0, 0..3);
    let mut config = config(home.path(), &cluster);
    let refused = Following::start(&config).await;
    refused
        .wait("an explanation", |f| {
            f.follow.status()[0]
                .problem
                .as_deref()
                .is_some_and(|problem| problem.contains("username cannot be null"))
        })
        .await;
    refused.stop().await;
    config.rocketmq[0].access_key = Some("reader".to_owned());
    config.rocketmq[0].secret_key = Some(Secret::new("secret"));
    let following = Following::start(&config).await;
    following.wait_for("order", 3).await;
    following.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_of_groups_has_a_history() {
    let home = tempfile::tempdir().unwrap();
    let cluster = cluster().await;
    cluster.set_queues("order", 1);
    append(&cluster, "order", 0, 0..10);
    let broker = cluster.brokers()[0].clone();
    cluster.add_group("g");
    cluster.set_consumer_offset(&broker, "g", "order", 0, 4);
    let following = Following::start(&config(home.path(), &cluster)).await;
    following.wait_for("order", 10).await;
    let begun = tokio::time::Instant::now();
    loop {
        let rows = following
            .sql("SELECT consumer_group, consumer_offset, min_offset, max_offset FROM consumer_progress WHERE subject = 'order' ORDER BY sample_time DESC, consumer_group LIMIT 2")
            .await;
        if rows.len() == 2 && rows[0]["max_offset"] == 10 {
            assert_eq!((&rows[1]["consumer_group"], &rows[1]["consumer_offset"]), (&"g".into(), &4.into()));
            break;
        }
        assert!(begun.elapsed() < super::PATIENCE, "{rows:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let preview =
        following.get("/api/v1/backtrack/preview?system=rocketmq&group=g&topic=order&timestamp=0").await;
    let queue = &preview["queues"][0];
    assert_eq!((&queue["from_offset"], &queue["to_offset"]), (&0.into(), &4.into()), "{preview}");
    assert_eq!(preview["messages"], 4, "{preview}");
    following.stop().await;
}

/// The position of a group is the one that its broker reports now, however old the newest sample is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_asks_the_brokers_for_positions() {
    let home = tempfile::tempdir().unwrap();
    let cluster = cluster().await;
    cluster.set_queues("order", 1);
    append(&cluster, "order", 0, 0..10);
    let broker = cluster.brokers()[0].clone();
    cluster.add_group("g");
    cluster.set_consumer_offset(&broker, "g", "order", 0, 4);
    let mut config = config(home.path(), &cluster);
    config.rocketmq[0].progress_every = Duration::from_secs(24 * 60 * 60);
    let following = Following::start(&config).await;
    following.wait_for("order", 10).await;
    for position in [7, 2] {
        cluster.set_consumer_offset(&broker, "g", "order", 0, position);
        let preview =
            following.get("/api/v1/backtrack/preview?system=rocketmq&group=g&topic=order&timestamp=0").await;
        assert_eq!(preview["queues"][0]["to_offset"], position, "{preview}");
        assert_eq!(preview["messages"], position, "{preview}");
    }
    following.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_and_a_replay_need_the_admin_switch_and_report_what_they_did() {
    let home = tempfile::tempdir().unwrap();
    let cluster = cluster().await;
    cluster.set_queues("order", 1);
    cluster.set_queues("again", 1);
    append(&cluster, "order", 0, 0..10);
    let broker = cluster.brokers()[0].clone();
    cluster.add_group("g");
    cluster.set_consumer_offset(&broker, "g", "order", 0, 10);
    let mut config = config(home.path(), &cluster);
    let reset = r#"{"system":"rocketmq","topic":"order","group":"g","timestamp":0}"#;
    let window = r#""system":"rocketmq","topic":"order","from":0,"to":"2100-01-01""#;
    let off = Following::start(&config).await;
    off.wait_for("order", 10).await;
    let answer = off.server.post("/api/v1/backtrack/reset", "application/json", reset).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    let send = format!(r#"{{{window},"to_topic":"again"}}"#);
    let answer = off.server.post("/api/v1/backtrack/replay", "application/json", &send).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    let read = format!("{{{window}}}");
    let answer = off.server.post("/api/v1/backtrack/replay", "application/json", &read).await;
    let lines: Vec<serde_json::Value> =
        answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let offsets: Vec<i64> = lines.iter().map(|line| line["queue_offset"].as_i64().unwrap()).collect();
    assert_eq!(offsets, (0..10).collect::<Vec<i64>>());
    assert_eq!(lines[3]["body"], "body 3");
    off.stop().await;
    cluster.assert_read_only();

    config.admin.enabled = true;
    config.admin.replay_rate = 1000;
    let on = Following::start(&config).await;
    on.wait_for("order", 10).await;
    on.wait("the broker is known", |f| f.follow.status()[0].state == "following").await;
    let answer = on.server.post("/api/v1/backtrack/reset", "application/json", reset).await;
    let done: serde_json::Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(
        (&done["queues"][0]["before"], &done["queues"][0]["after"]),
        (&10.into(), &0.into()),
        "{done}"
    );
    assert_eq!(cluster.consumer_offset(&broker, "g", "order", 0), Some(0));
    let answer = on.server.post("/api/v1/backtrack/replay", "application/json", &send).await;
    let dry: serde_json::Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!((&dry["messages"], &dry["without_body"]), (&10.into(), &0.into()), "{dry}");
    assert!(cluster.queue_records(&broker, "again", 0).is_empty());
    let send = format!(r#"{{{window},"to_topic":"again","dry_run":false}}"#);
    let answer = on.server.post("/api/v1/backtrack/replay", "application/json", &send).await;
    assert_eq!(answer.text().lines().count(), 10, "{}", answer.text());
    let sent = cluster.queue_records(&broker, "again", 0);
    assert_eq!(sent.len(), 10);
    assert_eq!(sent[3].body, b"body 3");
    assert_eq!(sent[3].property("KEYS"), Some("order-3 all"));
    on.wait_for("again", 10).await;
    on.stop().await;
}

/// What both ways of reading a store give: bodies are kept by both, progress is sampled at other times.
pub(crate) const COMPARED: [(&str, &str); 4] = [
    ("message", "SELECT * FROM message WHERE kind IN (0, 1, 2, 8)"),
    ("content", "SELECT * FROM content WHERE kind IN (0, 1, 2)"),
    ("trace", "SELECT * FROM trace"),
    (
        "message_key",
        "SELECT * FROM message_key WHERE subject NOT LIKE 'rmq\\_sys\\_%' AND subject NOT LIKE 'RMQ\\_SYS\\_TRANS%' \
         AND subject NOT IN ('SCHEDULE_TOPIC_XXXX', 'DefaultHeartBeatSyncerTopic', 'TRANS_CHECK_MAX_TIME_TOPIC')",
    ),
];

/// Files of each broker's log that are followed: they have records of nearly every topic.
const SAMPLE_FILES: usize = 3;

/// Records of every kind that real brokers write, followed: the tables equal those of an import of the same stores.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sample_cluster_followed_gives_the_rows_of_its_import() {
    let home = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(ClusterSettings {
        brokers: BROKERS.map(str::to_owned).to_vec(),
        system_topics: false,
        ..ClusterSettings::default()
    })
    .await;
    let reference = support::config(&home.path().join("imported"));
    for broker in BROKERS {
        let store = home.path().join("store").join(broker);
        write_beginning(When::Before, broker, SAMPLE_FILES, &store);
        cluster.load_store(broker, &store);
        import(&reference, &store, broker).await.unwrap();
    }
    let mut config = config(home.path(), &cluster);
    config.follow.flush_every = Duration::from_secs(3);
    config.rocketmq[0].trace_topics.push("trace-custom".to_owned());
    let following = Following::start(&config).await;
    let golden = messages();
    let wanted = (0..golden.rows).filter(|row| {
        let topic = golden.text("topic", *row);
        golden.number("commit_log_offset", *row) < SAMPLE_FILES as i64 * LOG_FILE_BYTES as i64
            && config.rocketmq[0].wants(topic, is_system_topic(topic, &["DefaultCluster"], &BROKERS))
    });
    let wanted = wanted.count() as u64;
    let has_all = |f: &Following| {
        let status = f.follow.status();
        let mut streams = status.iter().flat_map(|source| &source.streams);
        status.len() == BROKERS.len()
            && streams
                .all(|stream| stream.visible == stream.received && stream.lag_messages.unwrap_or(0) == 0)
    };
    // a statement costs more than to look whether it is worth while
    following.wait("all received", has_all).await;
    let begun = tokio::time::Instant::now();
    while following.count("message").await < wanted {
        assert!(begun.elapsed() < super::PATIENCE * 3, "{} of {wanted}", following.count("message").await);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    following.stop().await;
    let mut both = [Vec::new(), Vec::new()];
    for (side, config) in both.iter_mut().zip([&config, &reference]) {
        let engine = rows::engine(support::open(config).await, config).await;
        for (table, statement) in COMPARED {
            side.push((table.to_owned(), rows::sorted_lines(&engine, statement).await));
        }
    }
    rows::assert_equal(&both[0], &both[1]);
    let report = support::open(&config).await.verify(mqlake::brokers::streams_of).await.unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}
