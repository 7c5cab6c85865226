//! Frames of the remoting protocol, written down a second time on purpose: the project's own codec is what the peer
//! is there to test.

use std::io;

use mqlake::codec::cursor::{Cursor, Short};
use tokio::io::{AsyncRead, AsyncReadExt};

const MAGIC: u32 = 0xDEC1_0ADE;
const HEAD_BYTES: usize = 24;
/// Bytes of a frame that its length field counts apart from the body.
const COUNTED_BYTES: usize = 20;
const MAX_BODY_BYTES: i32 = 1 << 20;

/// Response code of success.
pub const SUCCESS: i16 = 0;
/// Response code for a command that the port does not serve.
pub const UNKNOWN_CODE: i16 = 3;
/// Response code of a refusal.
pub const BROKER_ERROR: i16 = 51;

/// A request as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Command code.
    pub code: i16,
    /// Protocol version of the sender.
    pub version: i16,
    /// Correlation id.
    pub opaque: i32,
    /// Bit 1: one-way.
    pub flag: i32,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// Whether the sender wants no response.
    pub fn is_one_way(&self) -> bool {
        self.flag & 2 != 0
    }
}

/// Reads a request. `None` once the magic was wrong: as the broker, the connection then stays open and deaf.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Request>> {
    let mut head = [0; HEAD_BYTES];
    stream.read_exact(&mut head).await?;
    let Some((mut request, length)) = decode(&head).expect("24 bytes are a head") else {
        return Ok(None);
    };
    request.body.resize(length, 0);
    stream.read_exact(&mut request.body).await?;
    Ok(Some(request))
}

fn decode(head: &[u8]) -> Result<Option<(Request, usize)>, Short> {
    let mut cursor = Cursor::new(head);
    let (total, header_size, magic) = (cursor.i32()?, cursor.i16()?, cursor.u32()?);
    if magic != MAGIC {
        return Ok(None);
    }
    let (code, version, opaque, flag) = (cursor.i16()?, cursor.i16()?, cursor.i32()?, cursor.i32()?);
    let length = total.saturating_sub(2 + i32::from(header_size)).clamp(0, MAX_BODY_BYTES);
    Ok(Some((Request { code, version, opaque, flag, body: Vec::new() }, length as usize)))
}

/// Starts the response to a request in an emptied buffer; the body is appended, then [`end`] called.
pub(super) fn begin(out: &mut Vec<u8>, request: &Request, code: i16) {
    out.clear();
    write_head(out, code, request.version, request.opaque, 1, request.code);
}

/// Fills in the length of the frame that is the whole buffer.
pub(super) fn end(out: &mut [u8]) {
    let total = (out.len() - HEAD_BYTES + COUNTED_BYTES) as u32;
    out[..4].copy_from_slice(&total.to_be_bytes());
}

fn write_head(out: &mut Vec<u8>, code: i16, version: i16, opaque: i32, flag: i32, request_code: i16) {
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&18_i16.to_be_bytes());
    out.extend_from_slice(&MAGIC.to_be_bytes());
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&opaque.to_be_bytes());
    out.extend_from_slice(&flag.to_be_bytes());
    out.extend_from_slice(&request_code.to_be_bytes());
}

/// A whole request frame with the command code as request code, for tests that play the client.
pub fn request(code: i16, version: i16, opaque: i32, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_head(&mut out, code, version, opaque, 0, code);
    out.extend_from_slice(body);
    end(&mut out);
    out
}

/// Body of a sync log request.
pub fn sync_body(sync_type: i8, message_offset: i64, action_offset: i64) -> Vec<u8> {
    let mut body = sync_type.to_be_bytes().to_vec();
    body.extend_from_slice(&message_offset.to_be_bytes());
    body.extend_from_slice(&action_offset.to_be_bytes());
    body
}

/// Reads one response whole, for tests that play the client: code and body.
///
/// # Errors
/// The connection ends or breaks first.
pub async fn read_response(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(i16, Vec<u8>)> {
    read(stream).await?.map(|frame| (frame.code, frame.body)).ok_or_else(|| io::Error::other("wrong magic"))
}

/// Appends a string with a 16-bit length.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}
