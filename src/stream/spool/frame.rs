//! The bytes of one frame: its header, its checksum, and the checks of a header.
//!
//! It never touches a file and never reads past its input.

use super::Frame;

/// Largest payload of one frame: 64 MiB.
pub const MAX_PAYLOAD_BYTES: usize = 64 << 20;

/// Size of a frame header.
pub(super) const FRAME_HEADER_BYTES: usize = 29;

/// First bytes of each frame, by which recovery searches for sound frames behind damage.
pub(super) const FRAME_MAGIC: [u8; 4] = *b"FRM1";

/// A decoded frame header. Its checksum is not verified yet, see [`FrameHeader::fits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) payload_bytes: usize,
    pub(super) kind: u8,
    pub(super) from: u64,
    pub(super) to: u64,
    crc: u32,
}

impl FrameHeader {
    /// Decodes a header at the start of `bytes`; the error says what is wrong.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        Self::fields(bytes).ok_or_else(|| "ends inside a frame header".to_owned())?
    }

    fn fields(mut bytes: &[u8]) -> Option<Result<Self, String>> {
        let magic = take::<4>(&mut bytes)?;
        let length = u32::from_be_bytes(take(&mut bytes)?);
        let [kind] = take(&mut bytes)?;
        let from = u64::from_be_bytes(take(&mut bytes)?);
        let to = u64::from_be_bytes(take(&mut bytes)?);
        let crc = u32::from_be_bytes(take(&mut bytes)?);
        if magic != FRAME_MAGIC {
            return Some(Err("no frame begins here".to_owned()));
        }
        let payload_bytes = usize::try_from(length).unwrap_or(usize::MAX);
        if payload_bytes > MAX_PAYLOAD_BYTES {
            return Some(Err(format!("frame of {length} bytes, at most {MAX_PAYLOAD_BYTES} are possible")));
        }
        if from > to {
            return Some(Err(format!("frame from {from} to {to} runs backwards")));
        }
        Some(Ok(Self { payload_bytes, kind, from, to, crc }))
    }

    /// Whether the checksum of this header and `payload` is right.
    pub(super) fn fits(&self, payload: &[u8]) -> bool {
        let frame = Frame { kind: self.kind, from: self.from, to: self.to, payload };
        payload.len() == self.payload_bytes && crc(&fields(&frame), payload) == self.crc
    }

    /// Bytes of header and payload.
    pub(super) fn frame_bytes(&self) -> usize {
        FRAME_HEADER_BYTES + self.payload_bytes
    }
}

/// The header of `frame`, checksum included. The payload must not exceed [`MAX_PAYLOAD_BYTES`].
pub(super) fn encode_header(frame: &Frame<'_>) -> [u8; FRAME_HEADER_BYTES] {
    let fields = fields(frame);
    let crc = crc(&fields, frame.payload).to_be_bytes();
    let mut header = [0; FRAME_HEADER_BYTES];
    copy(&mut header, fields.iter().chain(&crc));
    header
}

/// Takes `N` bytes off the front.
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}

/// Fills `target` from the front.
pub(super) fn copy<'a>(target: &mut [u8], source: impl Iterator<Item = &'a u8>) {
    for (to, from) in target.iter_mut().zip(source) {
        *to = *from;
    }
}

fn fields(frame: &Frame<'_>) -> [u8; FRAME_HEADER_BYTES - 4] {
    let length = u32::try_from(frame.payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let (from, to) = (frame.from.to_be_bytes(), frame.to.to_be_bytes());
    let mut fields = [0; FRAME_HEADER_BYTES - 4];
    copy(&mut fields, FRAME_MAGIC.iter().chain(&length).chain(&[frame.kind]).chain(&from).chain(&to));
    fields
}

fn crc(fields: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(fields);
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_layout_is_the_documented_one() {
        let header = encode_header(&Frame { kind: 7, from: 1, to: 258, payload: b"abc" });
        assert_eq!(&header[..25], b"FRM1\0\0\0\x03\x07\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\x01\x02");
        let whole = crc32fast::hash(&[&header[..25], b"abc"].concat());
        assert_eq!(header[25..], whole.to_be_bytes());
    }

    #[test]
    fn headers_that_cannot_be_are_refused() {
        let good = encode_header(&Frame { kind: 0, from: 5, to: 5, payload: b"" });
        for (what, at, byte) in [("no frame begins", 0, 0), ("at most", 4, 0xff), ("backwards", 9, 1)] {
            let mut bad = good;
            bad[at] = byte;
            let reason = FrameHeader::decode(&bad).unwrap_err();
            assert!(reason.contains(what), "{reason}");
        }
        assert!(FrameHeader::decode(&good[..28]).unwrap_err().contains("ends inside"));
        assert!(FrameHeader::decode(&[0; 64]).is_err());
    }

    proptest! {
        #[test]
        fn a_header_comes_back(kind: u8, a: u64, b: u64, payload in prop::collection::vec(any::<u8>(), 0..300)) {
            let frame = Frame { kind, from: a.min(b), to: a.max(b), payload: &payload };
            let header = FrameHeader::decode(&encode_header(&frame)).unwrap();
            prop_assert_eq!((header.kind, header.from, header.to), (frame.kind, frame.from, frame.to));
            prop_assert_eq!(header.payload_bytes, payload.len());
            prop_assert!(header.fits(&payload));
        }

        #[test]
        fn a_flipped_bit_never_fits(payload in prop::collection::vec(any::<u8>(), 0..100), at: prop::sample::Index, bit in 0..8) {
            let frame = Frame { kind: 1, from: 10, to: 20, payload: &payload };
            let mut bytes = [&encode_header(&frame)[..], &payload].concat();
            let at = at.index(bytes.len());
            bytes[at] ^= 1u8 << bit;
            if let Ok(header) = FrameHeader::decode(&bytes) {
                let payload = bytes.get(FRAME_HEADER_BYTES..header.frame_bytes());
                prop_assert!(payload.is_none_or(|payload| !header.fits(payload)));
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(header) = FrameHeader::decode(&bytes) {
                header.fits(&bytes);
            }
        }
    }
}
