//! The name server: 105, 106, 206 and 224.

use super::client::{Client, cluster};
use crate::rocketmq_peer::{Frame, TopicConfig};
use serde_json::json;

#[tokio::test]
async fn routes_are_strict_when_the_version_is_new_enough() {
    let (cluster, _) = cluster().await;
    cluster.set_topic("broker-b", "\u{e9}", TopicConfig { write_queues: 1, ..TopicConfig::new(3) });
    let mut client = Client::name_server(&cluster).await;
    let address = cluster.broker_addr("broker-b").to_string();
    let route = client.json(105, &[("topic", "\u{e9}")]).await;
    let expected = json!({
        "brokerDatas": [{"brokerAddrs": {"0": address}, "brokerName": "broker-b", "cluster": "DefaultCluster",
            "enableActingMaster": false}],
        "filterServerTable": {},
        "queueDatas": [{"brokerName": "broker-b", "perm": 6, "readQueueNums": 3, "topicSysFlag": 0,
            "writeQueueNums": 1}],
    });
    assert_eq!(route, expected);
    let loose = format!(r#""brokerAddrs":{{0:"{address}"}}"#);
    let old = Frame { version: 399, ..Frame::request(105, 0, &[("topic", "\u{e9}")], b"") };
    let body = String::from_utf8(client.ask(old.clone()).await.body).unwrap();
    assert!(body.contains(&loose), "{body}");
    let mut switched = old;
    switched.fields.insert("acceptStandardJsonOnly".to_owned(), "true".to_owned());
    assert!(serde_json::from_slice::<serde_json::Value>(&client.ask(switched).await.body).is_ok());
    cluster.set(|settings| settings.old_routes = true);
    assert!(client.text(105, &[("topic", "\u{e9}")]).await.contains(&loose));
    assert_eq!(client.call(105, &[("topic", "none")]).await.code, 17);
    assert_eq!(client.call(105, &[]).await.code, 17);
}

#[tokio::test]
async fn brokers_are_listed_with_bare_numbers() {
    let (cluster, _) = cluster().await;
    let text = Client::name_server(&cluster).await.text(106, &[]).await;
    for broker in cluster.brokers() {
        let row = format!(r#""{broker}":{{"brokerAddrs":{{0:"{}"}}"#, cluster.broker_addr(&broker));
        assert!(text.contains(&row), "{text}");
    }
    assert!(text.ends_with(r#""clusterAddrTable":{"DefaultCluster":["broker-a","broker-b"]}}"#), "{text}");
}

#[tokio::test]
async fn topics_are_listed_unless_that_is_off() {
    let (cluster, _) = cluster().await;
    let mut client = Client::name_server(&cluster).await;
    for (code, fields) in [(206, &[][..]), (224, &[("cluster", "DefaultCluster")])] {
        let topics = client.json(code, fields).await["topicList"].as_array().unwrap().clone();
        for topic in ["T", "TBW102", "broker-a", "broker-b", "DefaultCluster", "DefaultCluster_REPLY_TOPIC"] {
            assert!(topics.contains(&topic.into()), "{topic}");
        }
    }
    assert_eq!(client.json(224, &[("cluster", "none")]).await, json!({"topicList": []}));
    cluster.set(|settings| settings.topic_list = false);
    let answer = client.call(206, &[]).await;
    assert_eq!((answer.code, answer.remark.as_deref()), (1, Some("disable")));
    assert_eq!(client.call(224, &[("cluster", "DefaultCluster")]).await.code, 0);
}
