//! Servers for the tests of this module: listeners on the loopback that follow a script.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use super::connection::{Connection, ConnectionSettings};
use crate::brokers::rocketmq::wire::command::{Command, FLAG_RESPONSE};
use crate::brokers::rocketmq::wire::frame;
use crate::brokers::rocketmq::wire::header_error::HeaderType;

/// Long enough for any step of a test that is expected to happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// Largest frame in tests.
pub(super) const MAX_FRAME: usize = 64 * 1024;

pub(super) fn settings() -> ConnectionSettings {
    ConnectionSettings {
        connect_timeout: PATIENCE,
        max_frame: MAX_FRAME,
        max_in_flight: 8,
        header_type: HeaderType::Json,
        tls: None,
    }
}

pub(super) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// A connection and the server's side of it.
pub(super) async fn connected(settings: &ConnectionSettings) -> (Connection, Peer) {
    let (listener, address) = listen().await;
    let connection = Connection::open(&address, settings).await.unwrap();
    (connection, Peer::accept(&listener).await)
}

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The server side of one connection.
pub(super) struct Peer {
    stream: Box<dyn Stream>,
    buffer: BytesMut,
}

impl Peer {
    pub(super) async fn accept(listener: &TcpListener) -> Self {
        Self::over(listener.accept().await.unwrap().0)
    }

    pub(super) fn over(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), buffer: BytesMut::new() }
    }

    /// The next command, or `None` at the end of the connection.
    pub(super) async fn next(&mut self) -> Option<Command> {
        loop {
            if let Some(command) = frame::decode(&mut self.buffer, MAX_FRAME).unwrap() {
                return Some(command);
            }
            if self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// The next request.
    pub(super) async fn request(&mut self) -> Command {
        self.next().await.unwrap()
    }

    /// Reads this many bytes.
    pub(super) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut found = vec![0; count];
        self.stream.read_exact(&mut found).await.unwrap();
        found
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub(super) async fn answer(&mut self, response: &Command) {
        self.send(&bytes(response)).await;
    }
}

pub(super) fn bytes(command: &Command) -> Vec<u8> {
    frame::encode(command, HeaderType::Json, usize::MAX).unwrap()
}

/// A response without fields.
pub(super) fn response(request: &Command, code: i32, body: &[u8]) -> Command {
    Command {
        opaque: request.opaque,
        flag: FLAG_RESPONSE,
        body: Bytes::copy_from_slice(body),
        ..Command::request(code)
    }
}
