//! Tests of the client: its connections, signatures, and the typed calls.
#![allow(clippy::indexing_slicing)]

use tokio::net::TcpListener;

use super::*;
use crate::brokers::rocketmq::wire::client::fake::{PATIENCE, Peer, listen, response};
use crate::brokers::rocketmq::wire::client::writes::Writes;
use crate::brokers::rocketmq::wire::requests::{MAX_PULL_WAIT, PullStatus};
use crate::brokers::rocketmq::wire::writes::{ResetTo, SendMessage};

fn client() -> Client {
    Client::new(settings())
}

fn settings() -> ClientSettings {
    ClientSettings { connect_timeout: PATIENCE, request_timeout: PATIENCE, ..ClientSettings::default() }
}

/// Accepts one connection and answers its next requests with these offsets.
async fn serve_offsets(listener: &TcpListener, offsets: &[i64]) -> Peer {
    let mut peer = Peer::accept(listener).await;
    for offset in offsets {
        let request = peer.request().await;
        peer.answer(&with_fields(response(&request, 0, b""), &[("offset", &offset.to_string())])).await;
    }
    peer
}

fn with_fields(command: Command, fields: &[(&str, &str)]) -> Command {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Command { fields, ..command }
}

/// The request that `call` sends, and what it makes of the response that `answer` gives.
async fn exchange<T>(
    call: impl AsyncFnOnce(&Client, &str) -> T,
    answer: impl FnOnce(&Command) -> Command,
) -> (Command, T) {
    let (listener, address) = listen().await;
    let client = client();
    let script = async {
        let mut peer = Peer::accept(&listener).await;
        let request = peer.request().await;
        peer.answer(&answer(&request)).await;
        request
    };
    tokio::join!(script, call(&client, &address))
}

fn answered(body: &str) -> impl FnOnce(&Command) -> Command {
    move |request| response(request, 0, body.as_bytes())
}

#[tokio::test]
async fn an_address_has_one_connection_that_is_made_again_when_it_ended() {
    let (listener, address) = listen().await;
    let client = client();
    let calls = async {
        tokio::join!(
            client.max_offset(&address, "T", 0),
            client.min_offset(&address, "T", 0),
            client.search_offset(&address, "T", 0, 5, Boundary::Lower)
        )
    };
    let (peer, (a, b, c)) = tokio::join!(serve_offsets(&listener, &[1, 2, 3]), calls);
    assert_eq!([a.unwrap(), b.unwrap(), c.unwrap()].iter().sum::<i64>(), 6);
    drop(peer);
    // The client learns of the end by itself.
    let slot = client.slots().get(&address).cloned().unwrap();
    while slot.lock().await.as_ref().is_some_and(|kept| !kept.is_closed()) {
        tokio::task::yield_now().await;
    }
    let (_peer, found) = tokio::join!(serve_offsets(&listener, &[4]), client.max_offset(&address, "T", 0));
    assert_eq!(found.unwrap(), 4);
}

#[tokio::test]
async fn a_silent_connection_is_not_used_again() {
    let (listener, address) = listen().await;
    let client = Client::new(ClientSettings { idle_limit: Duration::ZERO, ..settings() });
    for offset in [7, 8] {
        let offsets = [offset];
        let (mut peer, found) =
            tokio::join!(serve_offsets(&listener, &offsets), client.max_offset(&address, "T", 0));
        assert_eq!(found.unwrap(), offset);
        if offset == 7 {
            assert!(tokio::time::timeout(Duration::from_millis(20), peer.next()).await.is_err());
        }
    }
}

#[tokio::test]
async fn after_a_timeout_and_after_go_away_the_next_call_connects_again() {
    let (listener, address) = listen().await;
    let hasty = Client::new(ClientSettings { request_timeout: Duration::from_secs(1), ..settings() });
    let (mut silent, found) = tokio::join!(serve_offsets(&listener, &[]), hasty.max_offset(&address, "T", 0));
    assert!(matches!(found, Err(RemoteError::Timeout { .. })));
    assert_eq!(silent.request().await.code, 30);
    assert_eq!(silent.next().await, None);

    let script = async {
        let mut leaving = Peer::accept(&listener).await;
        let request = leaving.request().await;
        leaving.answer(&response(&request, 1500, b"")).await;
    };
    let (found, ()) = tokio::join!(hasty.max_offset(&address, "T", 0), script);
    let error = found.unwrap_err();
    assert!(error.is_retryable() && error.code() == Some(1500), "{error}");
    let (_peer, found) = tokio::join!(serve_offsets(&listener, &[9]), hasty.max_offset(&address, "T", 0));
    assert_eq!(found.unwrap(), 9);
}

#[tokio::test]
async fn closing_the_client_fails_who_waits() {
    let (listener, address) = listen().await;
    let client = client();
    let script = async {
        let mut peer = Peer::accept(&listener).await;
        peer.request().await;
        client.close().await;
        assert_eq!(peer.next().await, None);
    };
    let (found, ()) = tokio::join!(client.max_offset(&address, "T", 0), script);
    assert!(matches!(found, Err(RemoteError::Closed { .. })));
}

#[tokio::test]
async fn every_request_is_signed() {
    let (listener, address) = listen().await;
    let credentials = Credentials::new("rocketmq2", "12345678", None).unwrap();
    let settings = ClientSettings { credentials: Some(credentials), ..settings() };
    assert!(!format!("{settings:?}").contains("12345678"));
    let client = Client::new(settings);
    let script = async {
        let mut peer = Peer::accept(&listener).await;
        let request = peer.request().await;
        assert_eq!(request.field("Signature"), Some("WcNHAIxSTdP81yH0rSPg25keg+g="));
        let refusal =
            Command { remark: Some("User:rocketmq2 is not found.".into()), ..response(&request, 16, b"") };
        peer.answer(&refusal).await;
    };
    let (found, ()) = tokio::join!(client.max_offset(&address, "TopicTest", 0), script);
    let error = found.unwrap_err();
    assert!(error.is_permission(), "{error}");
    assert_eq!(error.remark(), Some("User:rocketmq2 is not found."));
}

#[tokio::test]
async fn a_pull_gives_records_or_says_where_to_go_on() {
    let pull = PullRequest {
        topic: "T",
        queue_id: 3,
        offset: 10,
        max_messages: 32,
        tags: None,
        wait: MAX_PULL_WAIT,
    };
    for (code, status, body) in [
        (0, PullStatus::Found, b"records".as_slice()),
        (19, PullStatus::NotFound, b""),
        (20, PullStatus::RetryImmediately, b""),
        (21, PullStatus::OffsetMoved, b""),
    ] {
        let answer = |request: &Command| {
            let fields = [("nextBeginOffset", "12"), ("minOffset", "1"), ("maxOffset", "20")];
            with_fields(response(request, code, b"records"), &fields)
        };
        let (_, found) = exchange(async |client, address| client.pull(address, &pull).await, answer).await;
        let body = Bytes::from_static(body);
        assert_eq!(found.unwrap(), Pull { status, next: 12, min: 1, max: 20, body });
    }
    let (_, found) =
        exchange(async |client, address| client.pull(address, &pull).await, |r| response(r, 17, b"")).await;
    assert!(found.unwrap_err().is_not_found());
    let (_, found) =
        exchange(async |client, address| client.pull(address, &pull).await, |r| response(r, 0, b"")).await;
    let source = AnswerError::Missing("nextBeginOffset");
    assert!(matches!(found, Err(RemoteError::Answer { source: found, .. }) if found == source));
}

#[tokio::test]
async fn no_message_is_no_error() {
    let query =
        QueryMessages { topic: "T", key: "k", max_messages: 64, begin: 0, end: i64::MAX, is_unique: true };
    let ask = async |client: &Client, address: &str| client.query_messages(address, &query).await;
    let (request, found) = exchange(ask, |r| response(r, 22, b"")).await;
    assert_eq!((request.field("_UNIQUE_KEY_QUERY"), found.unwrap().len()), (Some("true"), 0));
    assert_eq!(exchange(ask, answered("records")).await.1.unwrap().as_ref(), b"records");

    let view = async |client: &Client, address: &str| client.view_message(address, 77, None).await;
    let failed = |remark: &str| {
        let remark = Some(remark.to_owned());
        move |r: &Command| Command { remark, ..response(r, 1, b"") }
    };
    for remark in
        ["can not find message by the offset, 77", "java.lang.IllegalArgumentException: newLimit < 0"]
    {
        assert_eq!(exchange(view, failed(remark)).await.1.unwrap(), None);
    }
    let refused = exchange(view, failed("org.apache.rocketmq.acl.common.AclException: x")).await.1;
    assert!(refused.unwrap_err().is_permission());
    assert_eq!(exchange(view, answered("record")).await.1.unwrap().unwrap().as_ref(), b"record");
}

#[tokio::test]
async fn bodies_are_read_by_the_typed_calls() {
    let route =
        r#"{"brokerDatas":[{"brokerAddrs":{0:"h:1"},"brokerName":"b","cluster":"c"}],"queueDatas":[]}"#;
    let (_, found) = exchange(async |c, a| c.topic_route(a, "T").await, answered(route)).await;
    assert_eq!(found.unwrap().brokers[0].master(), Some("h:1"));
    let (_, found) = exchange(async |c, a| c.cluster_info(a).await, answered("{}")).await;
    assert!(found.unwrap().brokers.is_empty());
    let (_, found) = exchange(async |c, a| c.topic_list(a).await, answered(r#"{"topicList":["T"]}"#)).await;
    assert_eq!(found.unwrap(), ["T"]);
    let config = r#"{"topicName":"T","readQueueNums":1,"writeQueueNums":1,"perm":6}"#;
    let (_, found) = exchange(async |c, a| c.topic_config(a, "T").await, answered(config)).await;
    assert_eq!(found.unwrap().name, "T");
    let (_, found) = exchange(async |c, a| c.all_topic_configs(a).await, answered("{}")).await;
    assert!(found.unwrap().is_empty());
    let (_, found) = exchange(async |c, a| c.groups_of_topic(a, "T").await, answered("{}")).await;
    assert!(found.unwrap().is_empty());
    let (_, found) =
        exchange(async |c, a| c.broker_config(a).await, answered("slaveReadEnable=true\n")).await;
    assert_eq!(found.unwrap().get_bool("slaveReadEnable"), Some(true));
    let (_, found) = exchange(async |c, a| c.runtime_info(a).await, answered(r#"{"table":{"a":"1"}}"#)).await;
    assert_eq!(found.unwrap().get_i64("a"), Some(1));
    let (_, found) = exchange(async |c, a| c.group_configs(a).await, answered("{}")).await;
    assert!(found.unwrap().is_empty());
    let (_, found) = exchange(async |c, a| c.all_offsets(a).await, answered("{}")).await;
    assert_eq!(found.unwrap(), AllOffsets::default());
    let (_, found) = exchange(async |c, a| c.consume_stats(a, "g", None).await, answered("{}")).await;
    assert!(found.unwrap().queues.is_empty());
    let (_, found) = exchange(async |c, a| c.topic_stats(a, "T").await, answered("[]")).await;
    assert!(matches!(found, Err(RemoteError::Answer { source: AnswerError::NotAnObject, .. })));
    let time = |r: &Command| with_fields(response(r, 0, b""), &[("timestamp", "-1")]);
    let (_, found) = exchange(async |c, a| c.earliest_store_time(a, "T", 0).await, time).await;
    assert_eq!(found.unwrap(), None);
}

#[tokio::test]
async fn an_operator_can_write() {
    let reset = async |client: &Client, address: &str| {
        Writes::new(client).reset_offset(address, "T", "g", ResetTo::End { force: true }).await
    };
    let table = r#"{"offsetTable":{{"brokerName":"b","queueId":2,"topic":"T"}:7}}"#;
    let (request, found) = exchange(reset, answered(table)).await;
    assert_eq!((request.code, request.field("timestamp")), (222, Some("-1")));
    let (queue, offset) = &found.unwrap()[0];
    assert_eq!((queue.broker.as_str(), queue.queue_id, *offset), ("b", 2, 7));
    assert_eq!(exchange(reset, |r| response(r, 206, b"")).await.1.unwrap_err().code(), Some(206));

    let update = async |client: &Client, address: &str| {
        Writes::new(client).update_offset(address, "T", "g", 2, 7).await
    };
    exchange(update, answered("")).await.1.unwrap();

    let message = SendMessage {
        producer_group: "p",
        topic: "T",
        queue_id: None,
        sys_flag: 0,
        flag: 0,
        born_timestamp: 5,
        properties: "KEYS\u{1}k\u{2}",
        body: Bytes::from_static(b"hello"),
    };
    let send =
        async |client: &Client, address: &str| Writes::new(client).send_message(address, message).await;
    let stored = |r: &Command| {
        with_fields(response(r, 10, b""), &[("msgId", "7F"), ("queueId", "1"), ("queueOffset", "9")])
    };
    let (request, found) = exchange(send, stored).await;
    assert_eq!((request.field("i"), request.body.as_ref()), (Some("KEYS\u{1}k\u{2}"), b"hello".as_slice()));
    let sent = found.unwrap();
    assert_eq!(
        (sent.message_id.as_str(), sent.queue_id, sent.queue_offset, sent.warning),
        ("7F", 1, 9, Some(10))
    );
}
