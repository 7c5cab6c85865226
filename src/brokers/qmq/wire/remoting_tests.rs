//! Tests of the frame codec: worked examples, each check, and properties over made frames and noise.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::brokers::qmq::format::payload::tests::hex;

const MAX: usize = 1 << 20;

fn header(code: i16, version: i16, opaque: i32, flag: i32, request_code: i16) -> Header {
    Header { code, version, opaque, flag, request_code }
}

/// Every whole frame of the worked examples: the bytes, the header they stand for, the number of body bytes.
fn examples() -> Vec<(&'static str, Header, usize)> {
    vec![
        (
            "00000025 0012 dec10ade 0014 0009 00000002 00000000 0014
             05 ffffffffffffffff ffffffffffffffff",
            header(20, 9, 2, 0, 20),
            17,
        ),
        ("00000014 0012 dec10ade 0033 0009 00000004 00000001 0014", header(51, 9, 4, 1, 20), 0),
        (
            "0000001d 0012 dec10ade 0028 0008 00000000 00000000 ffff 0003 626b31 00005191",
            header(40, 8, 0, 0, -1),
            9,
        ),
        (
            "0000002c 0012 dec10ade 0000 0008 00000000 00000001 0028
             0002 6731  000e 31302e302e302e323a3230383832  00000004",
            header(0, 8, 0, 1, 40),
            24,
        ),
        (
            "00000034 0012 dec10ade 001e 0008 00000001 00000000 ffff
             00000001  0002 6731  000e 31302e302e302e333a3230383831  00000004  00000004",
            header(30, 8, 1, 0, -1),
            32,
        ),
        ("00000014 0012 dec10ade 0000 0008 00000001 00000001 001e", header(0, 8, 1, 1, 30), 0),
        (
            "00000025 0012 dec10ade 0014 0009 00000003 00000000 0014
             03 00000000000001c6 00000000000000d2",
            header(20, 9, 3, 0, 20),
            17,
        ),
        (
            "00000024 0012 dec10ade 0000 0009 00000003 00000001 0014 00000000000001c6 00000000000000d2",
            header(0, 9, 3, 1, 20),
            16,
        ),
        ("00000014 0012 dec10ade 0015 0009 00000006 00000000 0015", header(21, 9, 6, 0, 21), 0),
        (
            "00000058 0012 dec10ade 0000 0009 00000006 00000001 0015
             01
             0000001f 320a3435340a255245545259256f7264657225672f310a6f726465722f310a
             0000001c 330a2d310a6f726465722f310a672f302f322f310a63312f312f310a",
            header(0, 9, 6, 1, 21),
            68,
        ),
        (
            "00000095 0012 dec10ade 0000 0009 00000007 00000001 0014
             00000075 00000000000001c6
             0000000000000000 0000018bcfe56800 0005 6f72646572 0002 6d31
             0000000000000001 0000018bcfe56801 0005 6f72646572 0002 6d32
             0000000000000000 0000018bcfe56802 000e 255245545259256f726465722567 0002 6d33
             0000000000000001 0000018bcfe56803 0005 6f72646572 0002 6d34",
            header(0, 9, 7, 1, 20),
            129,
        ),
        (
            "00000034 0012 dec10ade 0000 0009 00000004 00000001 0014
             00000014 0000000000000071 c3b2a1000000 00000037 0005 6f72646572 0001 67",
            header(0, 9, 4, 1, 20),
            32,
        ),
        (
            "00000020 0012 dec10ade 0000 0009 00000005 00000001 0014 00000000 00000000000000d2",
            header(0, 9, 5, 1, 20),
            12,
        ),
    ]
}

#[test]
fn worked_examples_decode_and_encode_to_the_same_bytes() {
    for (text, expected, body_bytes) in examples() {
        let bytes = hex(text);
        let Step::Frame { header, body, size } = step(&bytes, MAX) else { panic!("no frame in {text}") };
        assert_eq!((header, body.len(), size), (expected, body_bytes, bytes.len()), "{text}");
        assert_eq!(header.is_response(), header.flag == FLAG_RESPONSE);
        let mut again = Vec::new();
        encode(&mut again, &header, body);
        assert_eq!(again, bytes);
    }
}

#[test]
fn a_response_repeats_version_opaque_and_code_of_its_request() {
    let request = header(SYNC_LOG_REQUEST, VERSION_SYNC, 4, FLAG_REQUEST, SYNC_LOG_REQUEST);
    assert_eq!(request.response(BROKER_ERROR), header(51, 9, 4, 1, 20));
    let request = header(BROKER_REGISTER, VERSION_METASERVER, 1, FLAG_REQUEST, REQUEST_CODE_UNSET);
    assert_eq!(request.response(SUCCESS), header(0, 8, 1, 1, 30));
}

#[test]
fn bytes_that_are_no_frame_are_named() {
    for (text, expected) in [
        ("00000014 0012 dec10adf", Invalid::BadMagic { found: 0xdec1_0adf }),
        ("48545450 2f31 2e312034", Invalid::BadMagic { found: 0x2e31_2034 }),
        ("00000014 0013 dec10ade", Invalid::BadHeaderSize(19)),
        ("00000014 ffff dec10ade", Invalid::BadHeaderSize(-1)),
        ("00000013 0012 dec10ade", Invalid::BadLength(19)),
        ("ffffffff 0012 dec10ade", Invalid::BadLength(-1)),
        ("80000000 0012 dec10ade", Invalid::BadLength(i32::MIN)),
        ("7fffffff 0012 dec10ade", Invalid::TooLarge { size: 2_147_483_651, max_frame: MAX }),
    ] {
        assert_eq!(step(&hex(text), MAX), Step::Invalid(expected), "{text}");
    }
}

#[test]
fn the_magic_is_judged_before_the_length() {
    assert_eq!(step(&hex("ffffffff 0000 00000000"), MAX), Step::Invalid(Invalid::BadMagic { found: 0 }));
}

#[test]
fn the_limit_counts_the_whole_frame() {
    let mut bytes = Vec::new();
    encode(&mut bytes, &header(0, 9, 0, 1, 20), &[7; 76]);
    assert!(matches!(step(&bytes, 100), Step::Frame { size: 100, .. }));
    assert_eq!(step(&bytes, 99), Step::Invalid(Invalid::TooLarge { size: 100, max_frame: 99 }));
}

#[test]
fn names_of_codes() {
    assert_eq!(request_name(SYNC_LOG_REQUEST), Some("SYNC_LOG_REQUEST"));
    assert_eq!((request_name(51), result_name(51)), (None, Some("BROKER_ERROR")));
    assert_eq!((result_name(3), result_name(54)), (Some("UNKNOWN_CODE"), None));
}

proptest! {
    #[test]
    fn encoding_then_decoding_is_identity_and_prefixes_are_incomplete(
        code: i16, version: i16, opaque: i32, flag: i32, request_code: i16,
        body in vec(any::<u8>(), 0..60), tail in vec(any::<u8>(), 0..30),
    ) {
        let header = header(code, version, opaque, flag, request_code);
        let mut bytes = Vec::new();
        encode(&mut bytes, &header, &body);
        let size = bytes.len();
        for end in 0..size {
            prop_assert_eq!(step(&bytes[..end], MAX), Step::Incomplete);
        }
        bytes.extend_from_slice(&tail);
        prop_assert_eq!(step(&bytes, MAX), Step::Frame { header, body: &body, size });
    }

    #[test]
    fn arbitrary_bytes_stay_inside_the_buffer(
        length in prop_oneof![-1..100_i32, any::<i32>()], noise in vec(any::<u8>(), 0..80), max in 0..100_usize,
        framed: bool,
    ) {
        let mut bytes = noise.clone();
        if framed {
            bytes = [&length.to_be_bytes()[..], &[0, 18], &MAGIC.to_be_bytes(), &noise].concat();
        }
        if let Step::Frame { body, size, .. } = step(&bytes, max) {
            prop_assert!(size <= bytes.len() && size <= max && size == body.len() + MIN_FRAME_BYTES);
        }
    }
}
