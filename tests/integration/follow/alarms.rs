//! What operators see of a RocketMQ broker that cannot be followed as it should: alarms, lag, readiness.

use std::time::Duration;

use mqlake::config::Secret;
use serde_json::Value;

use super::Following;
use super::rocketmq::{append, config, settings};
use crate::rocketmq_peer::{Acl, Cluster, ClusterSettings, Message, TopicConfig};

impl Following {
    fn alarm(&self, about: &str) -> Option<String> {
        self.follow.status()[0].alarms.get(about).cloned()
    }

    async fn wait_for_alarm(&self, about: &str, piece: &str) {
        let is_reported = |f: &Following| f.alarm(about).is_some_and(|text| text.contains(piece));
        self.wait(&format!("alarm {about:?} with {piece:?}"), is_reported).await;
    }

    fn lag(&self) -> Option<u64> {
        self.follow.status()[0].streams[0].lag_messages
    }
}

/// A topic that answers 17 for a moment, or was made anew between two looks, is pulled again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_missed_for_a_moment_is_followed_on() {
    let home = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(settings()).await;
    let broker = cluster.brokers()[0].clone();
    cluster.set_queues("order", 1);
    append(&cluster, "order", 0, 0..5);
    cluster.miss_topic(&broker, "order", 1);
    let mut config = config(home.path(), &cluster);
    // nothing but the queue itself notices that it is there again
    config.rocketmq[0].discover_every = Duration::from_secs(3600);
    let following = Following::start(&config).await;
    following.wait_for("order", 5).await;
    assert_eq!(following.alarm("pulling"), None);
    cluster.miss_topic(&broker, "order", 3);
    cluster.recreate_topic("order");
    append(&cluster, "order", 0, 5..15);
    following.wait_for("order", 15).await;
    assert_eq!(following.lag(), Some(0));
    following.stop().await;
}

/// A topic that is gone is not asked for, is no failure, and does not count into the lag.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_removed_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(settings()).await;
    cluster.set_queues("order", 1);
    cluster.set_queues("pay", 1);
    append(&cluster, "order", 0, 0..5);
    append(&cluster, "pay", 0, 5..8);
    let following = Following::start(&config(home.path(), &cluster)).await;
    following.wait_for("order", 5).await;
    following.wait_for("pay", 3).await;
    cluster.delete_topic("pay");
    cluster.forget_requests();
    let asked = || cluster.requests().iter().filter(|asked| asked.code == 21).count();
    following.wait("a look at the topics", |_| asked() >= 3).await;
    following.wait("the lag is known", |f| f.lag() == Some(0)).await;
    assert_eq!(following.alarm("pulling"), None);
    following.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_nobody_may_read_is_reported_until_it_can_be_read() {
    let home = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(settings()).await;
    let broker = cluster.brokers()[0].clone();
    // as brokers of 4.x make them
    cluster.set_topic(&broker, "%DLQ%g", TopicConfig { perm: 2, ..TopicConfig::new(1) });
    append(&cluster, "%DLQ%g", 0, 0..3);
    let mut config = config(home.path(), &cluster);
    // metrics are those of the whole process
    config.rocketmq[0].name = Some("closed".to_owned());
    let following = Following::start(&config).await;
    following.wait_for_alarm("unreadable topics", "%DLQ%g (permission 2)").await;
    let text = following.alarm("unreadable topics").unwrap();
    let advice = format!(
        "mqadmin updateTopicPerm -n {} -b {} -t TOPIC -p 6",
        cluster.name_server_addr(),
        cluster.broker_addr(&broker)
    );
    assert!(text.contains(&advice), "{text}");
    let metrics = following.server.get("/metrics").await.text();
    let metric = r#"mqlake_follow_unreadable_topics{source="closed/broker-a"} 1"#;
    assert!(metrics.lines().any(|line| line == metric), "{metrics}");
    let status = following.server.get("/api/status").await.json();
    assert!(status["sources"][0]["alarms"]["unreadable topics"].is_string(), "{status}");
    cluster.set_topic(&broker, "%DLQ%g", TopicConfig::new(1));
    following.wait_for("%DLQ%g", 3).await;
    following.wait("the alarm is over", |f| f.alarm("unreadable topics").is_none()).await;
    following.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_left_out_is_no_alarm_whatever_its_permission() {
    let home = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(settings()).await;
    let broker = cluster.brokers()[0].clone();
    cluster.set_queues("order", 1);
    append(&cluster, "order", 0, 0..1);
    cluster.set_topic(&broker, "%DLQ%g", TopicConfig { perm: 2, ..TopicConfig::new(1) });
    let mut config = config(home.path(), &cluster);
    config.rocketmq[0].exclude_topics.push("%DLQ%*".to_owned());
    let following = Following::start(&config).await;
    following.wait_for("order", 1).await;
    assert_eq!(following.alarm("unreadable topics"), None);
    following.stop().await;
}

/// A topic that the rights leave out is named, and so is the next one; others go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_queue_that_is_denied_is_named_with_its_newest_reason() {
    let home = tempfile::tempdir().unwrap();
    let denied_topics = vec!["pay".to_owned()];
    let cluster = Cluster::start(ClusterSettings { denied_topics, ..settings() }).await;
    for topic in ["order", "pay", "bill"] {
        cluster.set_queues(topic, 2);
    }
    append(&cluster, "order", 0, 0..3);
    let following = Following::start(&config(home.path(), &cluster)).await;
    following.wait_for("order", 3).await;
    following.wait_for_alarm("pulling", "pay/0, pay/1: ").await;
    following.wait_for_alarm("pulling", "no permission to access Topic:pay").await;
    assert!(following.alarm("pulling").unwrap().contains("it needs the rights Sub and Get on the topic"));
    assert_eq!(following.lag(), None);
    cluster.set(|settings| settings.denied_topics = vec!["bill".to_owned()]);
    following.wait_for_alarm("pulling", "no permission to access Topic:bill").await;
    following.wait("pay is followed", |f| !f.alarm("pulling").unwrap_or_default().contains("pay/")).await;
    cluster.set(|settings| settings.denied_topics.clear());
    following.wait("all are followed", |f| f.alarm("pulling").is_none() && f.lag() == Some(0)).await;
    cluster.set(|settings| settings.closed_brokers = true);
    append(&cluster, "order", 0, 3..4);
    following.wait_for_alarm("pulling", "the broker lets nobody read it").await;
    following.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejected_keys_make_the_server_not_ready_and_say_why() {
    let home = tempfile::tempdir().unwrap();
    let acl = Acl { access_key: "reader".to_owned(), secret_key: "secret".to_owned() };
    let cluster = Cluster::start(ClusterSettings { acl: Some(acl), ..settings() }).await;
    cluster.set_queues("order", 1);
    append(&cluster, "order", 0, 0..3);
    let mut config = config(home.path(), &cluster);
    for (access, secret, why) in
        [("reader", "wrong", "check signature failed"), ("nobody", "secret", "User:nobody is not found")]
    {
        config.rocketmq[0].access_key = Some(access.to_owned());
        config.rocketmq[0].secret_key = Some(Secret::new(secret));
        let following = Following::start(&config).await;
        following.wait("a refusal", |f| f.follow.refusal().is_some()).await;
        let answer = following.server.get("/readyz").await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        let problem = answer.json();
        assert!(problem["type"].as_str().unwrap().ends_with("source-refused"), "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(why) && detail.contains("test/broker-a"), "{problem}");
        let status = following.server.get("/api/status").await.json();
        assert_eq!(status["ready"], false, "{status}");
        assert!(status["sources"][0]["problem"].as_str().unwrap().contains(why), "{status}");
        following.stop().await;
    }
    config.rocketmq[0].access_key = Some("reader".to_owned());
    config.rocketmq[0].secret_key = Some(Secret::new("secret"));
    let following = Following::start(&config).await;
    following.wait_for("order", 3).await;
    assert_eq!(following.server.get("/readyz").await.status, 200);
    following.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_by_decades_is_reported_once() {
    let home = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(settings()).await;
    let broker = cluster.brokers()[0].clone();
    cluster.set_queues("order", 1);
    append(&cluster, "order", 0, 0..3);
    let following = Following::start(&config(home.path(), &cluster)).await;
    following.wait_for("order", 3).await;
    let later = 4_102_444_800_000;
    for second in 0..3 {
        let message = Message { store_time: Some(later + second * 1000), ..Message::text("later") };
        cluster.append(&broker, "order", 0, message);
        following.wait_for("order", 4 + second as u64).await;
    }
    let text = following.alarm("clock").unwrap();
    assert!(
        text.contains("/order/0: the message at offset 3 was stored at 2100-01-01T00:00:00+00:00"),
        "{text}"
    );
    assert_eq!(text.matches("was stored at").count(), 1, "{text}");
    // the clock is right again: nothing is missing
    let now = crate::rocketmq_peer::now_ms();
    let message = Message { store_time: Some(now), ..Message::text("now") };
    cluster.append(&broker, "order", 0, message);
    following.wait_for("order", 7).await;
    following.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lag_is_unknown_while_the_broker_is_away() {
    let home = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(settings()).await;
    let broker = cluster.brokers()[0].clone();
    cluster.set_queues("order", 2);
    append(&cluster, "order", 0, 0..5);
    let mut config = config(home.path(), &cluster);
    // metrics are those of the whole process
    config.rocketmq[0].name = Some("lagging".to_owned());
    let following = Following::start(&config).await;
    following.wait_for("order", 5).await;
    following.wait("the lag is known", |f| f.lag() == Some(0)).await;
    let metric = |text: &str| {
        text.lines().any(|line| {
            line.starts_with("mqlake_follow_lag_messages{") && line.contains(r#"source="lagging/broker-a""#)
        })
    };
    assert!(metric(&following.server.get("/metrics").await.text()));
    cluster.stop_broker(&broker).await;
    append(&cluster, "order", 0, 5..9);
    following.wait("the lag is unknown", |f| f.lag().is_none()).await;
    let status = following.server.get("/api/status").await.json();
    let stream = &status["sources"][0]["streams"][0];
    assert_eq!((&stream["lag_messages"], &stream["lag_bytes"]), (&Value::Null, &Value::Null), "{status}");
    let text = following.server.get("/metrics").await.text();
    assert!(!metric(&text), "{text}");
    cluster.start_broker(&broker);
    following.wait_for("order", 9).await;
    following.wait("the lag is known again", |f| f.lag() == Some(0)).await;
    following.stop().await;
}
