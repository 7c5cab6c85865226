//! Walks arbitrary bytes as frames of the remoting protocol; whole frames encode to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mqlake_fuzz::brokers::qmq::wire::remoting::{Step, encode, step};

const MAX_FRAME: usize = 1 << 16;

fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    while let Step::Frame { header, body, size } = step(rest, MAX_FRAME) {
        assert!(size <= MAX_FRAME && size <= rest.len());
        let mut again = Vec::new();
        encode(&mut again, &header, body);
        assert_eq!(again, rest[..size]);
        rest = &rest[size..];
    }
});
