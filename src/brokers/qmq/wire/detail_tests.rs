//! Tests of the detail fetch: the worked example, incomplete and foreign answers, limits and request texts.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::collection::vec;
use proptest::prelude::*;
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::brokers::qmq::format::payload;
use crate::brokers::qmq::wire::fake;
use crate::brokers::qmq::wire::fake::{PATIENCE, hex};

const LIMITS: DetailLimits = DetailLimits { timeout: PATIENCE, max_bytes: 1 << 20 };
const EXAMPLE: &str = "0000000000000000
    00 0000018bcfe56800 0000018bcfe56990 0005 6f72646572 0002 6d31
    00000025 000e716d715f63726561746554696d65 000d31373030303030303030303030 00016b 000176";

fn message(id: &str) -> Vec<u8> {
    payload::encode(0, 1, 2, "order", id, &["tag"], &[("k", "v")])
}

/// An answer with these messages.
fn body(messages: &[(i64, &str)]) -> Vec<u8> {
    let each = messages.iter().map(|(sequence, id)| [&sequence.to_be_bytes()[..], &message(id)].concat());
    each.collect::<Vec<_>>().concat()
}

async fn ask(address: &str, sequences: &[i64]) -> Result<Vec<(i64, Bytes)>, PeerError> {
    fetch(&Client::new(), address, "order", sequences, &LIMITS).await
}

/// Asks a broker that gives this answer.
async fn answered(bytes: &[u8], sequences: &[i64]) -> Result<Vec<(i64, Bytes)>, PeerError> {
    let (address, _targets) = fake::http(vec![fake::ok(bytes)]).await;
    ask(&address, sequences).await
}

/// The JSON document of the next request.
async fn query(targets: &mut UnboundedReceiver<String>) -> Value {
    let url = Url::parse(&format!("http://host{}", targets.recv().await.unwrap())).unwrap();
    assert_eq!(url.path(), "/api/broker/message");
    let (name, text) = url.query_pairs().next().unwrap();
    assert_eq!(name, "backupQuery");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn worked_example() {
    let (address, mut targets) = fake::http(vec![fake::ok(&hex(EXAMPLE))]).await;
    let found = ask(&address, &[0, 1]).await.unwrap();
    assert_eq!(found, [(0, Bytes::from(hex(EXAMPLE)[8..].to_vec()))]);
    let expected = r#"{"subject":"order","keys":[{"sequence":"0"},{"sequence":"1"}]}"#;
    assert_eq!(query(&mut targets).await, serde_json::from_str::<Value>(expected).unwrap());
}

#[tokio::test]
async fn messages_not_asked_for_or_given_twice_are_dropped() {
    let bytes = body(&[(7, "a"), (9, "foreign"), (8, "b"), (7, "again")]);
    let found = answered(&bytes, &[7, 8, 7, 6]).await.unwrap();
    assert_eq!(found, [(7, message("a").into()), (8, message("b").into())]);
}

#[tokio::test]
async fn nothing_found_is_no_error() {
    assert_eq!(answered(b"", &[1]).await.unwrap(), []);
}

#[tokio::test]
async fn a_truncated_answer_keeps_its_whole_messages() {
    let (first, both) = (body(&[(1, "a")]), body(&[(1, "a"), (2, "b")]));
    for end in first.len()..both.len() {
        let found = answered(&both[..end], &[1, 2]).await.unwrap();
        assert_eq!(found, [(1, message("a").into())], "{end}");
    }
}

#[tokio::test]
async fn a_connection_cut_inside_a_message_keeps_the_whole_ones() {
    let bytes = body(&[(1, "a"), (2, "b")]);
    let mut response = fake::ok(&bytes);
    response.truncate(response.len() - 3);
    let (address, _targets) = fake::http(vec![response]).await;
    assert_eq!(ask(&address, &[1, 2]).await.unwrap(), [(1, message("a").into())]);
}

#[tokio::test]
async fn an_answer_without_any_whole_message_is_an_error() {
    let bytes = body(&[(1, "a")]);
    for (bytes, expected) in [
        (&bytes[..5], "the answer ends inside a sequence"),
        (&bytes[..12], "the message ends inside its create time"),
        (&hex("0000000000000001 00 0000000000000000 0000000000000000 ffff"), "negative length -1"),
    ] {
        let error = answered(bytes, &[1]).await.unwrap_err();
        assert!(matches!(&error, PeerError::Http { reason, .. } if reason.contains(expected)), "{error}");
    }
}

#[tokio::test]
async fn no_more_than_the_limit_is_read() {
    let (first, both) = (body(&[(1, "a")]), body(&[(1, "a"), (2, "b")]));
    let (address, mut targets) = fake::http(vec![fake::ok(&both), fake::ok(&both), fake::ok(&both)]).await;
    let many: Vec<i64> = (1..=250).collect();
    for (max_bytes, whole) in [(first.len() + 3, 1), (first.len() - 1, 0)] {
        let limits = DetailLimits { max_bytes, ..LIMITS };
        let found = fetch(&Client::new(), &address, "order", &many, &limits).await;
        match found {
            Ok(found) => assert_eq!((found.len(), whole), (1, 1)),
            Err(error) => {
                assert_eq!(whole, 0);
                assert!(error.to_string().contains("larger than"), "{error}");
            }
        }
        // One request each: what lies beyond the limit is not asked for.
        query(&mut targets).await;
        assert!(targets.try_recv().is_err());
    }
}

#[tokio::test]
async fn long_lists_are_split() {
    let responses = vec![fake::ok(&body(&[(3, "a")])), fake::ok(&body(&[(101, "b")])), fake::ok(b"")];
    let (address, mut targets) = fake::http(responses).await;
    let found = ask(&address, &(1..=201).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(found, [(3, message("a").into()), (101, message("b").into())]);
    for expected in [100, 100, 1] {
        assert_eq!(query(&mut targets).await["keys"].as_array().unwrap().len(), expected);
    }
}

#[tokio::test]
async fn an_empty_subject_or_list_is_never_sent() {
    let (address, mut targets) = fake::http(vec![fake::ok(b"")]).await;
    assert_eq!(ask(&address, &[]).await.unwrap(), []);
    let error = fetch(&Client::new(), &address, "", &[1], &LIMITS).await.unwrap_err();
    assert!(error.to_string().contains("empty subject"), "{error}");
    assert!(targets.try_recv().is_err());
}

#[tokio::test]
async fn failed_requests_are_errors() {
    let (address, _targets) = fake::http(vec![b"HTTP/1.1 500 x\r\ncontent-length: 0\r\n\r\n".to_vec()]).await;
    let error = ask(&address, &[1]).await.unwrap_err();
    assert!(error.to_string().ends_with("/api/broker/message: status 500 instead of 200"), "{error}");
    assert!(matches!(ask("not an address", &[1]).await, Err(PeerError::Http { .. })));
}

#[test]
fn the_longest_url_of_real_names_stays_below_8_kib() {
    let name = "\u{4e2d}".repeat(100);
    let subject = format!("%DEAD_RETRY%{name}%{name}");
    let base = Url::parse("http://broker.example:8080/api/broker/message").unwrap();
    let url = url_of(&base, &subject, &[i64::MIN; MAX_KEYS]);
    assert!(url.as_str().len() < 7_600, "{}", url.as_str().len());
    let quoted = url_of(&base, "a\"b\\", &[1]);
    let (_, text) = quoted.query_pairs().next().unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["subject"], "a\"b\\");
}

proptest! {
    #[test]
    fn arbitrary_answers_give_only_what_was_asked_for(
        noise in vec(prop_oneof![6 => Just(0), 1 => any::<u8>()], 0..200), good in 0..3_usize,
        end in 0..200_usize,
    ) {
        let mut bytes = body(&[(1, "a"), (2, "b")][..good.min(2)]);
        bytes.extend_from_slice(&noise);
        bytes.truncate(bytes.len().saturating_sub(end % 50));
        let (mut wanted, mut messages) = (HashSet::from([0, 1, 2]), Vec::new());
        let _ = take_messages(&bytes.into(), &mut wanted, &mut messages);
        let total: usize = messages.iter().map(|(_, message)| message.len() + 8).sum();
        prop_assert!(total <= noise.len() + 200 && messages.len() + wanted.len() == 3);
        for (sequence, message) in messages {
            prop_assert!((0..3).contains(&sequence));
            prop_assert_eq!(Payload::decode(&message).unwrap().size, message.len());
        }
    }
}
