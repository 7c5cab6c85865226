//! Brokers and topics that come, go and change.

use super::client::{Client, cluster, fill, next, offsets, pull};
use crate::rocketmq_peer::{Cluster, Message, NAME_SERVER};
use serde_json::Value;

async fn route(cluster: &Cluster, topic: &str) -> Value {
    let answer = Client::name_server(cluster).await.call(105, &[("topic", topic)]).await;
    if answer.code == 0 { serde_json::from_slice(&answer.body).unwrap() } else { answer.code.into() }
}

fn brokers(route: &Value) -> Vec<&str> {
    route["brokerDatas"].as_array().unwrap().iter().map(|data| data["brokerName"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn queues_are_added_and_taken_away() {
    let (cluster, mut client) = cluster().await;
    assert_eq!(client.pull("T", 3, 0).await.code, 29);
    cluster.set_queues("T", 4);
    assert_eq!(route(&cluster, "T").await["queueDatas"][1]["readQueueNums"], 4);
    cluster.append("broker-a", "T", 3, Message::text("x"));
    assert_eq!(client.pull("T", 3, 0).await.code, 0);
    cluster.set_queues("T", 1);
    assert_eq!(client.pull("T", 3, 0).await.code, 29);
    assert_eq!(client.call(30, &[("topic", "T"), ("queueId", "3")]).await.code, 0);
}

#[tokio::test]
async fn a_stopped_broker_leaves_the_route() {
    let (cluster, mut client) = cluster().await;
    fill(&cluster, [1]);
    let address = cluster.broker_addr("broker-a");
    client.send(pull("T", 0, 1, &[("sysFlag", "6")])).await;
    cluster.stop_broker("broker-a").await;
    assert!(client.is_closed().await, "suspended pulls are closed, too");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    assert_eq!(brokers(&route(&cluster, "T").await), ["broker-b"]);
    let table = Client::name_server(&cluster).await.text(106, &[]).await;
    assert!(!table.contains("broker-a"), "{table}");
    cluster.start_broker("broker-a");
    assert_eq!(cluster.broker_addr("broker-a"), address);
    assert_eq!(brokers(&route(&cluster, "T").await), ["broker-a", "broker-b"]);
    assert_eq!(offsets(&Client::connect(address).await.pull("T", 0, 0).await), [0]);
    cluster.move_broker("broker-a").await;
    let moved = cluster.broker_addr("broker-a");
    assert_ne!(moved, address);
    assert_eq!(route(&cluster, "T").await["brokerDatas"][0]["brokerAddrs"]["0"], moved.to_string());
    assert_eq!(offsets(&Client::connect(moved).await.pull("T", 0, 0).await), [0]);
}

#[tokio::test]
async fn brokers_are_added() {
    let (cluster, _) = cluster().await;
    cluster.add_broker("broker-c");
    assert_eq!(brokers(&route(&cluster, "T").await), ["broker-a", "broker-b"]);
    cluster.set_queues("new", 1);
    assert_eq!(brokers(&route(&cluster, "new").await), ["broker-a", "broker-b", "broker-c"]);
    cluster.append("broker-c", "new", 0, Message::text("x"));
    assert_eq!(Client::broker(&cluster, "broker-c").await.pull("new", 0, 0).await.code, 0);
}

#[tokio::test]
async fn topics_are_deleted_and_made_again() {
    let (cluster, mut client) = cluster().await;
    fill(&cluster, 0..5);
    cluster.delete_topic_on_broker("broker-a", "T");
    assert_eq!(brokers(&route(&cluster, "T").await), ["broker-a", "broker-b"]);
    assert_eq!(client.pull("T", 0, 0).await.code, 17);
    cluster.delete_topic("T");
    assert_eq!(route(&cluster, "T").await, 17);
    cluster.set_queues("T", 2);
    let physical = fill(&cluster, 10..13);
    assert!(physical[0] > 0, "the commit log goes on");
    assert_eq!(next(&client.pull("T", 0, 5).await), (21, 3));
    cluster.set_consumer_offset("broker-a", "g", "T", 0, 2);
    cluster.recreate_topic("T");
    assert_eq!(next(&client.pull("T", 0, 3).await), (21, 0));
    assert_eq!(cluster.consumer_offset("broker-a", "g", "T", 0), None);
    fill(&cluster, [20]);
    assert_eq!(offsets(&client.pull("T", 0, 0).await), [0]);
}

#[tokio::test]
async fn the_name_server_stops_and_starts() {
    let (cluster, _) = cluster().await;
    let mut client = Client::name_server(&cluster).await;
    client.call(106, &[]).await;
    assert_eq!(cluster.connections(NAME_SERVER), 1);
    cluster.stop_name_server().await;
    assert!(client.is_closed().await);
    assert!(tokio::net::TcpStream::connect(cluster.name_server_addr()).await.is_err());
    cluster.start_name_server();
    let mut client = Client::name_server(&cluster).await;
    assert_eq!(client.call(106, &[]).await.code, 0);
    cluster.drop_connections(NAME_SERVER);
    assert!(client.is_closed().await);
}
