//! Tests of frames and both header types: worked examples, malformed frames, properties.
#![allow(clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;
use crate::brokers::rocketmq::wire::command::{FLAG_RESPONSE, Language};

const JSON_REQUEST: &str = "
    00 00 00 7F 00 00 00 7B 7B 22 63 6F 64 65 22 3A
    31 30 35 2C 22 65 78 74 46 69 65 6C 64 73 22 3A
    7B 22 74 6F 70 69 63 22 3A 22 54 22 7D 2C 22 66
    6C 61 67 22 3A 30 2C 22 6C 61 6E 67 75 61 67 65
    22 3A 22 4A 41 56 41 22 2C 22 6F 70 61 71 75 65
    22 3A 37 2C 22 73 65 72 69 61 6C 69 7A 65 54 79
    70 65 43 75 72 72 65 6E 74 52 50 43 22 3A 22 4A
    53 4F 4E 22 2C 22 76 65 72 73 69 6F 6E 22 3A 34
    37 39 7D";
const COMPACT_REQUEST: &str = "
    00 00 00 25 01 00 00 21 00 69 00 01 DF 00 00 00
    07 00 00 00 00 00 00 00 00 00 00 00 0C 00 05 74
    6F 70 69 63 00 00 00 01 54";
const COMPACT_RESPONSE: &str = "
    00 00 00 1B 01 00 00 17 00 11 00 01 DF 00 00 00
    07 00 00 00 01 00 00 00 02 6E 6F 00 00 00 00";

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

fn route_request() -> Command {
    Command {
        language: Language::Java,
        opaque: 7,
        fields: vec![("topic".into(), "T".into())],
        ..Command::request(105)
    }
}

fn decode_all(bytes: &[u8]) -> Result<Option<Command>, FrameError> {
    decode(&mut BytesMut::from(bytes), DEFAULT_MAX_FRAME)
}

/// A frame around a JSON header.
fn json_frame(header: &str, body: &[u8]) -> Vec<u8> {
    let mut out = ((4 + header.len() + body.len()) as u32).to_be_bytes().to_vec();
    out.extend_from_slice(&(header.len() as u32).to_be_bytes());
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(body);
    out
}

#[test]
fn worked_examples_both_ways() {
    let no = Command {
        code: 17,
        flag: FLAG_RESPONSE,
        remark: Some("no".into()),
        fields: Vec::new(),
        ..route_request()
    };
    for (text, header_type, command) in [
        (JSON_REQUEST, HeaderType::Json, route_request()),
        (COMPACT_REQUEST, HeaderType::Compact, route_request()),
        (COMPACT_RESPONSE, HeaderType::Compact, no),
    ] {
        let bytes = hex(text);
        assert_eq!(encode(&command, header_type, DEFAULT_MAX_FRAME).unwrap(), bytes);
        assert_eq!(decode_all(&bytes).unwrap().unwrap(), command);
    }
}

#[test]
fn an_empty_json_header_has_every_default() {
    let command = decode_all(&json_frame("{}", b"body")).unwrap().unwrap();
    let expected = Command { language: Language::Java, version: 0, ..Command::request(0) };
    assert_eq!(command, Command { body: Bytes::from_static(b"body"), ..expected });
}

#[test]
fn json_headers_are_read_tolerantly() {
    let header = r#"{"code":"11", "extFields":{"a":1,"b":true,"c":null,"a":"\u4e2d"}, "flag":1, "language":"ZIG",
        "opaque":-3, "remark":null, "serializeTypeCurrentRPC":"JSON", "version":479, "later":{"x":[1]}}"#;
    let command = decode_all(&json_frame(header, b"")).unwrap().unwrap();
    assert_eq!((command.code, command.opaque, command.language), (11, -3, Language::Other));
    assert_eq!(
        (command.field("a"), command.field("b"), command.field("c")),
        (Some("中"), Some("true"), None)
    );
    assert_eq!(command.remark, None);
}

#[test]
fn malformed_frames_are_named() {
    let header_error = |header: &str| decode_all(&json_frame(header, b"")).unwrap_err();
    assert_eq!(decode_all(&hex("ffffffff")), Err(FrameError::BadLength(-1)));
    assert_eq!(decode_all(&hex("00000003")), Err(FrameError::BadLength(3)));
    assert_eq!(decode_all(&hex("00000000")), Err(FrameError::BadLength(0)));
    let too_large = FrameError::TooLarge { size: 16_777_217, max_frame: DEFAULT_MAX_FRAME };
    assert_eq!(decode_all(&hex("00fffffd")), Err(too_large));
    assert!(matches!(decode_all(b"GET / HTTP/1.1\r\n\r\n"), Err(FrameError::TooLarge { .. })));
    let too_long = FrameError::HeaderTooLong { header: 3, available: 2 };
    assert_eq!(decode_all(&hex("00000006 00000003")), Err(too_long));
    assert_eq!(decode_all(&hex("00000006 02000002")), Err(FrameError::UnknownHeaderType(2)));
    assert!(matches!(header_error("{"), FrameError::Header(HeaderError::Json(_))));
    assert!(matches!(header_error(""), FrameError::Header(HeaderError::Json(_))));
    assert_eq!(header_error("[]"), HeaderError::NotAnObject.into());
    assert_eq!(header_error(r#"{"code":"x"}"#), HeaderError::BadMember("code").into());
    assert_eq!(header_error(r#"{"opaque":4294967296}"#), HeaderError::BadMember("opaque").into());
    assert_eq!(header_error(r#"{"extFields":[]}"#), HeaderError::BadMember("extFields").into());
}

#[test]
fn malformed_compact_headers_are_named() {
    let compact = |header: &str| {
        let header = hex(header);
        let mut out = (header.len() as u32 + 4).to_be_bytes().to_vec();
        out.extend_from_slice(&(header.len() as u32 | 1 << 24).to_be_bytes());
        out.extend_from_slice(&header);
        decode_all(&out).unwrap_err()
    };
    let start = "0069 00 01df 00000007 00000000";
    assert_eq!(compact("00"), HeaderError::Short("code").into());
    assert_eq!(compact(start), HeaderError::Short("remark").into());
    let negative = |what, length| FrameError::from(HeaderError::NegativeLength { what, length });
    assert_eq!(compact(&format!("{start} ffffffff 00000000")), negative("remark", -1));
    assert_eq!(compact(&format!("{start} 00000009 00000000")), HeaderError::Short("remark").into());
    assert_eq!(compact(&format!("{start} 00000000 00000009")), HeaderError::Short("fields").into());
    assert_eq!(compact(&format!("{start} 00000000 00000002 8000")), negative("field name", -32768));
    assert_eq!(
        compact(&format!("{start} 00000000 00000001 00")),
        HeaderError::Short("field name length").into()
    );
    let value = format!("{start} 00000000 00000008 0001 61 00000002 62");
    assert_eq!(compact(&value), HeaderError::Short("field value").into());
}

#[test]
fn the_limit_counts_the_four_length_bytes() {
    let bytes = hex(JSON_REQUEST);
    let size = bytes.len();
    let too_large = FrameError::TooLarge { size, max_frame: size - 1 };
    assert_eq!(decode(&mut BytesMut::from(&bytes[..4]), size - 1), Err(too_large));
    assert!(decode(&mut BytesMut::from(bytes.as_slice()), size).unwrap().is_some());
    let refused = EncodeError::TooLarge { size, max_frame: size - 1 };
    assert_eq!(encode(&route_request(), HeaderType::Json, size - 1), Err(refused));
    assert!(encode(&route_request(), HeaderType::Json, size).is_ok());
}

#[test]
fn a_compact_header_has_no_place_for_large_codes_and_empty_fields() {
    let pop = Command::request(200_050);
    let encoded = |command: &Command| encode(command, HeaderType::Compact, DEFAULT_MAX_FRAME);
    assert_eq!(encoded(&pop), Err(EncodeError::DoesNotFit("code")));
    assert!(encode(&pop, HeaderType::Json, DEFAULT_MAX_FRAME).is_ok());
    let mut command = route_request();
    let without = encoded(&command).unwrap();
    command.fields.push(("empty".into(), String::new()));
    command.remark = Some(String::new());
    assert_eq!(encoded(&command).unwrap(), without);
    command.fields = vec![("k".repeat(32_768), "v".into())];
    assert_eq!(encoded(&command), Err(EncodeError::DoesNotFit("field name length")));
}

#[test]
fn texts_that_are_not_utf8_are_repaired() {
    let mut bytes = hex(COMPACT_REQUEST);
    *bytes.last_mut().unwrap() = 0xff;
    assert_eq!(decode_all(&bytes).unwrap().unwrap().field("topic"), Some("\u{fffd}"));
}

fn command() -> impl Strategy<Value = Command> {
    let fields = proptest::collection::vec(("\\PC{1,6}", "\\PC{1,12}"), 0..5);
    let numbers = (any::<i16>(), 0..14_u8, any::<i16>(), any::<i32>(), any::<i32>());
    // Below and above the size at which bodies are copied.
    let body = (any::<u8>(), 0..9000_usize).prop_map(|(byte, length)| vec![byte; length]);
    (numbers, proptest::option::of("\\PC{1,12}"), fields, body).prop_map(
        |((code, language, version, opaque, flag), remark, fields, body)| Command {
            code: code.into(),
            language: Language::from_code(language),
            version: version.into(),
            opaque,
            flag,
            remark,
            fields,
            body: body.into(),
        },
    )
}

fn header_type() -> impl Strategy<Value = HeaderType> {
    prop_oneof![Just(HeaderType::Json), Just(HeaderType::Compact)]
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(command in command(), header_type in header_type()) {
        let bytes = encode(&command, header_type, DEFAULT_MAX_FRAME).unwrap();
        prop_assert_eq!(decode_all(&bytes).unwrap(), Some(command));
    }

    #[test]
    fn frames_can_be_split_at_any_byte(
        commands in proptest::collection::vec((command(), header_type()), 1..4),
        piece in 1..40_usize,
    ) {
        let frames = commands.iter().map(|(command, kind)| encode(command, *kind, DEFAULT_MAX_FRAME).unwrap());
        let mut buffer = BytesMut::new();
        let mut found = Vec::new();
        for bytes in frames.collect::<Vec<_>>().concat().chunks(piece) {
            buffer.extend_from_slice(bytes);
            while let Some(command) = decode(&mut buffer, DEFAULT_MAX_FRAME).unwrap() {
                found.push(command);
            }
        }
        prop_assert!(buffer.is_empty());
        prop_assert_eq!(found, commands.into_iter().map(|(command, _)| command).collect::<Vec<_>>());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_all(&bytes);
    }

    #[test]
    fn arbitrary_headers_never_panic(
        compact: bool,
        header in proptest::collection::vec(any::<u8>(), 0..120),
        body in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut bytes = ((4 + header.len() + body.len()) as u32).to_be_bytes().to_vec();
        bytes.extend_from_slice(&(header.len() as u32 | u32::from(compact) << 24).to_be_bytes());
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&body);
        if let Ok(found) = decode_all(&bytes) {
            prop_assert_eq!(found.unwrap().body, body);
        }
    }

    #[test]
    fn damaged_frames_never_panic(
        command in command(),
        header_type in header_type(),
        at: prop::sample::Index,
        byte: u8,
    ) {
        let mut bytes = encode(&command, header_type, DEFAULT_MAX_FRAME).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode_all(&bytes);
    }
}
