//! Pulls: statuses, limits, filters, suspension, retention.

use super::client::{Client, LONG, cluster, fill, next, offsets, pull};
use crate::rocketmq_peer::{Message, TopicConfig};
use std::time::{Duration, Instant};

#[tokio::test]
async fn statuses_of_a_queue() {
    let (cluster, mut client) = cluster().await;
    assert_eq!(next(&client.pull("T", 0, 0).await), (19, 0));
    assert_eq!(next(&client.pull("T", 0, 5).await), (21, 0));
    fill(&cluster, 100..105);
    let found = client.pull("T", 0, 2).await;
    assert_eq!((next(&found), offsets(&found)), ((0, 5), vec![2, 3, 4]));
    assert_eq!((found.number("minOffset"), found.number("maxOffset")), (0, 5));
    assert_eq!(next(&client.pull("T", 0, 5).await), (19, 5));
    assert_eq!(next(&client.pull("T", 0, 6).await), (21, 5));
    assert_eq!(next(&client.pull("T", 0, -1).await), (21, 0));
}

#[tokio::test]
async fn refusals() {
    let (cluster, mut client) = cluster().await;
    assert_eq!(client.pull("none", 0, 0).await.code, 17);
    assert_eq!(client.pull("T", 2, 0).await.code, 29);
    assert_eq!(client.pull("T", -1, 0).await.code, 29);
    assert_eq!(client.ask(pull("T", 0, 0, &[("sysFlag", "0")])).await.code, 24);
    assert_eq!(client.ask(pull("T", 0, 0, &[("subscription", "||")])).await.code, 23);
    assert_eq!(client.ask(pull("T", 0, 0, &[("expressionType", "SQL92")])).await.code, 1);
    cluster.set_topic("broker-a", "T", TopicConfig { perm: 2, ..TopicConfig::new(2) });
    let refused = client.pull("T", 0, 0).await;
    assert_eq!((refused.code, refused.field("nextBeginOffset")), (16, None));
    cluster.set(|settings| settings.create_groups = false);
    assert_eq!(client.ask(pull("T", 0, 0, &[("consumerGroup", "g")])).await.code, 26);
    cluster.set(|settings| settings.create_groups = true);
    assert!(!cluster.groups("broker-a").contains(&"g".to_owned()));
    client.ask(pull("T", 0, 0, &[("consumerGroup", "g")])).await;
    assert!(cluster.groups("broker-a").contains(&"g".to_owned()));
}

#[tokio::test]
async fn answers_are_limited_by_number_and_bytes() {
    let (cluster, mut client) = cluster().await;
    fill(&cluster, 0..40);
    assert_eq!(next(&client.pull("T", 0, 0).await), (0, 32));
    for (most, until) in [("100", 32), ("7", 7), ("0", 1), ("-3", 1)] {
        assert_eq!(next(&client.ask(pull("T", 0, 0, &[("maxMsgNums", most)])).await), (0, until));
    }
    for _ in 0..4 {
        cluster.append("broker-a", "T", 1, Message { body: vec![b'x'; 100_000], ..Message::default() });
    }
    assert_eq!(next(&client.pull("T", 1, 0).await), (0, 2));
    // The first one counts as fitting.
    cluster.set(|settings| settings.batch_bytes = 10);
    assert_eq!(next(&client.pull("T", 1, 2).await), (0, 3));
}

#[tokio::test]
async fn filters_compare_hashes_of_tags() {
    let (cluster, mut client) = cluster().await;
    for tag in ["Aa", "BB", "C", ""] {
        cluster.append("broker-a", "T", 0, Message { tags: tag.to_owned(), ..Message::text("x") });
    }
    let with = |tags: &'static str| pull("T", 0, 0, &[("subscription", tags)]);
    // Aa and BB have the same hash.
    assert_eq!(offsets(&client.ask(with("Aa")).await), [0, 1]);
    assert_eq!(offsets(&client.ask(with(" C || Aa")).await), [0, 1, 2]);
    assert_eq!(offsets(&client.ask(with("")).await), [0, 1, 2, 3]);
    assert_eq!(next(&client.ask(with("D")).await), (20, 4));
    fill(&cluster, (0..1000).map(|time| time + 4_000_000_000_000));
    assert_eq!(next(&client.ask(with("D")).await), (20, 800));
}

#[tokio::test]
async fn a_message_wakes_a_suspended_pull_and_others_pass_it() {
    let (cluster, mut client) = cluster().await;
    let suspended = client.send(pull("T", 0, 0, &[("sysFlag", "6")])).await;
    client.send(crate::rocketmq_peer::Frame::request(30, 0, &[("topic", "T"), ("queueId", "0")], b"")).await;
    assert_ne!(client.receive().await.unwrap().opaque, suspended);
    // Nor does a message of another queue wake it.
    cluster.append("broker-a", "T", 1, Message::text("other"));
    cluster.append("broker-a", "T", 0, Message::text("this"));
    let found = client.receive().await.unwrap();
    assert_eq!((found.opaque, found.code, offsets(&found)), (suspended, 0, vec![0]));
}

#[tokio::test]
async fn a_suspended_pull_ends_in_time() {
    let (cluster, mut client) = cluster().await;
    let wait = |more: &[(&'static str, &'static str)]| {
        pull("T", 0, 0, &[&[("sysFlag", "6"), ("suspendTimeoutMillis", "200")], more].concat())
    };
    let start = Instant::now();
    assert_eq!(next(&client.ask(wait(&[])).await), (19, 0));
    assert!(start.elapsed() >= Duration::from_millis(200));
    // What the filter drops leaves it suspended, but moves its end.
    let start = Instant::now();
    cluster.forget_requests();
    client.send(wait(&[("subscription", "A"), ("suspendTimeoutMillis", "1000")])).await;
    while cluster.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cluster.append("broker-a", "T", 0, Message::text("no tag"));
    assert_eq!(next(&client.receive().await.unwrap()), (20, 1));
    assert!(start.elapsed() >= Duration::from_secs(1));
    // An offset out of range is never suspended.
    let start = Instant::now();
    let request = pull("T", 0, 9, &[("sysFlag", "6")]);
    assert_eq!(next(&client.ask(request).await), (21, 1));
    assert!(start.elapsed() < LONG / 2);
}

#[tokio::test]
async fn a_thousand_pulls_hang_on_one_connection() {
    let (cluster, mut client) = cluster().await;
    for _ in 0..1000 {
        client.send(pull("T", 0, 0, &[("sysFlag", "6")])).await;
    }
    while cluster.requests().len() < 1000 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cluster.append("broker-a", "T", 0, Message::text("all"));
    for _ in 0..1000 {
        assert_eq!(client.receive().await.unwrap().code, 0);
    }
}

#[tokio::test]
async fn retention_makes_a_silent_gap() {
    let (cluster, mut client) = cluster().await;
    let physical = fill(&cluster, 100..110);
    cluster.drop_before("broker-a", physical[4], false);
    let found = client.pull("T", 0, 1).await;
    assert_eq!((next(&found), offsets(&found)), ((0, 10), (4..10).collect()));
    assert_eq!(found.number("minOffset"), 0);
    assert_eq!(client.offset(31, "T", 0, &[]).await, 0);
    assert_eq!(client.call(32, &[("topic", "T"), ("queueId", "0")]).await.number("timestamp"), -1);
    // The search does not count what is gone.
    assert_eq!(client.offset(29, "T", 0, &[("timestamp", "0")]).await, 4);
    cluster.drop_before("broker-a", physical[4], true);
    assert_eq!(next(&client.pull("T", 0, 1).await), (21, 4));
    assert_eq!(client.offset(31, "T", 0, &[]).await, 4);
    assert_eq!(client.call(32, &[("topic", "T"), ("queueId", "0")]).await.number("timestamp"), 104);
    cluster.drop_before("broker-a", i64::MAX, false);
    assert_eq!(next(&client.pull("T", 0, 5).await), (20, 10));
    cluster.drop_before("broker-a", i64::MAX, true);
    assert_eq!(next(&client.pull("T", 0, 5).await), (21, 10));
    assert_eq!(next(&client.pull("T", 0, 10).await), (19, 10));
    assert_eq!(client.offset(31, "T", 0, &[]).await, 10);
}

#[tokio::test]
async fn an_inner_batch_comes_as_a_whole() {
    let (cluster, mut client) = cluster().await;
    let properties =
        vec![("INNER_NUM".to_owned(), "3".to_owned()), ("INNER_BASE".to_owned(), "1".to_owned())];
    fill(&cluster, [100]);
    let batch = Message { properties, sys_flag: 0xC0, store_time: Some(101), ..Message::text("three") };
    assert_eq!(cluster.append("broker-a", "T", 0, batch).0, 1);
    assert_eq!(
        cluster.append("broker-a", "T", 0, Message { store_time: Some(102), ..Message::text("x") }).0,
        4
    );
    let found = client.pull("T", 0, 2).await;
    assert_eq!((next(&found), offsets(&found)), ((0, 5), vec![1, 4]));
    // Half and rolled back messages are not in the queue.
    for flag in [4, 0xC] {
        let (offset, physical) =
            cluster.append("broker-a", "T", 0, Message { sys_flag: flag, ..Message::default() });
        assert_eq!(offset, 0);
        let by_offset = client.call(33, &[("offset", &physical.to_string())]).await;
        assert_eq!(by_offset.code, 0);
    }
    assert_eq!(client.offset(30, "T", 0, &[]).await, 5);
}

#[tokio::test]
async fn hidden_records_come_step_by_step() {
    let (cluster, mut client) = cluster().await;
    fill(&cluster, 0..10);
    cluster.reveal_none();
    assert_eq!(next(&client.pull("T", 0, 0).await), (19, 0));
    cluster.reveal_count("broker-a", 3);
    assert_eq!(offsets(&client.pull("T", 0, 0).await), [0, 1, 2]);
    assert_eq!(client.offset(29, "T", 0, &[("timestamp", "8")]).await, 3);
    // Appended behind what is hidden.
    fill(&cluster, [50]);
    let mut other = Client::broker(&cluster, "broker-a").await;
    other.send(pull("T", 0, 3, &[("sysFlag", "6")])).await;
    cluster.reveal(0.5);
    assert_eq!(cluster.records("broker-a"), (5, 11));
    assert_eq!(offsets(&other.receive().await.unwrap()), [3, 4]);
    cluster.reveal_all();
    assert_eq!(client.offset(30, "T", 0, &[]).await, 11);
}
