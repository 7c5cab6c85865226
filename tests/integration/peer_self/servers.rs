//! The metaserver and the detail server.

use super::support::*;
use crate::peer::{Peer, PeerSettings, Register, frame};
use std::time::Duration;

fn acquire(hostname: &str, port: i32) -> Vec<u8> {
    let mut body = (hostname.len() as u16).to_be_bytes().to_vec();
    body.extend_from_slice(hostname.as_bytes());
    body.extend_from_slice(&port.to_be_bytes());
    frame::request(40, 8, 3, &body)
}

fn acquired(group: &str, master: &str, role: i32) -> Vec<u8> {
    let mut body = Vec::new();
    for text in [group, master] {
        body.extend_from_slice(&(text.len() as u16).to_be_bytes());
        body.extend_from_slice(text.as_bytes());
    }
    body.extend_from_slice(&role.to_be_bytes());
    body
}

async fn two_groups() -> Peer {
    let groups = ["g1", "g2"].map(|name| two_segments(name, 100).0);
    let settings = PeerSettings { hostname: Some("bk1".into()), ..PeerSettings::default() };
    Peer::start(groups.into(), settings).await
}

#[tokio::test]
async fn discovery_over_http() {
    let peer = two_groups().await;
    let url = peer.meta_url();
    let address =
        url.strip_prefix("http://").unwrap().strip_suffix("/meta/address").unwrap().parse().unwrap();
    let text = |addr: std::net::SocketAddr| (200, addr.to_string().into_bytes());
    assert_eq!(get(address, "/meta/address").await, text(peer.meta_tcp_addr()));
    assert!(peer.slave_meta_url().starts_with(&format!("http://{address}/")));
    assert_eq!(get(address, "/slave/meta?groupName=g2").await, text(peer.detail_addr("g2")));
    for missing in ["/slave/meta?groupName=none", "/slave/meta"] {
        assert_eq!(get(address, missing).await, (200, Vec::new()));
    }
    peer.set(|settings| settings.slave_http = false);
    assert_eq!(get(address, "/slave/meta?groupName=g2").await, (200, Vec::new()));
    assert_eq!(peer.counters("g2").slave_lookups, 2);
}

#[tokio::test]
async fn acquire_meta_knows_each_group_by_its_identity() {
    let peer = two_groups().await;
    let mut client = Client::connect(peer.meta_tcp_addr()).await;
    let first = "0000001d 0012 dec10ade 0028 0008 00000000 00000000 ffff 0003 626b31 00005191";
    let raw = client.call_raw(&hex(first)).await;
    assert_eq!(raw[4..24], hex("0012 dec10ade 0000 0008 00000000 00000001 0028"));
    assert_eq!(raw[24..], acquired("g1", &peer.sync_addr("g1").to_string(), 4));
    let (hostname, port) = peer.identity("g2");
    assert_eq!((hostname.as_str(), port), ("bk1", 20_882));
    let raw = client.call_raw(&acquire("bk1", 20_882)).await;
    assert_eq!(raw[24..], acquired("g2", &peer.sync_addr("g2").to_string(), 4));
    peer.set(|settings| settings.role = 2);
    assert_eq!(client.call_raw(&acquire("bk1", 20_882)).await[24..], acquired("g2", "", 2));
    let refused = hex("00000014 0012 dec10ade 0033 0008 00000003 00000001 0028");
    for (hostname, port) in [("bk2", 20_881), ("bk1", 20_883), ("", 0)] {
        assert_eq!(client.call_raw(&acquire(hostname, port)).await, refused);
    }
    peer.set(|settings| settings.has_slave = false);
    assert_eq!(client.call_raw(&acquire("bk1", 20_881)).await, refused);
    assert_eq!((peer.counters("g1").acquires, peer.counters("g2").acquires), (1, 2));
}

#[tokio::test]
async fn register_is_counted() {
    let peer = two_groups().await;
    let mut client = Client::connect(peer.meta_tcp_addr()).await;
    let request = "00000034 0012 dec10ade 001e 0008 00000001 00000000 ffff 00000001
        0002 6731 000e 31302e302e302e333a3230383831 00000004 00000004";
    let response = "00000014 0012 dec10ade 0000 0008 00000001 00000001 001e";
    assert_eq!(client.call_raw(&hex(request)).await, hex(response));
    let address = "10.0.0.3:20881".to_owned();
    let expected = Register { request_type: 1, address, role: 4, state: 4 };
    assert_eq!(peer.counters("g1").last_register, Some(expected));
    assert_eq!((peer.counters("g1").registers, peer.counters("g2").registers), (1, 0));
}

#[tokio::test]
async fn details_come_in_request_order_and_missing_ones_are_left_out() {
    let peer =
        example_peer(PeerSettings { hang: Duration::from_millis(20), ..PeerSettings::default() }).await;
    let address = peer.detail_addr("g1");
    let ask =
        async |json: &str| get(address, &format!("/api/broker/message?backupQuery={}", encoded(json))).await;
    let payloads = example_payloads();
    let part = |sequence: i64, payload: &[u8]| [&sequence.to_be_bytes()[..], payload].concat();
    let both = [part(1, &payloads[1]), part(0, &payloads[0])].concat();
    let keys =
        r#"{"subject":"order","keys":[{"sequence":"1"},{"sequence":9},{"sequence":-1},{"sequence":0}]}"#;
    assert_eq!(ask(keys).await, (200, both));
    // Made by the broker: found under the subject of the record header.
    let retry = ask(r#"{"subject":"%RETRY%order%g","keys":[{"sequence":1}]}"#).await;
    assert_eq!(retry, (200, part(1, &payloads[3])));
    for nothing in
        ["", "no json", r#"{"subject":"none","keys":[{"sequence":1}]}"#, r#"{"subject":"order","keys":[]}"#]
    {
        assert_eq!(ask(nothing).await, (200, Vec::new()), "{nothing}");
    }
    for dying in [r#"{"subject":"order"}"#, r#"{"keys":[]}"#, r#"{"subject":"","keys":[]}"#] {
        assert_eq!(ask(dying).await.0, 500, "{dying}");
    }
    peer.reveal_none();
    assert_eq!(ask(keys).await, (200, Vec::new()));
    peer.reveal_all();
    peer.set_minimum("g1", 109, 0);
    assert_eq!(ask(keys).await, (200, part(1, &payloads[1])));
    peer.set(|settings| settings.detail_status = Some(503));
    assert_eq!(ask(keys).await, (503, Vec::new()));
}

#[tokio::test]
async fn details_are_chunked_and_the_connection_is_kept() {
    let peer = example_peer(PeerSettings::default()).await;
    let mut client = Client::connect(peer.detail_addr("g1")).await;
    let query = encoded(r#"{"subject":"order","keys":[{"sequence":0}]}"#);
    let request =
        |close| format!("GET /api/broker/message?backupQuery={query} HTTP/1.1\r\nHost: x\r\n{close}\r\n");
    client.write((request("") + &request("Connection: close\r\n")).as_bytes()).await;
    let raw = client.rest().await;
    let text = String::from_utf8_lossy(&raw).into_owned();
    assert_eq!(text.matches("HTTP/1.1 200").count(), 2);
    assert_eq!(text.matches("Transfer-Encoding: chunked\r\n\r\n4d\r\n").count(), 1);
    assert_eq!(text.matches("\r\n0\r\n\r\nHTTP").count(), 1);
    assert!(raw.ends_with(&example_payloads()[0]));
}
