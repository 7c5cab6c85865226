//! LZ4 frames (magic 04 22 4D 18), decoded block by block into a buffer that is reused.
//!
//! The decoder of the `lz4_flex` crate allocates a buffer of the largest block, usually 4 MiB, for every frame, and
//! takes a frame without an end for a whole one. Bodies of messages are a few kilobytes each and can be torn, so
//! neither is acceptable. Checksums are skipped: the CRC of the record already covers the stored bytes. Dictionaries,
//! skippable frames and legacy frames are not supported.

use super::stream_output::{BadStream, Output};

const MAGIC: u32 = 0x184D_2204;
const UNCOMPRESSED: u32 = 0x8000_0000;
/// How far back a block may refer into the blocks before it.
const HISTORY_BYTES: usize = 64 << 10;

/// Buffers reused from frame to frame; at most slightly more than 4 MiB.
#[derive(Debug, Default)]
pub(super) struct Lz4Frames {
    block: Vec<u8>,
    history: Vec<u8>,
}

impl Lz4Frames {
    /// Decodes all frames in `input`.
    pub(super) fn run(&mut self, input: &[u8], output: &mut Output) -> Result<(), BadStream> {
        let mut input = Input(input);
        while !input.0.is_empty() && !output.is_full() {
            let frame = Frame::read(&mut input)?;
            self.blocks(&frame, &mut input, output)?;
        }
        Ok(())
    }

    fn blocks(&mut self, frame: &Frame, input: &mut Input<'_>, output: &mut Output) -> Result<(), BadStream> {
        self.history.clear();
        if self.block.len() < frame.block_bytes {
            self.block.resize(frame.block_bytes, 0);
        }
        let block = self.block.get_mut(..frame.block_bytes).ok_or(BadStream)?;
        loop {
            let head = input.u32()?;
            if head == 0 {
                break;
            }
            let stored_bytes = usize::try_from(head & !UNCOMPRESSED).map_err(|_| BadStream)?;
            if stored_bytes > frame.block_bytes {
                return Err(BadStream);
            }
            let stored = input.take(stored_bytes)?;
            if frame.block_checksums {
                input.take(4)?;
            }
            let plain = if head & UNCOMPRESSED != 0 {
                stored
            } else {
                let bytes = lz4_flex::block::decompress_into_with_dict(stored, block, &self.history)
                    .map_err(|_| BadStream)?;
                block.get(..bytes).ok_or(BadStream)?
            };
            output.push(plain);
            if output.is_full() {
                return Ok(());
            }
            if frame.linked {
                remember(&mut self.history, plain);
            }
        }
        if frame.content_checksum {
            input.take(4)?;
        }
        Ok(())
    }
}

/// Keeps the last [`HISTORY_BYTES`] of the decoded bytes.
fn remember(history: &mut Vec<u8>, plain: &[u8]) {
    let tail = plain.get(plain.len().saturating_sub(HISTORY_BYTES)..).unwrap_or_default();
    let keep = HISTORY_BYTES - tail.len();
    history.drain(..history.len().saturating_sub(keep));
    history.extend_from_slice(tail);
}

struct Frame {
    block_bytes: usize,
    linked: bool,
    block_checksums: bool,
    content_checksum: bool,
}

impl Frame {
    fn read(input: &mut Input<'_>) -> Result<Self, BadStream> {
        if input.u32()? != MAGIC {
            return Err(BadStream);
        }
        let [flags, block, ..] = *input.take(2)? else { return Err(BadStream) };
        let has = |bit: u8| flags & bit != 0;
        let (version, dictionary) = (flags >> 6, has(0x01));
        let block_code = block >> 4 & 0x7;
        if version != 1 || dictionary || block_code < 4 {
            return Err(BadStream);
        }
        // the content size, which is not used here, and the checksum of the header
        input.take(if has(0x08) { 9 } else { 1 })?;
        Ok(Self {
            block_bytes: (64 << 10) << (2 * (block_code - 4)),
            linked: !has(0x20),
            block_checksums: has(0x10),
            content_checksum: has(0x04),
        })
    }
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], BadStream> {
        let (head, rest) = self.0.split_at_checked(bytes).ok_or(BadStream)?;
        self.0 = rest;
        Ok(head)
    }

    fn u32(&mut self) -> Result<u32, BadStream> {
        let (head, rest) = self.0.split_first_chunk::<4>().ok_or(BadStream)?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*head))
    }
}
