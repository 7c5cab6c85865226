//! Tests of the metaserver client against a fake look-up and a fake metaserver.
#![allow(clippy::unwrap_used)]

use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::brokers::qmq::wire::fake;
use crate::brokers::qmq::wire::fake::{PATIENCE, Peer, hex};

const ACQUIRE: &str = "0000001d 0012 dec10ade 0028 0008 00000000 00000000 ffff 0003 626b31 00005191";
const ACQUIRED: &str = "0000002c 0012 dec10ade 0000 0008 00000000 00000001 0028
    0002 6731  000e 31302e302e302e323a3230383832  00000004";
const REGISTER: &str = "00000034 0012 dec10ade 001e 0008 00000001 00000000 ffff
    00000001  0002 6731  000e 31302e302e302e333a3230383831  00000004  00000004";
const REGISTERED: &str = "00000014 0012 dec10ade 0000 0008 00000001 00000001 001e";

fn client(lookup_address: &str) -> Metaserver {
    let endpoint = Url::parse(&format!("http://{lookup_address}/meta/address")).unwrap();
    let timeouts = MetaserverTimeouts { lookup: PATIENCE, connect: PATIENCE, request: PATIENCE };
    Metaserver::new(endpoint, Client::new(), timeouts)
}

/// A client, the listener of its metaserver, and the targets of up to `lookups` look-ups.
async fn cluster(lookups: usize) -> (Metaserver, TcpListener, UnboundedReceiver<String>) {
    let (listener, address) = fake::listen().await;
    let response = fake::ok(format!(" {address}\n").as_bytes());
    let (lookup_address, targets) = fake::http(vec![response; lookups]).await;
    (client(&lookup_address), listener, targets)
}

fn bk1() -> Identity {
    Identity { host: "bk1".into(), port: 20881 }
}

fn g1(role: Role) -> Meta {
    Meta { group: "g1".into(), sync_address: "10.0.0.2:20882".into(), role }
}

/// Acquires against a metaserver that answers with this code and body.
async fn acquire(code: i16, body: &str) -> Result<Meta, PeerError> {
    let (client, listener, _targets) = cluster(1).await;
    let script = async {
        let mut peer = Peer::accept(&listener).await;
        let (header, _) = peer.request().await.unwrap();
        peer.answer(&header, code, &hex(body)).await;
    };
    let identity = bk1();
    tokio::join!(client.acquire(&identity), script).0
}

#[tokio::test]
async fn worked_examples_of_acquire_and_register_on_one_connection() {
    let (client, listener, mut targets) = cluster(1).await;
    let script = async {
        let mut peer = Peer::accept(&listener).await;
        peer.expect(ACQUIRE).await;
        peer.send(&hex(ACQUIRED)).await;
        peer.expect(REGISTER).await;
        peer.send(&hex(REGISTERED)).await;
    };
    let calls = async {
        let meta = client.acquire(&bk1()).await.unwrap();
        assert_eq!(meta, g1(Role::Backup));
        client.register(&meta, "10.0.0.3:20881").await.unwrap();
    };
    tokio::join!(script, calls);
    assert_eq!(targets.recv().await.unwrap(), "/meta/address");
}

#[tokio::test]
async fn other_roles_are_returned_as_they_are() {
    let meta = acquire(0, "0002 6731 0000 00000002").await.unwrap();
    assert_eq!(meta, Meta { group: "g1".into(), sync_address: String::new(), role: Role::Standby });
    let meta = acquire(0, "0002 6731 0003 613a31 00000001").await.unwrap();
    assert_eq!((meta.sync_address.as_str(), meta.role), ("a:1", Role::Slave));
}

#[tokio::test]
async fn an_unknown_role_breaks_the_protocol() {
    let error = acquire(0, "0002 6731 0000 00000009").await.unwrap_err();
    let expected = "answer to BROKER_ACQUIRE_META: unknown role 9";
    assert!(matches!(&error, PeerError::Protocol { reason, .. } if reason == expected), "{error}");
}

#[tokio::test]
async fn an_unknown_identity_is_refused_by_name() {
    let error = acquire(51, "").await.unwrap_err();
    assert!(matches!(error, PeerError::Refused { code: 51, .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("the group of bk1:20881") && text.contains("BROKER_ERROR"), "{text}");
}

#[tokio::test]
async fn a_register_always_claims_the_backup_role() {
    let (client, listener, _targets) = cluster(1).await;
    let script = async {
        let mut peer = Peer::accept(&listener).await;
        for _ in 0..2 {
            let (header, body) = peer.request().await.unwrap();
            let sent = RegisterRequest::decode(&body).unwrap();
            assert_eq!(sent, RegisterRequest::backup_heartbeat("g1", "10.0.0.3:20881"));
            peer.answer(&header, 0, &[]).await;
        }
    };
    let calls = async {
        for role in [Role::Master, Role::DelayMaster] {
            client.register(&g1(role), "10.0.0.3:20881").await.unwrap();
        }
    };
    tokio::join!(script, calls);
}

#[tokio::test]
async fn the_connection_is_kept_until_a_call_fails() {
    let (client, listener, mut targets) = cluster(2).await;
    let meta = g1(Role::Backup);
    let script = async {
        let mut peer = Peer::accept(&listener).await;
        for code in [0, 0, 52] {
            let (header, _) = peer.request().await.unwrap();
            peer.answer(&header, code, &[]).await;
        }
        let mut next = Peer::accept(&listener).await;
        let (header, _) = next.request().await.unwrap();
        next.answer(&header, 0, &[]).await;
        assert!(peer.request().await.is_none());
    };
    let calls = async {
        client.register(&meta, "a:1").await.unwrap();
        client.register(&meta, "a:1").await.unwrap();
        let error = client.register(&meta, "a:1").await.unwrap_err();
        assert!(matches!(error, PeerError::Refused { code: 52, .. }), "{error}");
        client.register(&meta, "a:1").await.unwrap();
    };
    tokio::join!(script, calls);
    assert!(targets.recv().await.is_some() && targets.recv().await.is_some());
}

#[tokio::test]
async fn a_register_answer_with_a_body_breaks_the_protocol() {
    let (client, listener, _targets) = cluster(1).await;
    let meta = g1(Role::Backup);
    let script = async {
        let mut peer = Peer::accept(&listener).await;
        let (header, _) = peer.request().await.unwrap();
        peer.answer(&header, 0, &[1, 2]).await;
    };
    let (found, ()) = tokio::join!(client.register(&meta, "a:1"), script);
    assert!(matches!(found, Err(PeerError::Protocol { .. })));
}

#[tokio::test]
async fn a_look_up_takes_nothing_but_an_address() {
    let bodies = ["", " \n", "no-port", "a:1:2", "<html>:80", "meta.example:20880\r\n"];
    let responses = bodies.iter().map(|body| fake::ok(body.as_bytes())).collect();
    let (address, _targets) = fake::http(responses).await;
    let client = client(&address);
    for body in bodies {
        let found = client.locate().await;
        if body.starts_with("meta") {
            assert_eq!(found.unwrap(), "meta.example:20880");
            continue;
        }
        assert!(matches!(found, Err(PeerError::Http { .. })), "{body:?}");
    }
}

#[tokio::test]
async fn a_look_up_with_another_status_or_too_many_bytes_fails() {
    let long = fake::ok("a".repeat(2000).as_bytes());
    let (address, _targets) =
        fake::http(vec![b"HTTP/1.1 503 x\r\ncontent-length: 3\r\n\r\na:1".to_vec(), long]).await;
    let client = client(&address);
    for expected in ["status 503", "larger than 1024 bytes"] {
        let error = client.locate().await.unwrap_err();
        assert!(matches!(&error, PeerError::Http { reason, .. } if reason.contains(expected)), "{error}");
    }
}

#[tokio::test]
async fn the_http_address_of_a_slave() {
    let (address, mut targets) =
        fake::http(vec![fake::ok(b"10.0.0.2:8080"), fake::ok(b""), fake::ok(b"what")]).await;
    let (http, url) = (Client::new(), Url::parse(&format!("http://{address}/slave/meta?zone=a")).unwrap());
    let found = slave_http_address(&http, &url, "g 1&", PATIENCE).await.unwrap();
    assert_eq!(found.as_deref(), Some("10.0.0.2:8080"));
    assert_eq!(targets.recv().await.unwrap(), "/slave/meta?zone=a&groupName=g+1%26");
    assert_eq!(slave_http_address(&http, &url, "unknown", PATIENCE).await.unwrap(), None);
    let error = slave_http_address(&http, &url, "g", PATIENCE).await.unwrap_err();
    assert!(matches!(error, PeerError::Http { .. }), "{error}");
}
