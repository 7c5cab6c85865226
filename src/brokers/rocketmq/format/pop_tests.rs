//! Tests of pop bookkeeping: bodies as brokers write them, refusals, and noise.
#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

const CHECK_POINT: &str = r#"{"bm":0,"bn":"broker-a","c":"g-grpc","d":[0,2],"it":60000,"n":2,"pt":1795261468023,"q":0,"reviveTime":1795261528023,"ro":0,"so":101,"t":"grpc-orders"}"#;
const ACK: &str =
    r#"{"ao":103,"bn":"broker-a","c":"g-grpc","pt":1795261468023,"q":0,"so":101,"t":"grpc-orders"}"#;

fn grpc_delivery() -> Delivery {
    Delivery {
        topic: "grpc-orders".to_owned(),
        queue_id: 0,
        group: "g-grpc".to_owned(),
        broker: Some("broker-a".to_owned()),
        pop_time_ms: 1_795_261_468_023,
        start_offset: 101,
    }
}

fn check_point(body: &str) -> CheckPoint {
    match decode(TAG_CHECK_POINT, body.as_bytes()).unwrap() {
        PopRecord::CheckPoint(check_point) => check_point,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_check_point() {
    let found = check_point(CHECK_POINT);
    let expected = CheckPoint {
        delivery: grpc_delivery(),
        invisible_ms: 60_000,
        queue_offsets: vec![101, 103],
        acknowledged_bits: 0,
        revive_offset: 0,
    };
    assert_eq!(found, expected);
    assert_eq!(found.revive_time_ms(), 1_795_261_528_023);
}

#[test]
fn an_old_check_point_counts_its_messages() {
    let found = check_point(r#"{"bm":5,"c":"g","it":1,"n":3,"pt":2,"q":1,"ro":9,"so":7,"t":"T"}"#);
    assert_eq!(found.queue_offsets, [7, 8, 9]);
    assert_eq!((found.delivery.broker, found.acknowledged_bits, found.revive_offset), (None, 5, 9));
}

#[test]
fn acknowledgements() {
    let ack = |queue_offsets| Ok(PopRecord::Ack(Ack { delivery: grpc_delivery(), queue_offsets }));
    assert_eq!(decode("ack", ACK.as_bytes()), ack(vec![103]));
    let batch = ACK.replace(r#""ao":103"#, r#""ao":0,"aol":[101,103]"#);
    assert_eq!(decode("bAck", batch.as_bytes()), ack(vec![101, 103]));
}

#[test]
fn what_is_no_bookkeeping_is_refused() {
    assert_eq!(decode("d", CHECK_POINT.as_bytes()), Err(PopError::UnknownTag("d".to_owned())));
    assert!(matches!(decode("ck", b"0,1,"), Err(PopError::Json(_))));
    for (tag, body, field) in [
        ("ck", CHECK_POINT.replace("\"so\"", "\"x\""), "so"),
        ("ck", CHECK_POINT.replace("\"q\":0", "\"q\":2147483648"), "q"),
        ("ck", CHECK_POINT.replace("[0,2]", "[0,true]"), "d"),
        ("ck", CHECK_POINT.replace("[0,2]", "[9223372036854775807]"), "d"),
        ("ck", CHECK_POINT.replace("[0,2],", "[],").replace("\"n\":2", "\"n\":2000000000"), "n"),
        ("ck", CHECK_POINT.replace("\"c\":\"g-grpc\"", "\"c\":1"), "c"),
        ("ack", CHECK_POINT.to_owned(), "ao"),
        ("bAck", ACK.to_owned(), "aol"),
    ] {
        assert_eq!(decode(tag, body.as_bytes()), Err(PopError::Field(field)), "{body}");
    }
}

proptest! {
    #[test]
    fn check_points_round_trip(start in 0..i64::MAX / 2, distances in proptest::collection::vec(0..1_000_000_i64, 1..32)) {
        let body = CHECK_POINT.replace("[0,2]", &format!("{distances:?}")).replace("\"so\":101", &format!("\"so\":{start}"));
        let expected: Vec<i64> = distances.iter().map(|distance| start + distance).collect();
        prop_assert_eq!(check_point(&body).queue_offsets, expected);
    }

    #[test]
    fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..60), cut in 0..CHECK_POINT.len(), byte: u8) {
        let mut near = CHECK_POINT.as_bytes().to_vec();
        if let Some(place) = near.get_mut(cut) {
            *place = byte;
        }
        for tag in [TAG_CHECK_POINT, TAG_ACK, TAG_BATCH_ACK] {
            let _ = decode(tag, &noise);
            let _ = decode(tag, &near);
        }
    }
}
