//! Bodies as the application sent them: decompressed, with a hard limit (RocketMQ formats: body compression).
//!
//! The uncompressed size is stored nowhere, and sizes in stream headers are not trusted: streams are decoded until they
//! end or the limit is reached. A body that cannot be decoded is returned as stored. Nothing here checks the CRC of the
//! stored bytes, splits inner batches ([`super::inner_batch`]) or interprets a body as text.

use std::borrow::Cow;
use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, Operation};

use super::lz4_frame::Lz4Frames;
use super::stream_output::{BadStream, Output};
use super::sys_flag::{Compression, SysFlag};

/// A limit that is far above the 4 MiB that brokers accept of compressed bytes, yet bounds what one record can cost.
pub const MAX_BODY_BYTES: usize = 16 << 20;
/// Largest Zstandard window that is decoded, as a power of two: 8 MiB, which clients stay far below.
const ZSTD_WINDOW_LOG: u32 = 23;
/// Bytes decoded at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// How the bytes of a body came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BodyState {
    /// As stored, and not compressed.
    Plain,
    /// Decompressed.
    Decompressed,
    /// Decompressed by the magic of the stream, because the stated compression did not fit.
    Guessed,
    /// Decompressed up to the limit; the rest is missing.
    Truncated,
    /// As stored, because no stream could be decoded.
    Undecodable,
}

/// A body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body<'a> {
    /// The bytes; borrowed where they are as stored.
    pub bytes: Cow<'a, [u8]>,
    /// How they came about.
    pub state: BodyState,
}

/// The size of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodySize {
    /// Bytes [`Body::bytes`] would have. For [`BodyState::Truncated`] this is the limit, and the body is longer.
    pub bytes: usize,
    /// How they would come about.
    pub state: BodyState,
}

/// Decompresses bodies. It keeps its buffers and decoders, so use one for many bodies.
#[derive(Default)]
pub struct Decompressor {
    zlib: Option<Decompress>,
    zstd: Option<Decoder<'static>>,
    lz4: Lz4Frames,
    chunk: Vec<u8>,
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").finish_non_exhaustive()
    }
}

impl Decompressor {
    /// A decompressor; buffers are made when first needed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The body of a record with this `sys_flag` and these stored bytes, at most `limit` bytes of it if it is
    /// compressed.
    pub fn body<'a>(&mut self, sys_flag: SysFlag, stored: &'a [u8], limit: usize) -> Body<'a> {
        let (output, state) = self.decompress(sys_flag, stored, limit, true);
        let bytes = match state {
            BodyState::Plain | BodyState::Undecodable => Cow::Borrowed(stored),
            _ => Cow::Owned(output.kept.unwrap_or_default()),
        };
        Body { bytes, state }
    }

    /// The size of that body. Costs the time of decompression but no memory for the result.
    pub fn size(&mut self, sys_flag: SysFlag, stored: &[u8], limit: usize) -> BodySize {
        let (output, state) = self.decompress(sys_flag, stored, limit, false);
        let bytes = match state {
            BodyState::Plain | BodyState::Undecodable => stored.len(),
            _ => output.bytes,
        };
        BodySize { bytes, state }
    }

    fn decompress(
        &mut self,
        sys_flag: SysFlag,
        stored: &[u8],
        limit: usize,
        keep: bool,
    ) -> (Output, BodyState) {
        let mut output = Output::new(limit, keep);
        let stated = match sys_flag.compression() {
            Some(compression) if !stored.is_empty() => compression,
            _ => return (output, BodyState::Plain),
        };
        if matches!(stated, Compression::Unknown(_)) {
            return (output, BodyState::Undecodable);
        }
        let mut state = BodyState::Decompressed;
        if self.run(stated, stored, &mut output).is_err() {
            output = Output::new(limit, keep);
            state = match guess(stored).filter(|guess| *guess != stated) {
                Some(guess) if self.run(guess, stored, &mut output).is_ok() => BodyState::Guessed,
                _ => BodyState::Undecodable,
            };
        }
        if output.is_full() && state != BodyState::Undecodable {
            state = BodyState::Truncated;
        }
        (output, state)
    }

    fn run(&mut self, compression: Compression, stored: &[u8], output: &mut Output) -> Result<(), BadStream> {
        self.chunk.resize(CHUNK_BYTES, 0);
        match compression {
            Compression::Zlib => {
                let decoder = self.zlib.get_or_insert_with(|| Decompress::new(true));
                zlib(decoder, stored, &mut self.chunk, output)
            }
            Compression::Zstd => {
                let decoder = match &mut self.zstd {
                    Some(decoder) => decoder,
                    none => none.insert(zstd_decoder()?),
                };
                zstd(decoder, stored, &mut self.chunk, output)
            }
            Compression::Lz4 => self.lz4.run(stored, output),
            Compression::Unknown(_) => Err(BadStream),
        }
    }
}

/// The compression whose magic the bytes begin with.
fn guess(stored: &[u8]) -> Option<Compression> {
    match stored {
        [0x78, ..] => Some(Compression::Zlib),
        [0x04, 0x22, 0x4D, 0x18, ..] => Some(Compression::Lz4),
        [0x28, 0xB5, 0x2F, 0xFD, ..] => Some(Compression::Zstd),
        _ => None,
    }
}

/// Decodes one stream; like the clients it ignores what follows.
fn zlib(
    decoder: &mut Decompress,
    mut input: &[u8],
    chunk: &mut [u8],
    output: &mut Output,
) -> Result<(), BadStream> {
    decoder.reset(true);
    while !output.is_full() {
        let (read_before, written_before) = (decoder.total_in(), decoder.total_out());
        let status = decoder.decompress(input, chunk, FlushDecompress::None).map_err(|_| BadStream)?;
        let read = usize::try_from(decoder.total_in() - read_before).map_err(|_| BadStream)?;
        let written = usize::try_from(decoder.total_out() - written_before).map_err(|_| BadStream)?;
        input = input.get(read..).ok_or(BadStream)?;
        output.push(chunk.get(..written).ok_or(BadStream)?);
        match status {
            Status::StreamEnd => return Ok(()),
            _ if read == 0 && written == 0 => return Err(BadStream),
            _ => {}
        }
    }
    Ok(())
}

fn zstd_decoder() -> Result<Decoder<'static>, BadStream> {
    let mut decoder = Decoder::new().map_err(|_| BadStream)?;
    decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).map_err(|_| BadStream)?;
    Ok(decoder)
}

/// Decodes one frame behind the other.
fn zstd(
    decoder: &mut Decoder<'static>,
    mut input: &[u8],
    chunk: &mut [u8],
    output: &mut Output,
) -> Result<(), BadStream> {
    decoder.reinit().map_err(|_| BadStream)?;
    while !output.is_full() {
        let status = decoder.run_on_buffers(input, chunk).map_err(|_| BadStream)?;
        input = input.get(status.bytes_read..).ok_or(BadStream)?;
        output.push(chunk.get(..status.bytes_written).ok_or(BadStream)?);
        if status.remaining == 0 && input.is_empty() {
            return Ok(());
        }
        if status.bytes_read == 0 && status.bytes_written == 0 {
            return Err(BadStream);
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
