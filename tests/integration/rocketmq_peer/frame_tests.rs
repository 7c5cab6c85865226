//! RocketMQ remoting: frame, worked examples.

use super::*;

const JSON: &str = concat!(
    "0000007F0000007B7B22636F6465223A3130352C226578744669656C6473223A",
    "7B22746F706963223A2254227D2C22666C6167223A302C226C616E6775616765",
    "223A224A415641222C226F7061717565223A372C2273657269616C697A655479",
    "706543757272656E74525043223A224A534F4E222C2276657273696F6E223A34",
    "37397D",
);
const COMPACT: &str =
    concat!("000000250100002100690001DF0000000700000000000000000000000C000574", "6F7069630000000154",);
const COMPACT_RESPONSE: &str = "0000001B0100001700110001DF0000000700000001000000026E6F00000000";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn request(header: HeaderType) -> Frame {
    let request = Frame::request(105, 7, &[("topic", "T")], b"");
    Frame { language: "JAVA".to_owned(), header, ..request }
}

#[test]
fn writes_the_examples() {
    assert_eq!(hex(&request(HeaderType::Json).encode()), JSON);
    assert_eq!(hex(&request(HeaderType::Compact).encode()), COMPACT);
}

#[test]
fn reads_the_examples() {
    assert_eq!(decode(&unhex(JSON)[4..]).unwrap(), request(HeaderType::Json));
    assert_eq!(decode(&unhex(COMPACT)[4..]).unwrap(), request(HeaderType::Compact));
    let response = decode(&unhex(COMPACT_RESPONSE)[4..]).unwrap();
    assert_eq!((response.code, response.opaque, response.is_response()), (17, 7, true));
    assert_eq!(response.remark.as_deref(), Some("no"));
    assert_eq!(hex(&response.encode()), COMPACT_RESPONSE);
}

#[test]
fn refuses_malformed_frames() {
    let frame = |word: u32, header: &[u8]| decode(&[&word.to_be_bytes(), header].concat());
    assert!(frame(5, b"{}").is_err(), "header longer than the frame");
    assert!(frame(2 | 2 << 24, b"{}").is_err(), "unknown header type");
    assert!(frame(2, b"[]").is_err(), "no JSON object");
    assert!(frame(20, br#"{"extFields":{"a":1}}"#).is_err(), "a number as field");
    assert!(frame(3 | 1 << 24, b"abc").is_err(), "a short compact header");
    assert_eq!(frame(2, b"{}").unwrap().code, 0);
}
