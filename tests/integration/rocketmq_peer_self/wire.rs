//! Frames: both header types, malformed ones, one-way requests, the idle time, signatures.

use super::client::{Client, LONG, cluster};
use crate::rocketmq_peer::{Acl, Frame, HeaderType};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn a_server_answers_in_its_own_header_type() {
    let (cluster, mut client) = cluster().await;
    for (asked, answered) in [
        (HeaderType::Json, HeaderType::Compact),
        (HeaderType::Compact, HeaderType::Compact),
        (HeaderType::Compact, HeaderType::Json),
    ] {
        client.header = asked;
        cluster.set(|settings| settings.header = answered);
        let answer = client.call(30, &[("topic", "T"), ("queueId", "0")]).await;
        assert_eq!((answer.code, answer.header, answer.number("offset")), (0, answered, 0));
    }
}

#[tokio::test]
async fn malformed_frames_close_the_connection() {
    let (cluster, _) = cluster().await;
    let bad: [&[u8]; 7] = [
        &[0x7F, 0xFF, 0xFF, 0xFF],
        &[0, 0, 0, 3],
        &[0, 0, 0, 6, 0, 0, 0, 3, b'{', b'}'],
        &[0, 0, 0, 6, 2, 0, 0, 2, b'{', b'}'],
        &[0, 0, 0, 6, 0, 0, 0, 2, b'{', b'{'],
        &[0, 0, 0, 6, 1, 0, 0, 2, 0, 0],
        b"GET / HTTP/1.1\r\n\r\n",
    ];
    for bytes in bad {
        let mut client = Client::broker(&cluster, "broker-a").await;
        client.stream.write_all(bytes).await.unwrap();
        assert!(client.is_closed().await, "{bytes:?}");
    }
}

#[tokio::test]
async fn an_empty_header_and_unknown_codes_are_not_supported() {
    let (cluster, mut client) = cluster().await;
    for code in [34, 35, 41, 105, 352, 20_000] {
        assert_eq!(client.call(code, &[]).await.code, 3);
    }
    assert_eq!(Client::name_server(&cluster).await.call(11, &[]).await.code, 3);
    client.stream.write_all(&[0, 0, 0, 6, 0, 0, 0, 2, b'{', b'}']).await.unwrap();
    assert_eq!(client.receive().await.unwrap().code, 3);
}

#[tokio::test]
async fn missing_and_wrong_fields_are_system_errors() {
    let (_cluster, mut client) = cluster().await;
    let answer = client.call(30, &[("topic", "T")]).await;
    assert_eq!(answer.code, 1);
    assert!(answer.remark.unwrap().contains("NullPointerException"));
    assert_eq!(client.call(30, &[("topic", "T"), ("queueId", "x")]).await.code, 1);
    assert_eq!(client.call(12, &[("topic", "T")]).await.code, 22);
}

#[tokio::test]
async fn one_way_requests_are_executed_and_not_answered() {
    let (cluster, mut client) = cluster().await;
    cluster.add_group("g");
    let fields = [("consumerGroup", "g"), ("topic", "T"), ("queueId", "0"), ("commitOffset", "5")];
    client.send(Frame { flag: 2, ..Frame::request(15, 0, &fields, b"") }).await;
    // The next answer is that of the next request.
    assert_eq!(client.call(31, &[("topic", "T"), ("queueId", "0")]).await.number("offset"), 0);
    tokio::time::timeout(LONG, async {
        while cluster.consumer_offset("broker-a", "g", "T", 0) != Some(5) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let (cluster, _) = cluster().await;
    cluster.set(|settings| settings.idle = Duration::from_secs(1));
    let mut client = Client::broker(&cluster, "broker-a").await;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        client.call(31, &[("topic", "T"), ("queueId", "0")]).await;
    }
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn brokers_check_signatures_and_the_name_server_does_not() {
    let (cluster, mut client) = cluster().await;
    let acl = Acl { access_key: "reader".to_owned(), secret_key: "secret".to_owned() };
    cluster.set(|settings| settings.acl = Some(acl.clone()));
    let request = |fields: &[(&str, &str)]| {
        Frame::request(30, 0, &[&[("topic", "T"), ("queueId", "0")], fields].concat(), b"")
    };
    let signed = |mut request: Frame| {
        let signature = acl.signature(&request);
        request.fields.insert("Signature".to_owned(), signature);
        request
    };
    let key = ("AccessKey", "reader");
    let refused = [
        (request(&[]), "username cannot be null."),
        (signed(request(&[("AccessKey", "other")])), "User:other is not found."),
        (request(&[key]), "check signature failed."),
        (request(&[key, ("Signature", "AAAA")]), "check signature failed."),
        // Authentication comes before anything else.
        (Frame::request(20_000, 0, &[], b""), "username cannot be null."),
    ];
    for (request, remark) in refused {
        let answer = client.ask(request).await;
        assert_eq!((answer.code, answer.remark.as_deref()), (16, Some(remark)));
    }
    for header in [HeaderType::Json, HeaderType::Compact] {
        client.header = header;
        assert_eq!(client.ask(signed(request(&[key]))).await.code, 0);
        assert_eq!(client.ask(signed(request(&[key, ("SecurityToken", "t"), ("bname", "x")]))).await.code, 0);
    }
    client.header = HeaderType::Json;
    // Old versions leave the mark of unique key queries out.
    let mark = [key, ("_UNIQUE_KEY_QUERY", "true")];
    let old = signed(Frame { version: 399, ..request(&mark) });
    assert_eq!(client.ask(old.clone()).await.code, 0);
    assert_eq!(client.ask(Frame { version: 400, ..old }).await.code, 16);
    assert_eq!(client.ask(signed(request(&mark))).await.code, 0);
    assert_eq!(Client::name_server(&cluster).await.call(105, &[("topic", "T")]).await.code, 0);
}

#[tokio::test]
async fn all_requests_are_noted() {
    let (cluster, mut client) = cluster().await;
    client.pull("T", 0, 0).await;
    Client::name_server(&cluster).await.call(106, &[]).await;
    cluster.assert_read_only();
    let asked = cluster.requests();
    let codes: Vec<_> = asked.iter().map(|asked| (asked.server.as_str(), asked.code)).collect();
    assert_eq!(codes, [("broker-a", 11), ("name server", 106)]);
    assert_eq!(asked[0].fields["consumerGroup"], "TOOLS_CONSUMER");
    for impure in [
        super::client::pull("T", 0, 0, &[("consumerGroup", "g")]),
        super::client::pull("T", 0, 0, &[("sysFlag", "5")]),
        Frame::request(15, 0, &[], b""),
        Frame::request(34, 0, &[], b""),
    ] {
        cluster.forget_requests();
        client.ask(impure).await;
        assert!(!cluster.requests()[0].is_read_only());
    }
}
