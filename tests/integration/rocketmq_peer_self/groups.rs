//! Offsets of groups, what brokers report about themselves, and sends.

use super::client::{Client, cluster, fill, next, pull};
use crate::rocketmq_peer::{Frame, Message, Record};
use serde_json::json;

const G: (&str, &str) = ("consumerGroup", "g");
const T: (&str, &str) = ("topic", "T");
const Q: (&str, &str) = ("queueId", "0");

#[tokio::test]
async fn offsets_of_a_group() {
    let (cluster, mut client) = cluster().await;
    let exact = [G, T, Q, ("setZeroIfNotFound", "false")];
    assert_eq!(client.call(14, &[G, T, Q]).await.code, 22);
    fill(&cluster, 100..105);
    // A young queue looks as if it had an offset.
    assert_eq!(client.call(14, &[G, T, Q]).await.number("offset"), 0);
    assert_eq!(client.call(14, &exact).await.code, 22);
    let commit = [G, T, Q, ("commitOffset", "3")];
    assert_eq!(client.call(15, &commit).await.code, 26);
    cluster.add_group("g");
    assert_eq!(client.call(15, &[G, T, Q]).await.code, 29);
    assert_eq!(client.call(15, &[G, ("topic", "none"), Q, ("commitOffset", "3")]).await.code, 17);
    assert_eq!(client.call(15, &commit).await.code, 0);
    assert_eq!(client.call(14, &exact).await.number("offset"), 3);
    let text = client.text(43, &[]).await;
    assert!(text.ends_with(r#""groupTopicMap":{"g":["T"]},"offsetTable":{"T@g":{0:3}}}"#), "{text}");
    assert_eq!(client.json(300, &[T]).await, json!({"groupList": ["g"]}));
    assert_eq!(client.json(300, &[("topic", "none")]).await, json!({"groupList": []}));
    let stats = client.text(208, &[G]).await;
    let row = |queue, numbers| {
        format!(r#"{{"brokerName":"broker-a","queueId":{queue},"topic":"T"}}:{{{numbers}}}"#)
    };
    let first = r#""brokerOffset":5,"consumerOffset":3,"lastTimestamp":102,"pullOffset":3"#;
    let second = r#""brokerOffset":0,"consumerOffset":0,"lastTimestamp":0,"pullOffset":0"#;
    let table = format!("{},{}", row(0, first), row(1, second));
    assert_eq!(stats, format!(r#"{{"consumeTps":0.0,"offsetTable":{{{table}}}}}"#));
    assert_eq!(client.text(208, &[G, ("topicList", "T;none")]).await, stats);
    assert_eq!(client.text(208, &[G, ("topic", "none")]).await, r#"{"consumeTps":0.0,"offsetTable":{}}"#);
    client.ask(pull("T", 0, 4, &[("consumerGroup", "g"), ("sysFlag", "5"), ("commitOffset", "4")])).await;
    assert_eq!(cluster.consumer_offset("broker-a", "g", "T", 0), Some(4));
    assert!(client.text(45, &[]).await.ends_with(r#""offsetTable":{}}"#));
}

#[tokio::test]
async fn the_broker_resets_offsets() {
    let (cluster, mut client) = cluster().await;
    fill(&cluster, 100..105);
    let group = ("group", "g");
    assert_eq!(client.call(222, &[group, ("topic", "none")]).await.code, 17);
    assert_eq!(client.call(222, &[group, T]).await.code, 26);
    cluster.set_consumer_offset("broker-a", "g", "T", 0, 5);
    let text =
        client.text(222, &[group, T, ("timestamp", "103"), ("isForce", "true"), ("offset", "-1")]).await;
    let key = |queue| format!(r#"{{"brokerName":"broker-a","queueId":{queue},"topic":"T"}}"#);
    assert_eq!(text, format!(r#"{{"offsetTable":{{{}:3,{}:0}}}}"#, key(0), key(1)));
    assert_eq!(cluster.consumer_offset("broker-a", "g", "T", 0), Some(3));
    let ignored = client.call(15, &[G, T, Q, ("commitOffset", "5")]).await;
    assert_eq!((ignored.code, ignored.remark.as_deref()), (0, Some("Offset has been previously reset")));
    assert_eq!(client.call(14, &[G, T, Q]).await.number("offset"), 3);
    // The next pull of the group notices; other groups do not.
    assert_eq!(next(&client.pull("T", 0, 5).await), (19, 5));
    assert_eq!(next(&client.ask(pull("T", 0, 5, &[("consumerGroup", "g")])).await), (21, 3));
    assert_eq!(next(&client.ask(pull("T", 0, 5, &[("consumerGroup", "g")])).await), (19, 5));
    let one = |offset: &'static str| [group, T, Q, ("timestamp", "-1"), ("offset", offset)];
    assert_eq!(client.text(222, &one("2")).await, format!(r#"{{"offsetTable":{{{}:2}}}}"#, key(0)));
    assert_eq!(client.call(222, &one("7")).await.code, 1);
    assert_eq!(client.text(222, &one("-1")).await, format!(r#"{{"offsetTable":{{{}:5}}}}"#, key(0)));
    cluster.set(|settings| settings.server_side_reset = false);
    assert_eq!(client.call(222, &[("group", "h"), T]).await.code, 1);
    cluster.set_consumer_offset("broker-a", "g", "T", 1, 0);
    assert_eq!(client.call(222, &[group, T]).await.code, 206);
}

#[tokio::test]
async fn brokers_tell_about_themselves() {
    let (cluster, mut client) = cluster().await;
    fill(&cluster, [100, 200]);
    let topics = client.json(21, &[]).await;
    assert_eq!(topics["topicConfigTable"]["T"]["readQueueNums"], 2);
    let text = client.text(26, &[]).await;
    assert!(text.lines().any(|line| line == "useServerSideResetOffset=true"), "{text}");
    let table = client.json(28, &[]).await["table"].clone();
    assert_eq!(
        (&table["earliestMessageTimeStamp"], &table["commitLogMinOffset"]),
        (&json!("100"), &json!("0"))
    );
    let groups = client.json(201, &[]).await["subscriptionGroupTable"].clone();
    assert_eq!(groups["TOOLS_CONSUMER"]["groupName"], "TOOLS_CONSUMER");
    let text = client.text(202, &[T]).await;
    let rows = [
        r#"{"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"T"}:"#,
        r#"{"lastUpdateTimestamp":200,"maxOffset":2,"minOffset":0},"#,
        r#"{"brokerName":"broker-a","queueId":1,"topic":"T"}:"#,
        r#"{"lastUpdateTimestamp":0,"maxOffset":0,"minOffset":0}},"topicPutTps":0.0}"#,
    ];
    assert_eq!(text, rows.concat());
    assert_eq!(client.call(202, &[("topic", "none")]).await.code, 17);
    cluster.drop_before("broker-a", i64::MAX, true);
    assert!(client.text(202, &[T]).await.contains(r#""lastUpdateTimestamp":-1,"maxOffset":2,"minOffset":2"#));
}

fn send(topic: &str, queue: &str, more: &[(&str, &str)]) -> Frame {
    let fields = [
        ("a", "p"),
        ("b", topic),
        ("c", "TBW102"),
        ("d", "4"),
        ("e", queue),
        ("f", "0"),
        ("g", "1700000000000"),
        ("h", "7"),
        ("i", "TAGS\u{1}A\u{2}UNIQ_KEY\u{1}U1\u{2}"),
    ];
    Frame::request(310, 0, &[&fields[..], more].concat(), b"sent")
}

#[tokio::test]
async fn sends_are_stored() {
    let (cluster, mut client) = cluster().await;
    cluster.append("broker-a", "T", 1, Message::text("before"));
    let mut other = Client::broker(&cluster, "broker-a").await;
    other.send(pull("T", 1, 1, &[("sysFlag", "6")])).await;
    let sent = client.ask(send("T", "1", &[])).await;
    assert_eq!((sent.code, sent.number("queueId"), sent.number("queueOffset")), (0, 1, 1));
    assert_eq!((sent.field("transactionId"), sent.field("TRACE_ON")), (Some("U1"), Some("true")));
    let record = Record::parse(&other.receive().await.unwrap().body);
    assert_eq!((record.body.as_slice(), record.property("TAGS")), (&b"sent"[..], Some("A")));
    assert_eq!(record.property("CLUSTER"), Some("DefaultCluster"));
    let address = cluster.broker_addr("broker-a");
    assert_eq!(sent.field("msgId"), Some(&*crate::rocketmq_peer::offset_id(address, record.physical)));
    assert_eq!(client.ask(send("T", "2", &[])).await.code, 29);
    assert_eq!(client.ask(send(&"t".repeat(128), "0", &[])).await.code, 29);
    assert_eq!(client.ask(send("new", "-1", &[])).await.code, 0);
    assert_eq!(cluster.topics("broker-a")["new"].read_queues, 4);
    cluster.set(|settings| settings.create_topics = false);
    assert_eq!(client.ask(send("newer", "-1", &[])).await.code, 17);
    let long = "x".repeat(32_767);
    let refused = client.ask(send("T", "0", &[("i", &long)])).await;
    assert_eq!((refused.code, refused.field("MSG_REGION")), (13, Some("DefaultRegion")));
}
