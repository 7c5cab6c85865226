//! One connection to a name server or a broker, shared by any number of callers.
//!
//! A task owns the socket and moves frames both ways; callers hand it frames and wait for the response with their
//! opaque. Responses may come in any order. Requests of the server are refused. Nothing is ever sent on its own account:
//! servers cut a connection that was silent for two minutes, and whoever wants to use it again opens another, as for
//! every other end.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tracing::debug;

use super::error::RemoteError;
use super::tls::Tls;
use crate::brokers::rocketmq::wire::command::Command;
use crate::brokers::rocketmq::wire::frame;
use crate::brokers::rocketmq::wire::header_error::HeaderType;

/// Frames that wait to be written; further ones wait at their callers.
const QUEUED_FRAMES: usize = 32;
/// Free space offered to each read.
const READ_BYTES: usize = 16 * 1024;
/// Longest time to say goodbye to the server.
const GOODBYE: Duration = Duration::from_secs(1);

/// Limits and forms of a connection.
#[derive(Debug, Clone)]
pub struct ConnectionSettings {
    /// Longest time to look up the name, connect and set up TLS.
    pub connect_timeout: Duration,
    /// Largest frame taken or sent, in bytes with its four length bytes. A larger one ends the connection.
    pub max_frame: usize,
    /// Most requests that wait for their response; further ones wait for a place. Waiting pulls count.
    pub max_in_flight: usize,
    /// How headers of requests are written. Responses are read in either type.
    pub header_type: HeaderType,
    /// TLS, if the server speaks it.
    pub tls: Option<Tls>,
}

/// A connection to a server. Clones share it; it is closed when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Connection {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    frames: mpsc::Sender<Vec<u8>>,
    places: Semaphore,
    header_type: HeaderType,
    max_frame: usize,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.closing.notify_one();
    }
}

/// What callers and the task of a connection have in common.
#[derive(Debug)]
struct Shared {
    address: String,
    state: Mutex<State>,
    /// Tells the task that nobody wants the connection any more.
    closing: Notify,
}

#[derive(Debug)]
enum State {
    Open { waiting: HashMap<i32, oneshot::Sender<Command>>, next_opaque: i32, used: Instant },
    Ended(End),
}

/// Why a connection ended.
#[derive(Debug, Clone)]
enum End {
    Closed(String),
    Protocol(String),
}

impl Connection {
    /// Connects to `host:port`; the host can be a name.
    ///
    /// # Errors
    /// [`RemoteError::Connect`], also when it takes too long.
    pub async fn open(address: &str, settings: &ConnectionSettings) -> Result<Self, RemoteError> {
        tokio::time::timeout(settings.connect_timeout, Self::connect(address, settings))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|source| RemoteError::Connect { address: address.to_owned(), source })
    }

    async fn connect(address: &str, settings: &ConnectionSettings) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let peer = stream.peer_addr()?.ip();
        Ok(match &settings.tls {
            None => Self::over(stream, address, settings),
            Some(tls) => Self::over(tls.connect(peer, stream).await?, address, settings),
        })
    }

    fn over(
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        address: &str,
        settings: &ConnectionSettings,
    ) -> Self {
        let state = State::Open { waiting: HashMap::new(), next_opaque: 0, used: Instant::now() };
        let shared = Arc::new(Shared {
            address: address.to_owned(),
            state: Mutex::new(state),
            closing: Notify::new(),
        });
        let (frames, outgoing) = mpsc::channel(QUEUED_FRAMES);
        let refusals = Refusals {
            frames: frames.clone(),
            header_type: settings.header_type,
            max_frame: settings.max_frame,
        };
        tokio::spawn(drive(stream, outgoing, refusals, Arc::clone(&shared)));
        Self {
            inner: Arc::new(Inner {
                shared,
                frames,
                places: Semaphore::new(settings.max_in_flight.clamp(1, Semaphore::MAX_PERMITS)),
                header_type: settings.header_type,
                max_frame: settings.max_frame,
            }),
        }
    }

    /// `host:port` of the server, as given.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.inner.shared.address
    }

    /// Whether the connection ended; then every call fails.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(*self.inner.shared.state(), State::Ended(_))
    }

    /// How long nothing was asked or answered; zero while a request waits for its response.
    #[must_use]
    pub fn idle_for(&self) -> Duration {
        match &*self.inner.shared.state() {
            State::Open { waiting, used, .. } if waiting.is_empty() => used.elapsed(),
            State::Open { .. } | State::Ended(_) => Duration::ZERO,
        }
    }

    /// Whether both share one connection.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Closes the connection. Requests that wait for their response fail.
    pub fn close(&self) {
        self.inner.shared.end(End::Closed("closed by this client".to_owned()));
        self.inner.shared.closing.notify_one();
    }

    /// Sends a request under an opaque of this connection and waits for its response, whatever its code. `request` is
    /// its name for errors, `after` the longest time from now to the whole response.
    ///
    /// Dropping the future gives the response up; the connection can be used further.
    ///
    /// # Errors
    /// [`RemoteError::Timeout`] without an answer in time, [`RemoteError::Closed`] or [`RemoteError::Protocol`] if the
    /// connection ended, [`RemoteError::Unsendable`] if there is no frame for the request.
    pub async fn call(
        &self,
        command: Command,
        request: &str,
        after: Duration,
    ) -> Result<Command, RemoteError> {
        tokio::time::timeout(after, self.exchange(command, request)).await.unwrap_or_else(|_| {
            let address = self.address().to_owned();
            Err(RemoteError::Timeout { address, request: request.to_owned(), after })
        })
    }

    async fn exchange(&self, mut command: Command, request: &str) -> Result<Command, RemoteError> {
        let inner = &*self.inner;
        let ended = || inner.shared.error(request);
        let _place = inner.places.acquire().await.map_err(|_| ended())?;
        let (ticket, response) = inner.shared.enter().ok_or_else(ended)?;
        command.opaque = ticket.opaque;
        let frame = frame::encode(&command, inner.header_type, inner.max_frame).map_err(|source| {
            RemoteError::Unsendable {
                address: self.address().to_owned(),
                request: request.to_owned(),
                source,
            }
        })?;
        inner.frames.send(frame).await.map_err(|_| ended())?;
        response.await.map_err(|_| ended())
    }
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

    /// A new opaque and its response to come, unless the connection ended.
    fn enter(&self) -> Option<(Ticket<'_>, oneshot::Receiver<Command>)> {
        let (sender, receiver) = oneshot::channel();
        match &mut *self.state() {
            State::Open { waiting, next_opaque, used } => {
                // After four thousand million requests an old one could still wait.
                while waiting.contains_key(next_opaque) {
                    *next_opaque = next_opaque.wrapping_add(1);
                }
                let opaque = *next_opaque;
                *next_opaque = opaque.wrapping_add(1);
                *used = Instant::now();
                waiting.insert(opaque, sender);
                Some((Ticket { shared: self, opaque }, receiver))
            }
            State::Ended(_) => None,
        }
    }

    fn take(&self, opaque: i32) -> Option<oneshot::Sender<Command>> {
        match &mut *self.state() {
            State::Open { waiting, used, .. } => {
                *used = Instant::now();
                waiting.remove(&opaque)
            }
            State::Ended(_) => None,
        }
    }

    fn deliver(&self, response: Command) {
        let opaque = response.opaque;
        let taken = self.take(opaque).is_some_and(|waiting| waiting.send(response).is_ok());
        if !taken {
            debug!(address = %self.address, opaque, "dropped a late or unknown response");
        }
    }

    /// Ends the connection, unless it ended before; dropping the senders wakes everyone who waits.
    fn end(&self, end: End) {
        let mut state = self.state();
        if matches!(*state, State::Open { .. }) {
            *state = State::Ended(end);
        }
    }

    fn error(&self, request: &str) -> RemoteError {
        let (address, request) = (self.address.clone(), request.to_owned());
        match &*self.state() {
            State::Ended(End::Protocol(reason)) => {
                RemoteError::Protocol { address, request, reason: reason.clone() }
            }
            State::Ended(End::Closed(reason)) => {
                RemoteError::Closed { address, request, reason: reason.clone() }
            }
            State::Open { .. } => RemoteError::Closed { address, request, reason: "given up".to_owned() },
        }
    }
}

/// Moves frames both ways until one direction ends or nobody wants the connection. One task for both, so that the
/// socket is closed with it.
async fn drive(
    stream: impl AsyncRead + AsyncWrite,
    mut outgoing: mpsc::Receiver<Vec<u8>>,
    refusals: Refusals,
    shared: Arc<Shared>,
) {
    let (reading, mut writing) = tokio::io::split(stream);
    let end = tokio::select! {
        // What the server sent last says more than that it takes no more.
        biased;
        () = shared.closing.notified() => End::Closed("closed by this client".to_owned()),
        end = receive(reading, &shared, &refusals) => end,
        end = send(&mut writing, &mut outgoing) => end,
    };
    debug!(address = %shared.address, ?end, "connection ended");
    shared.end(end);
    let _ = tokio::time::timeout(GOODBYE, writing.shutdown()).await;
}

async fn send(writing: &mut (impl AsyncWrite + Unpin), outgoing: &mut mpsc::Receiver<Vec<u8>>) -> End {
    while let Some(frame) = outgoing.recv().await {
        // TLS keeps what is not flushed.
        let written = async {
            writing.write_all(&frame).await?;
            writing.flush().await
        };
        if let Err(error) = written.await {
            return End::Closed(error.to_string());
        }
    }
    End::Closed("closed by this client".to_owned())
}

async fn receive(mut reading: impl AsyncRead + Unpin, shared: &Shared, refusals: &Refusals) -> End {
    let mut buffer = BytesMut::new();
    loop {
        loop {
            match frame::decode(&mut buffer, refusals.max_frame) {
                Ok(Some(command)) if command.is_response() => shared.deliver(command),
                Ok(Some(request)) => refusals.refuse(&request),
                Ok(None) => break,
                Err(error) => return End::Protocol(error.to_string()),
            }
        }
        buffer.reserve(READ_BYTES);
        match reading.read_buf(&mut buffer).await {
            Ok(0) if buffer.is_empty() => return End::Closed("closed by the server".to_owned()),
            Ok(0) => return End::Closed("closed by the server inside a frame".to_owned()),
            Ok(_) => {}
            Err(error) => return End::Closed(error.to_string()),
        }
    }
}

/// Answers requests of the server: this client serves none.
struct Refusals {
    frames: mpsc::Sender<Vec<u8>>,
    header_type: HeaderType,
    max_frame: usize,
}

impl Refusals {
    fn refuse(&self, request: &Command) {
        debug!(code = request.code, one_way = request.is_one_way(), "the server asks this client");
        if request.is_one_way() {
            return;
        }
        if let Ok(frame) = frame::encode(&request.not_supported(), self.header_type, self.max_frame) {
            // Waiting for a place would keep the reader from reading, for as long as the server does not read either.
            let _ = self.frames.try_send(frame);
        }
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
