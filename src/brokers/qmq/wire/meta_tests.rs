//! Tests of the metaserver bodies: worked examples, bad bodies, and properties over made bodies and noise.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::brokers::qmq::format::payload::tests::hex;

fn bytes(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    out
}

#[test]
fn worked_example_of_acquire_meta() {
    let (request, answer) =
        (hex("0003 626b31 00005191"), hex("0002 6731 000e 31302e302e302e323a3230383832 00000004"));
    let asked = AcquireRequest { hostname: "bk1".into(), serve_port: 20881 };
    assert_eq!(AcquireRequest::decode(&request), Ok(asked.clone()));
    assert_eq!(bytes(|out| asked.encode(out)), request);
    let answered =
        AcquireAnswer { group: "g1".into(), sync_address: "10.0.0.2:20882".into(), role: Role::Backup };
    assert_eq!(AcquireAnswer::decode(&answer), Ok(answered.clone()));
    assert_eq!(bytes(|out| answered.encode(out)), answer);
}

#[test]
fn worked_example_of_register() {
    let request = hex("00000001 0002 6731 000e 31302e302e302e333a3230383831 00000004 00000004");
    let sent = RegisterRequest::backup_heartbeat("g1", "10.0.0.3:20881");
    assert_eq!((sent.role.as_i32(), sent.state.as_i32(), sent.register_type.as_i32()), (4, 4, 1));
    assert_eq!(bytes(|out| sent.encode(out)), request);
    assert_eq!(RegisterRequest::decode(&request), Ok(sent));
    assert_eq!(RegisterAnswer::decode(&RegisterAnswer.encode()), Ok(RegisterAnswer));
    assert_eq!(RegisterAnswer::decode(&[0]), Err(MetaError::LeftOver(1)));
}

#[test]
fn codes_round_trip_and_nothing_else_is_known() {
    for code in -9..=99 {
        let found = (Role::from_i32(code), State::from_i32(code), RegisterType::from_i32(code));
        assert_eq!(found.0.map(Role::as_i32), (0..=7).contains(&code).then_some(code));
        assert_eq!(found.1.map(State::as_i32), (1..=4).contains(&code).then_some(code));
        assert_eq!(found.2.map(RegisterType::as_i32), (0..=2).contains(&code).then_some(code));
    }
    assert_eq!(Role::Backup.name(), "BACKUP");
    assert_eq!(Role::from_i32(5).map(Role::name), Some("DELAY_MASTER"));
}

#[test]
fn an_answer_without_sync_address_is_an_answer() {
    let found = AcquireAnswer::decode(&hex("0002 6731 0000 00000002")).unwrap();
    assert_eq!((found.sync_address.as_str(), found.role), ("", Role::Standby));
}

#[test]
fn bad_answers_are_named() {
    for (text, expected) in [
        ("", MetaError::Truncated("group")),
        ("0002 67", MetaError::Truncated("group")),
        ("ffff", MetaError::NegativeLength { field: "group", length: -1 }),
        ("0002 6731 8000", MetaError::NegativeLength { field: "sync address", length: i16::MIN }),
        ("0002 6731 0000 000000", MetaError::Truncated("role")),
        ("0002 6731 0000 00000008", MetaError::UnknownCode { field: "role", code: 8 }),
        ("0002 6731 0000 ffffffff", MetaError::UnknownCode { field: "role", code: -1 }),
        ("0002 6731 0000 00000004 00", MetaError::LeftOver(1)),
    ] {
        assert_eq!(AcquireAnswer::decode(&hex(text)), Err(expected), "{text}");
    }
    assert_eq!(AcquireAnswer::decode(&hex("0001 ff 0000 00000004")).unwrap().group, "\u{fffd}");
}

#[test]
fn register_requests_with_unknown_codes_are_named() {
    for (text, field, code) in [
        ("00000003 0000 0000 00000004 00000004", "register type", 3),
        ("00000001 0000 0000 00000009 00000004", "role", 9),
        ("00000001 0000 0000 00000004 00000000", "state", 0),
    ] {
        assert_eq!(RegisterRequest::decode(&hex(text)), Err(MetaError::UnknownCode { field, code }));
    }
}

proptest! {
    #[test]
    fn encoding_then_decoding_is_identity_and_prefixes_are_truncated(
        first: String, second: String, port: i32, role in 0..8_i32, state in 1..5_i32, register_type in 0..3_i32,
    ) {
        let request = AcquireRequest { hostname: first.clone(), serve_port: port };
        let encoded = bytes(|out| request.encode(out));
        prop_assert_eq!(AcquireRequest::decode(&encoded), Ok(request));
        let role = Role::from_i32(role).unwrap();
        let answer = AcquireAnswer { group: first.clone(), sync_address: second.clone(), role };
        let encoded = bytes(|out| answer.encode(out));
        for end in 0..encoded.len() {
            prop_assert!(matches!(AcquireAnswer::decode(&encoded[..end]), Err(MetaError::Truncated(_))));
        }
        prop_assert_eq!(AcquireAnswer::decode(&encoded), Ok(answer));
        let state = State::from_i32(state).unwrap();
        let register_type = RegisterType::from_i32(register_type).unwrap();
        let request = RegisterRequest { register_type, group: first, address: second, role, state };
        let encoded = bytes(|out| request.encode(out));
        prop_assert_eq!(RegisterRequest::decode(&encoded), Ok(request));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(prop_oneof![3 => 0..8_u8, 1 => any::<u8>()], 0..60)) {
        let _ = (AcquireRequest::decode(&bytes), AcquireAnswer::decode(&bytes));
        let _ = (RegisterRequest::decode(&bytes), RegisterAnswer::decode(&bytes));
    }
}
