//! One TCP connection to a metaserver or a sync port, shared by any number of callers.
//!
//! A task owns the socket; callers hand it frames and wait for the response with their opaque. Responses may come in
//! any order. Nothing here connects again: a connection that ended stays ended, and its owner opens another.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;
use tracing::debug;

use super::error::PeerError;
use super::remoting;
use super::remoting::{Header, Step};

/// Most requests that wait for their response on one connection; further ones wait for a place.
pub const MAX_IN_FLIGHT: usize = 16;
/// Free space offered to each read.
const READ_BYTES: usize = 16 * 1024;
/// Smaller bodies are copied, so that keeping one does not keep a whole read buffer.
const COPIED_BYTES: usize = 4 * 1024;

/// Limits of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// Longest time to look up the name and connect.
    pub connect_timeout: Duration,
    /// Longest time from the call of [`Connection::request`] to the whole response.
    pub request_timeout: Duration,
    /// Largest frame taken, in bytes with its 24 header bytes. A larger one ends the connection.
    pub max_frame: usize,
}

/// A connection to a peer. Clones share it; it is closed when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Connection {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    frames: mpsc::Sender<Vec<u8>>,
    places: Semaphore,
    request_timeout: Duration,
    task: AbortHandle,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What callers and the task of a connection have in common.
#[derive(Debug)]
struct Shared {
    address: String,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Open { waiting: HashMap<i32, oneshot::Sender<Response>>, next_opaque: i32 },
    Ended(End),
}

#[derive(Debug)]
struct Response {
    code: i16,
    body: Bytes,
}

/// Why a connection ended.
#[derive(Debug, Clone)]
enum End {
    Closed,
    Protocol(String),
}

impl Connection {
    /// Connects to `host:port`; the host can be a name.
    ///
    /// # Errors
    /// [`PeerError::Connect`], also when it takes too long.
    pub async fn open(address: &str, settings: &ConnectionSettings) -> Result<Self, PeerError> {
        let failed = |source| PeerError::Connect { address: address.to_owned(), source };
        let stream = tokio::time::timeout(settings.connect_timeout, TcpStream::connect(address))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let state = State::Open { waiting: HashMap::new(), next_opaque: 0 };
        let shared = Arc::new(Shared { address: address.to_owned(), state: Mutex::new(state) });
        let (frames, outgoing) = mpsc::channel(MAX_IN_FLIGHT);
        let task = tokio::spawn(drive(stream, outgoing, Arc::clone(&shared), settings.max_frame));
        Ok(Self {
            inner: Arc::new(Inner {
                shared,
                frames,
                places: Semaphore::new(MAX_IN_FLIGHT),
                request_timeout: settings.request_timeout,
                task: task.abort_handle(),
            }),
        })
    }

    /// `host:port` of the peer, as given.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.inner.shared.address
    }

    /// Whether the connection ended; then every request fails.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(*self.inner.shared.state(), State::Ended(_))
    }

    /// Sends a request and waits for the body of its response.
    ///
    /// With version [`remoting::VERSION_METASERVER`] the request code in the header stays unset, with any other it
    /// repeats `code`, as QMQ does. Dropping the future gives the response up; the connection can be used further.
    ///
    /// # Errors
    /// [`PeerError::Timeout`] without an answer in time, [`PeerError::Refused`] if the result code is not success,
    /// [`PeerError::Protocol`] or [`PeerError::Closed`] if the connection ended.
    pub async fn request(&self, code: i16, version: i16, body: &[u8]) -> Result<Bytes, PeerError> {
        let after = self.inner.request_timeout;
        let response = match tokio::time::timeout(after, self.exchange(code, version, body)).await {
            Ok(response) => response?,
            Err(_) => {
                let address = self.address().to_owned();
                return Err(PeerError::Timeout { address, what: name(code), after });
            }
        };
        // The body of an error response is empty or of no known shape.
        if response.code != remoting::SUCCESS {
            let address = self.address().to_owned();
            return Err(PeerError::Refused { address, what: name(code), code: response.code });
        }
        Ok(response.body)
    }

    async fn exchange(&self, code: i16, version: i16, body: &[u8]) -> Result<Response, PeerError> {
        let shared = &self.inner.shared;
        let _place = self.inner.places.acquire().await.map_err(|_| shared.error())?;
        let (ticket, response) = shared.enter()?;
        let request_code = match version {
            remoting::VERSION_METASERVER => remoting::REQUEST_CODE_UNSET,
            _ => code,
        };
        let flag = remoting::FLAG_REQUEST;
        let header = Header { code, version, opaque: ticket.opaque, flag, request_code };
        let mut frame = Vec::new();
        remoting::encode(&mut frame, &header, body);
        self.inner.frames.send(frame).await.map_err(|_| shared.error())?;
        response.await.map_err(|_| shared.error())
    }
}

fn name(code: i16) -> String {
    remoting::request_name(code).map_or_else(|| format!("request {code}"), str::to_owned)
}

/// A place in the table of waiting requests, given back when the caller stops waiting for any reason.
struct Ticket<'a> {
    shared: &'a Shared,
    opaque: i32,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        drop(self.shared.take(self.opaque));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self) -> Result<(Ticket<'_>, oneshot::Receiver<Response>), PeerError> {
        let (sender, receiver) = oneshot::channel();
        let opaque = match &mut *self.state() {
            State::Open { waiting, next_opaque } => {
                let opaque = *next_opaque;
                *next_opaque = opaque.wrapping_add(1);
                waiting.insert(opaque, sender);
                opaque
            }
            State::Ended(end) => return Err(self.ended(end)),
        };
        Ok((Ticket { shared: self, opaque }, receiver))
    }

    fn take(&self, opaque: i32) -> Option<oneshot::Sender<Response>> {
        match &mut *self.state() {
            State::Open { waiting, .. } => waiting.remove(&opaque),
            State::Ended(_) => None,
        }
    }

    fn deliver(&self, opaque: i32, response: Response) {
        let taken = self.take(opaque).is_some_and(|waiting| waiting.send(response).is_ok());
        if !taken {
            debug!(address = %self.address, opaque, "dropped a late or unknown response");
        }
    }

    /// Ends the connection; dropping the senders wakes everyone who waits.
    fn end(&self, end: End) {
        *self.state() = State::Ended(end);
    }

    fn error(&self) -> PeerError {
        match &*self.state() {
            State::Ended(end) => self.ended(end),
            State::Open { .. } => self.ended(&End::Closed),
        }
    }

    fn ended(&self, end: &End) -> PeerError {
        let address = self.address.clone();
        match end {
            End::Closed => PeerError::Closed { address },
            End::Protocol(reason) => PeerError::Protocol { address, reason: reason.clone() },
        }
    }
}

/// Moves frames both ways until one direction ends. One task for both, so that aborting it closes the socket.
async fn drive(
    mut stream: TcpStream,
    mut outgoing: mpsc::Receiver<Vec<u8>>,
    shared: Arc<Shared>,
    max_frame: usize,
) {
    let (reading, writing) = stream.split();
    let end = tokio::select! {
        // What the peer sent last says more than that it takes no more.
        biased;
        end = receive(reading, &shared, max_frame) => end,
        end = send(writing, &mut outgoing, &shared) => end,
    };
    debug!(address = %shared.address, ?end, "connection ended");
    shared.end(end);
}

async fn send(
    mut writing: impl AsyncWrite + Unpin,
    outgoing: &mut mpsc::Receiver<Vec<u8>>,
    shared: &Shared,
) -> End {
    while let Some(frame) = outgoing.recv().await {
        if let Err(error) = writing.write_all(&frame).await {
            debug!(address = %shared.address, %error, "cannot write");
            break;
        }
    }
    End::Closed
}

async fn receive(mut reading: impl AsyncRead + Unpin, shared: &Shared, max_frame: usize) -> End {
    let mut buffer = BytesMut::new();
    loop {
        if let Err(reason) = deliver_whole_frames(&mut buffer, shared, max_frame) {
            return End::Protocol(reason);
        }
        buffer.reserve(READ_BYTES);
        match reading.read_buf(&mut buffer).await {
            Ok(0) => return End::Closed,
            Ok(_) => {}
            Err(error) => {
                debug!(address = %shared.address, %error, "cannot read");
                return End::Closed;
            }
        }
    }
}

fn deliver_whole_frames(buffer: &mut BytesMut, shared: &Shared, max_frame: usize) -> Result<(), String> {
    loop {
        let (header, copied, size) = match remoting::step(buffer, max_frame) {
            Step::Frame { header, body, size } => {
                (header, (body.len() < COPIED_BYTES).then(|| Bytes::copy_from_slice(body)), size)
            }
            Step::Incomplete => return Ok(()),
            Step::Invalid(invalid) => return Err(invalid.to_string()),
        };
        if !header.is_response() {
            return Err(format!("a frame with flag {} where only responses may come", header.flag));
        }
        let frame = buffer.split_to(size);
        let body = copied.unwrap_or_else(|| frame.freeze().split_off(remoting::MIN_FRAME_BYTES));
        shared.deliver(header.opaque, Response { code: header.code, body });
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
