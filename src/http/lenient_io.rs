//! Request lines with raw JSON in them.
//!
//! Clients of the original server may put `"`, `<` and `>` into a request target unescaped. Its container accepted
//! them, while ours refuses them before any handler runs. This stream escapes these three bytes in request lines and
//! changes nothing else. It parses a connection as long as requests have no body, which holds for the documented
//! routes. From the first request with a body on, it passes everything through.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection that escapes raw JSON in request lines.
#[derive(Debug)]
pub(super) struct LenientIo<S> {
    stream: S,
    /// Maximum length of a request head that is parsed; a longer one is passed through.
    max_head_bytes: usize,
    /// Bytes of a request head that is not complete yet.
    head: Vec<u8>,
    /// Length of its beginning that was already searched for the end of the head.
    searched: usize,
    /// Bytes ready for the reader.
    ready: Vec<u8>,
    taken: usize,
    pass_through: bool,
}

impl<S> LenientIo<S> {
    /// Wraps a stream. Heads longer than `max_head_bytes` are passed through; the server refuses them.
    pub(super) fn new(stream: S, max_head_bytes: usize) -> Self {
        LenientIo {
            stream,
            max_head_bytes,
            head: Vec::new(),
            searched: 0,
            ready: Vec::new(),
            taken: 0,
            pass_through: false,
        }
    }

    /// Adds new bytes, and moves every complete head to `ready`.
    fn feed(&mut self, bytes: &[u8]) {
        self.head.extend_from_slice(bytes);
        while !self.pass_through {
            if self.head.starts_with(b"PRI * ") {
                // HTTP/2 with prior knowledge has no request lines
                self.pass_through = true;
                break;
            }
            let Some(end) = head_end(&self.head, self.searched) else {
                // the end of the head can begin with the last bytes so far
                self.searched = self.head.len().saturating_sub(2);
                break;
            };
            self.searched = 0;
            let rest = self.head.split_off(end);
            let head = std::mem::replace(&mut self.head, rest);
            self.pass_through = has_body(&head);
            escape_request_line(&head, &mut self.ready);
        }
        if self.pass_through || self.head.len() > self.max_head_bytes {
            self.pass_through = true;
            self.ready.append(&mut self.head);
        }
    }
}

/// Offset after the empty line that ends a head. Lines may end without a carriage return.
fn head_end(head: &[u8], searched: usize) -> Option<usize> {
    let feeds =
        head.iter().enumerate().skip(searched).filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    feeds.into_iter().find_map(|next| match head.get(next..) {
        Some([b'\n', ..]) => Some(next + 1),
        Some([b'\r', b'\n', ..]) => Some(next + 2),
        _ => None,
    })
}

fn has_body(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    text.lines().filter_map(|line| line.split_once(':')).any(|(name, value)| match name {
        "content-length" => value.trim() != "0",
        "transfer-encoding" | "upgrade" => true,
        _ => false,
    })
}

fn escape_request_line(head: &[u8], out: &mut Vec<u8>) {
    let line = head.iter().position(|b| matches!(b, b'\r' | b'\n')).unwrap_or(head.len());
    let (line, rest) = head.split_at(line);
    for byte in line {
        match byte {
            b'"' => out.extend_from_slice(b"%22"),
            b'<' => out.extend_from_slice(b"%3C"),
            b'>' => out.extend_from_slice(b"%3E"),
            other => out.push(*other),
        }
    }
    out.extend_from_slice(rest);
}

impl<S: AsyncRead + Unpin> AsyncRead for LenientIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.taken < self.ready.len() {
                let left = self.ready.get(self.taken..).unwrap_or_default();
                let count = left.len().min(buf.remaining());
                buf.put_slice(left.get(..count).unwrap_or_default());
                self.taken += count;
                if self.taken == self.ready.len() {
                    self.ready.clear();
                    self.taken = 0;
                }
                return Poll::Ready(Ok(()));
            }
            if self.pass_through {
                return Pin::new(&mut self.stream).poll_read(cx, buf);
            }
            let mut space = [0_u8; 8 * 1024];
            let mut chunk = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut chunk))?;
            if chunk.filled().is_empty() {
                // end of the stream: the server decides about an unfinished head
                self.pass_through = true;
                let mut head = std::mem::take(&mut self.head);
                self.ready.append(&mut head);
                if self.ready.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            self.feed(chunk.filled());
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LenientIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::LenientIo;

    async fn through(pieces: &[&[u8]]) -> String {
        let mut connection = LenientIo::new(std::io::Cursor::new(pieces.concat()), 64 * 1024);
        let mut text = Vec::new();
        connection.read_to_end(&mut text).await.unwrap();
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn quotes_in_request_lines_are_escaped_request_after_request() {
        let request: &[u8] = b"GET /a?q={\"x\":\"<1>\"} HTTP/1.1\r\nhost: \"h\"\r\n\r\n";
        let wanted = "GET /a?q={%22x%22:%22%3C1%3E%22} HTTP/1.1\r\nhost: \"h\"\r\n\r\n";
        assert_eq!(through(&[request, request]).await, wanted.repeat(2));
    }

    #[tokio::test]
    async fn bodies_pass_unchanged() {
        let request: &[u8] = b"POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\n\"<>\"!GET \"\r\n\r\n";
        assert_eq!(through(&[request]).await.as_bytes(), request);
    }

    #[tokio::test]
    async fn bare_line_feeds_and_an_empty_body() {
        let first: &[u8] = b"GET /\" HTTP/1.1\nhost: x\n\n";
        let second: &[u8] = b"GET /\" HTTP/1.1\r\ncontent-length: 0\r\n\r\n";
        let wanted = "GET /%22 HTTP/1.1\nhost: x\n\nGET /%22 HTTP/1.1\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(through(&[first, second]).await, wanted);
    }

    /// The end of a head is found however the bytes are split.
    #[tokio::test]
    async fn a_head_may_come_byte_by_byte() {
        let request: &[u8] = b"GET /\" HTTP/1.1\r\nhost: x\r\n\r\n";
        let mut connection = LenientIo::new(tokio::io::empty(), 64 * 1024);
        for byte in request.iter().chain(request) {
            connection.feed(&[*byte]);
        }
        let wanted = "GET /%22 HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2);
        assert_eq!(String::from_utf8(connection.ready).unwrap(), wanted);
    }

    #[tokio::test]
    async fn an_unfinished_head_is_handed_over_at_the_end() {
        assert_eq!(through(&[b"GET /\""]).await, "GET /\"");
    }
}
