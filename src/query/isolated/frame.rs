//! The protocol between the server and a worker: frames over a byte stream in each direction.
//!
//! ```text
//! u32 length of what follows, little endian
//! u8  kind
//! …   payload: JSON, or bytes as the kind says
//! ```
//!
//! Nothing here depends on pipes: the same frames work over a socket. A frame that is too large is an error on both
//! sides, so a wrong length never causes a large allocation.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Maximum length of a frame: more than twice the largest row that a setting allows.
pub(super) const MAX_FRAME: usize = 64 << 20;
/// Bytes read from the stream at once.
const READ_BYTES: usize = 64 << 10;
const HEAD_BYTES: usize = 5;

/// Kind of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// To the worker, JSON: store and limits. Sent once, at the start.
    Setup,
    /// To the worker, JSON: tables that changed.
    Tables,
    /// To the worker: number of the statement (8 bytes), then its text.
    Run,
    /// To the worker: number of the statement (8 bytes) to cancel.
    Cancel,
    /// To the worker: number of the read (8 bytes), then the bytes read.
    Bytes,
    /// To the worker: number of the read (8 bytes), then the text of its error.
    ReadFailed,
    /// To the server: the columns, as an Arrow IPC schema message.
    Schema,
    /// To the server: one batch, as Arrow IPC messages.
    Rows,
    /// To the server, JSON: ranges of a file that only the server has.
    Read,
    /// To the server, JSON: how the statement ended.
    End,
    /// To the server: all tasks of the statement have ended. The next statement may be sent.
    Idle,
}

impl Kind {
    const ALL: [Kind; 11] = [
        Kind::Setup,
        Kind::Tables,
        Kind::Run,
        Kind::Cancel,
        Kind::Bytes,
        Kind::ReadFailed,
        Kind::Schema,
        Kind::Rows,
        Kind::Read,
        Kind::End,
        Kind::Idle,
    ];

    fn code(self) -> u8 {
        self as u8 + 1
    }

    fn from_code(code: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// One frame.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) payload: Bytes,
}

impl Frame {
    pub(super) fn new(kind: Kind, payload: impl Into<Bytes>) -> Frame {
        Frame { kind, payload: payload.into() }
    }

    /// A frame whose payload is a number, then bytes.
    pub(super) fn numbered(kind: Kind, number: u64, rest: &[u8]) -> Frame {
        let mut payload = BytesMut::with_capacity(8 + rest.len());
        payload.put_u64_le(number);
        payload.put_slice(rest);
        Frame { kind, payload: payload.freeze() }
    }

    pub(super) fn json(kind: Kind, value: &impl serde::Serialize) -> io::Result<Frame> {
        Ok(Frame { kind, payload: serde_json::to_vec(value).map_err(io::Error::other)?.into() })
    }

    /// The number at the beginning of the payload, and what follows.
    pub(super) fn split_number(mut self) -> io::Result<(u64, Bytes)> {
        let number = self.payload.try_get_u64_le().map_err(|_| broken("a frame without its number"))?;
        Ok((number, self.payload))
    }

    pub(super) fn decode_json<T: serde::de::DeserializeOwned>(&self) -> io::Result<T> {
        serde_json::from_slice(&self.payload).map_err(io::Error::other)
    }

    /// Length and kind, as they precede the payload.
    pub(super) fn head(&self) -> io::Result<[u8; HEAD_BYTES]> {
        let length = self.payload.len() + 1;
        if length > MAX_FRAME {
            return Err(broken("a frame that is too large to be sent"));
        }
        let [a, b, c, d] = u32::try_from(length).map_err(io::Error::other)?.to_le_bytes();
        Ok([a, b, c, d, self.kind.code()])
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn parse_head(head: [u8; HEAD_BYTES]) -> io::Result<(Kind, usize)> {
    let [a, b, c, d, code] = head;
    let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).map_err(io::Error::other)?;
    let payload = length
        .checked_sub(1)
        .filter(|_| length <= MAX_FRAME)
        .ok_or_else(|| broken("a frame of a length that cannot be"))?;
    Ok((Kind::from_code(code).ok_or_else(|| broken("a frame of unknown kind"))?, payload))
}

/// Reads frames. Cancelling a read loses nothing.
#[derive(Debug)]
pub(super) struct FrameReader<R> {
    source: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(source: R) -> FrameReader<R> {
        FrameReader { source, buffer: BytesMut::new() }
    }

    /// The next frame; `None` at the end of the stream.
    pub(super) async fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(Some(frame));
            }
            self.buffer.reserve(READ_BYTES);
            if self.source.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(broken("a frame that was cut")) };
            }
        }
    }

    fn take(&mut self) -> io::Result<Option<Frame>> {
        let Some(head) = self.buffer.first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let (kind, length) = parse_head(*head)?;
        if self.buffer.len() < HEAD_BYTES + length {
            self.buffer.reserve(HEAD_BYTES + length - self.buffer.len());
            return Ok(None);
        }
        self.buffer.advance(HEAD_BYTES);
        let payload = self.buffer.split_to(length).freeze();
        if self.buffer.is_empty() {
            // do not keep a large buffer after a large frame
            self.buffer = BytesMut::new();
        }
        Ok(Some(Frame { kind, payload }))
    }
}

/// Reads one frame from a blocking stream; `None` at its end.
pub(super) fn read_blocking(source: &mut impl io::Read) -> io::Result<Option<Frame>> {
    let mut head = [0; HEAD_BYTES];
    match source.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let (kind, length) = parse_head(head)?;
    let mut payload = vec![0; length];
    source.read_exact(&mut payload)?;
    Ok(Some(Frame { kind, payload: payload.into() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(frames: &[Frame]) -> Vec<u8> {
        frames.iter().flat_map(|frame| [&frame.head().unwrap()[..], &frame.payload[..]].concat()).collect()
    }

    #[tokio::test]
    async fn frames_come_back_as_they_were_sent() {
        let frames: Vec<Frame> =
            Kind::ALL.into_iter().map(|kind| Frame::numbered(kind, 7, &vec![b'x'; 100_000])).collect();
        let bytes = bytes_of(&frames);
        let mut reader = FrameReader::new(bytes.as_slice());
        let mut blocking = bytes.as_slice();
        for frame in &frames {
            let read = reader.next().await.unwrap().unwrap();
            assert_eq!((read.kind, &read.payload), (frame.kind, &frame.payload));
            assert_eq!(read_blocking(&mut blocking).unwrap().unwrap().payload, frame.payload);
            assert_eq!(read.split_number().unwrap().0, 7);
        }
        assert!(reader.next().await.unwrap().is_none());
        assert!(read_blocking(&mut blocking).unwrap().is_none());
    }

    #[tokio::test]
    async fn broken_frames_are_errors_and_never_allocations() {
        let cases: [&[u8]; 5] =
            [&[255, 255, 255, 255, 1], &[0, 0, 0, 0, 1], &[2, 0, 0, 0, 99, 0], &[9, 0, 0, 0, 1, 0], &[1, 0]];
        for bytes in cases {
            assert!(FrameReader::new(bytes).next().await.is_err(), "{bytes:?}");
        }
        let large = Frame::new(Kind::Rows, vec![0; MAX_FRAME]);
        assert!(large.head().is_err());
        assert!(Frame::new(Kind::Run, vec![1]).split_number().is_err());
    }
}
