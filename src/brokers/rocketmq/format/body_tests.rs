//! Tests of bodies: worked examples, each state, the limit, and properties over every compression.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::Write;

use flate2::Compression as Level;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use proptest::prelude::*;

use super::*;
use crate::brokers::rocketmq::format::record::tests::hex;

const ZLIB: SysFlag = SysFlag(0x301);
const ZLIB_OLD: SysFlag = SysFlag(0x1);
const LZ4: SysFlag = SysFlag(0x101);
const ZSTD: SysFlag = SysFlag(0x201);

fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Level::new(5));
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn lz4(plain: &[u8], info: FrameInfo) -> Vec<u8> {
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 3).unwrap()
}

/// Body and size, which must agree.
fn decode(flag: SysFlag, stored: &[u8], limit: usize) -> (Vec<u8>, BodyState) {
    let mut decompressor = Decompressor::new();
    let body = decompressor.body(flag, stored, limit);
    let size = decompressor.size(flag, stored, limit);
    assert_eq!(size, BodySize { bytes: body.bytes.len(), state: body.state });
    (body.bytes.into_owned(), body.state)
}

#[test]
fn worked_examples() {
    let a = (vec![b'a'; 100], BodyState::Decompressed);
    let stored = hex("785e4b4ca43d00007a4725e5");
    assert_eq!(decode(ZLIB, &stored, MAX_BODY_BYTES), a);
    assert_eq!(decode(ZLIB_OLD, &stored, MAX_BODY_BYTES), a);
    let hello = (b"hello".to_vec(), BodyState::Decompressed);
    assert_eq!(decode(LZ4, &hex("04224d18 60 70 73 05000080 68656c6c6f 00000000"), 100), hello);
    assert_eq!(decode(ZSTD, &hex("28b52ffd 20 05 290000 68656c6c6f"), 100), hello);
}

#[test]
fn what_is_not_compressed_is_as_stored() {
    assert_eq!(decode(SysFlag(0x300), b"hello", 1), (b"hello".to_vec(), BodyState::Plain));
    for flag in [ZLIB, LZ4, ZSTD, SysFlag(0x701)] {
        assert_eq!(decode(flag, b"", 100), (Vec::new(), BodyState::Plain));
    }
    let mut decompressor = Decompressor::new();
    assert!(matches!(decompressor.body(SysFlag(0), b"hello", 1).bytes, Cow::Borrowed(b"hello")));
}

#[test]
fn what_no_decoder_takes_is_as_stored() {
    for flag in [ZLIB, LZ4, ZSTD, SysFlag(0x401)] {
        for stored in [b"hello".as_slice(), &[0], &[0x78], &[4, 0x22, 0x4D, 0x18], &[0x28, 0xB5, 0x2F, 0xFD]]
        {
            assert_eq!(decode(flag, stored, 100), (stored.to_vec(), BodyState::Undecodable));
        }
    }
    // an unknown compression is not guessed
    assert_eq!(decode(SysFlag(0x401), &zlib(b"a"), 100), (zlib(b"a"), BodyState::Undecodable));
}

#[test]
fn a_wrong_compression_type_is_seen_from_the_magic() {
    let streams = [zlib(b"hello"), lz4(b"hello", FrameInfo::new()), zstd(b"hello")];
    for (flag, own) in [(ZLIB, 0), (LZ4, 1), (ZSTD, 2)] {
        for (at, stream) in streams.iter().enumerate() {
            let state = if at == own { BodyState::Decompressed } else { BodyState::Guessed };
            assert_eq!(decode(flag, stream, 100), (b"hello".to_vec(), state));
        }
    }
}

#[test]
fn the_limit_holds() {
    let plain = vec![b'x'; 2 << 20];
    for (flag, stored) in [
        (ZLIB, zlib(&plain)),
        (LZ4, lz4(&plain, FrameInfo::new())),
        (ZSTD, zstd(&plain)),
        (LZ4, zstd(&plain)),
    ] {
        for limit in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, plain.len() - 1] {
            assert_eq!(decode(flag, &stored, limit), (plain[..limit].to_vec(), BodyState::Truncated));
        }
        let (body, state) = decode(flag, &stored, plain.len());
        assert_eq!(body.len(), plain.len());
        assert!(matches!(state, BodyState::Decompressed | BodyState::Guessed));
    }
}

#[test]
fn a_window_that_is_too_large_is_not_made() {
    // a frame that asks for a window of 2^30 bytes, with an empty last block
    let frame = |window_log: u8| [hex("28b52ffd 00"), vec![(window_log - 10) << 3], hex("010000")].concat();
    assert_eq!(decode(ZSTD, &frame(30), 100).1, BodyState::Undecodable);
    assert_eq!(decode(ZSTD, &frame(24), 100).1, BodyState::Undecodable);
    assert_eq!(decode(ZSTD, &frame(23), 100), (Vec::new(), BodyState::Decompressed));
}

#[test]
fn frames_follow_each_other() {
    let twice = (b"hello, world".to_vec(), BodyState::Decompressed);
    assert_eq!(decode(ZSTD, &[zstd(b"hello,"), zstd(b" world")].concat(), 100), twice);
    let [first, second] = [b"hello,", b" world"].map(|part| lz4(part, FrameInfo::new()));
    assert_eq!(decode(LZ4, &[first, second].concat(), 100), twice);
    // clients read one zlib stream and leave the rest
    assert_eq!(
        decode(ZLIB, &[zlib(b"a"), zlib(b"b")].concat(), 100),
        (b"a".to_vec(), BodyState::Decompressed)
    );
}

#[test]
fn lz4_frames_of_every_kind() {
    let plain: Vec<u8> = (0..700_000_u32).flat_map(|number| (number / 7 % 5000).to_le_bytes()).collect();
    for mode in [BlockMode::Independent, BlockMode::Linked] {
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB] {
            for checksums in [false, true] {
                let info = FrameInfo::new()
                    .block_mode(mode)
                    .block_size(size)
                    .block_checksums(checksums)
                    .content_checksum(checksums)
                    .content_size(checksums.then_some(plain.len() as u64));
                let (body, state) = decode(LZ4, &lz4(&plain, info), MAX_BODY_BYTES);
                assert!(body == plain && state == BodyState::Decompressed);
            }
        }
    }
}

#[test]
fn a_decompressor_forgets_what_it_did_before() {
    let mut decompressor = Decompressor::new();
    let noise: Vec<u8> =
        (0..5000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    for (flag, stored) in [(ZLIB, zlib(&noise)), (LZ4, lz4(&noise, FrameInfo::new())), (ZSTD, zstd(&noise))] {
        // cut, damaged, limited, then whole
        decompressor.body(flag, &stored[..stored.len() / 2], MAX_BODY_BYTES);
        decompressor.body(flag, &[&stored[..300], &stored[200..]].concat(), MAX_BODY_BYTES);
        decompressor.body(flag, &stored, 10);
        let body = decompressor.body(flag, &stored, MAX_BODY_BYTES);
        assert!(body.bytes == noise.as_slice() && body.state == BodyState::Decompressed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn round_trip_and_no_prefix_is_whole(plain in proptest::collection::vec(any::<u8>(), 0..400), repeat in 1..4_usize) {
        let plain = plain.repeat(repeat);
        for (flag, stored) in [(ZLIB, zlib(&plain)), (LZ4, lz4(&plain, FrameInfo::new())), (ZSTD, zstd(&plain))] {
            prop_assert_eq!(decode(flag, &stored, MAX_BODY_BYTES), (plain.clone(), BodyState::Decompressed));
            for end in 1..stored.len() {
                let expected = (stored[..end].to_vec(), BodyState::Undecodable);
                prop_assert_eq!(decode(flag, &stored[..end], MAX_BODY_BYTES), expected);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        flag: i32,
        magic in 0..4_usize,
        noise in proptest::collection::vec(any::<u8>(), 0..200),
        limit in 0..300_usize,
    ) {
        let magics = [hex(""), hex("78 5e"), hex("04 22 4d 18 60 70 73"), hex("28 b5 2f fd")];
        let stored = [magics[magic].as_slice(), &noise].concat();
        let (body, _) = decode(SysFlag(flag | 1), &stored, limit);
        prop_assert!(body.len() <= limit.max(stored.len()));
    }
}
