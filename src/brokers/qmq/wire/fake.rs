//! Peers for the tests of this module: listeners on the loopback that follow a script.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::connection::{Connection, ConnectionSettings};
use super::remoting;
use super::remoting::{Header, Step};

/// Long enough for any step of a test that is expected to happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// Largest frame in tests.
pub(super) const MAX_FRAME: usize = 64 * 1024;

pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

pub(super) fn settings() -> ConnectionSettings {
    ConnectionSettings { connect_timeout: PATIENCE, request_timeout: PATIENCE, max_frame: MAX_FRAME }
}

pub(super) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// A connection and the peer's side of it.
pub(super) async fn connected() -> (Connection, Peer) {
    connected_with(&settings()).await
}

/// A connection that soon takes a missing answer for silence.
pub(super) async fn impatient() -> (Connection, Peer) {
    connected_with(&ConnectionSettings { request_timeout: Duration::from_secs(1), ..settings() }).await
}

async fn connected_with(settings: &ConnectionSettings) -> (Connection, Peer) {
    let (listener, address) = listen().await;
    let connection = Connection::open(&address, settings).await.unwrap();
    (connection, Peer::accept(&listener).await)
}

/// The server side of one connection.
pub(super) struct Peer {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Peer {
    pub(super) async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        Self { stream, buffer: Vec::new() }
    }

    /// The next request, or `None` at the end of the connection.
    pub(super) async fn request(&mut self) -> Option<(Header, Vec<u8>)> {
        loop {
            match remoting::step(&self.buffer, MAX_FRAME) {
                Step::Frame { header, body, size } => {
                    let found = (header, body.to_vec());
                    self.buffer.drain(..size);
                    return Some(found);
                }
                Step::Incomplete => {}
                Step::Invalid(invalid) => panic!("{invalid}"),
            }
            if self.stream.read_buf(&mut self.buffer).await.unwrap() == 0 {
                return None;
            }
        }
    }

    /// Reads exactly these bytes.
    pub(super) async fn expect(&mut self, text: &str) {
        let expected = hex(text);
        let mut found = vec![0; expected.len()];
        self.stream.read_exact(&mut found).await.unwrap();
        assert_eq!(found, expected);
    }

    pub(super) async fn answer(&mut self, request: &Header, code: i16, body: &[u8]) {
        self.send(&response(request, code, body)).await;
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }
}

pub(super) fn response(request: &Header, code: i16, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    remoting::encode(&mut frame, &request.response(code), body);
    frame
}

/// An HTTP response with status 200.
pub(super) fn ok(body: &[u8]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    out.extend_from_slice(body);
    out
}

/// An HTTP server that answers each request, on a new connection, with the next of `responses`, byte for byte. It
/// reports the target of every request.
pub(super) async fn http(responses: Vec<Vec<u8>>) -> (String, mpsc::UnboundedReceiver<String>) {
    let (listener, address) = listen().await;
    let (targets, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for response in responses {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await.unwrap() > 0 {}
            let text = String::from_utf8(request).unwrap();
            let _ = targets.send(text.split(' ').nth(1).unwrap_or_default().to_owned());
            stream.write_all(&response).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (address, received)
}
