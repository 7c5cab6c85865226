//! One connection to a server, shared by any number of callers, for protocols whose responses repeat the id of their
//! request.
//!
//! A task owns the stream. It writes frames as callers encoded them, and hands each response to the caller that waits
//! for its id; responses may come in any order. Nothing is ever sent on its own account, and nothing here connects
//! again: a connection that ended stays ended, and its owner opens another.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::codec::{Decoder, FramedRead};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::debug;

/// Frames that wait to be written; further ones wait at their callers.
const QUEUED_FRAMES: usize = 32;
/// Free space offered to the first read; the buffer grows with the frames.
const READ_BYTES: usize = 16 * 1024;
/// Longest time to announce the end of the connection to the server.
const GOODBYE: Duration = Duration::from_secs(1);

/// A frame from the server.
#[derive(Debug)]
pub enum Received<R> {
    /// The response to the request with this id.
    Response(i32, R),
    /// A request of the server, with the frame that answers it. `None` if it wants no answer.
    Request(Option<Vec<u8>>),
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// One of both closed it, or the network failed.
    Closed(String),
    /// The server sent what the protocol does not allow.
    Protocol(String),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Closed(error.to_string())
    }
}

fn closed(reason: &str) -> End {
    End::Closed(reason.to_owned())
}

/// Why a request has no response.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure<E> {
    /// No response in time. The connection can be used further.
    Timeout,
    /// The connection ended before the response came.
    Ended(End),
    /// The request cannot be encoded, and was not sent.
    Unsendable(E),
}

/// Connects to `host:port`, where the host can be a name, and sets up with `secure` what lies above TCP.
///
/// # Errors
/// Those of connecting and of `secure`, and one of kind `TimedOut` if both together take longer than `within`.
pub async fn connect<S, F: Future<Output = io::Result<S>>>(
    address: &str,
    within: Duration,
    secure: impl FnOnce(TcpStream) -> F,
) -> io::Result<S> {
    let connecting = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        secure(stream).await
    };
    tokio::time::timeout(within, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// A connection to a server with responses `R`. Clones share it; it is closed when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Connection<C, R> {
    codec: C,
    shared: Arc<Shared<R>>,
    frames: mpsc::Sender<Vec<u8>>,
    /// Cancels `closing` when the last clone is dropped.
    _closes: Arc<DropGuard>,
}

/// What callers and the task of a connection have in common.
#[derive(Debug)]
struct Shared<R> {
    address: String,
    permits: Semaphore,
    state: Mutex<State<R>>,
    /// Cancelled when nobody wants the connection any more.
    closing: CancellationToken,
}

#[derive(Debug)]
struct State<R> {
    /// Requests without a response, by id. Empty once the connection ended.
    waiting: HashMap<i32, oneshot::Sender<R>>,
    next_id: i32,
    used: Instant,
    end: Option<End>,
}

impl<C, R> Connection<C, R>
where
    C: Decoder<Item = Received<R>, Error = End> + Clone + Send + 'static,
    R: Send + 'static,
{
    /// Takes over a stream to the server at `address`. At most `max_in_flight` requests wait for their response at a
    /// time; further ones wait for a permit.
    pub fn over<S>(stream: S, address: &str, codec: C, max_in_flight: usize) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let state = State { waiting: HashMap::new(), next_id: 0, used: Instant::now(), end: None };
        let shared = Arc::new(Shared {
            address: address.to_owned(),
            permits: Semaphore::new(max_in_flight.clamp(1, Semaphore::MAX_PERMITS)),
            state: Mutex::new(state),
            closing: CancellationToken::new(),
        });
        let (frames, outgoing) = mpsc::channel(QUEUED_FRAMES);
        tokio::spawn(drive(stream, codec.clone(), frames.clone(), outgoing, Arc::clone(&shared)));
        let guard = Arc::new(shared.closing.clone().drop_guard());
        Self { codec, shared, frames, _closes: guard }
    }

    /// The address of the server, as given.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.shared.address
    }

    /// The codec, as given.
    #[must_use]
    pub fn codec(&self) -> &C {
        &self.codec
    }

    /// Whether the connection ended; then every request fails.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.state().end.is_some()
    }

    /// How long nothing was asked or answered; zero while a request waits for its response.
    #[must_use]
    pub fn idle_for(&self) -> Duration {
        let state = self.shared.state();
        if state.waiting.is_empty() && state.end.is_none() { state.used.elapsed() } else { Duration::ZERO }
    }

    /// Whether both share one connection.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Closes the connection. Requests that wait for their response fail.
    pub fn close(&self) {
        self.shared.end(closed("closed by this client"));
        self.shared.closing.cancel();
    }

    /// Sends the frame that `encode` makes under an id of this connection, and waits for its response. `after` is the
    /// longest time from now to the whole response.
    ///
    /// Dropping the future gives the response up; the connection can be used further.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn exchange<E>(
        &self,
        after: Duration,
        encode: impl FnOnce(i32) -> Result<Vec<u8>, E>,
    ) -> Result<R, Failure<E>> {
        let Self { shared, frames, .. } = self;
        let ended = || Failure::Ended(shared.reason());
        let exchange = async {
            let _permit = shared.permits.acquire().await.map_err(|_| ended())?;
            let (ticket, response) = shared.enter().ok_or_else(ended)?;
            let frame = encode(ticket.id).map_err(Failure::Unsendable)?;
            frames.send(frame).await.map_err(|_| ended())?;
            response.await.map_err(|_| ended())
        };
        tokio::time::timeout(after, exchange).await.unwrap_or(Err(Failure::Timeout))
    }
}

/// An entry in the table of waiting requests, removed when the caller stops waiting for any reason.
struct Ticket<'a, R> {
    shared: &'a Shared<R>,
    id: i32,
}

impl<R> Drop for Ticket<'_, R> {
    fn drop(&mut self) {
        drop(self.shared.take(self.id));
    }
}

impl<R> Shared<R> {
    fn state(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new id and its response to come, unless the connection ended.
    fn enter(&self) -> Option<(Ticket<'_, R>, oneshot::Receiver<R>)> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state();
        if state.end.is_some() {
            return None;
        }
        // After four thousand million requests an old one could still wait.
        while state.waiting.contains_key(&state.next_id) {
            state.next_id = state.next_id.wrapping_add(1);
        }
        let id = state.next_id;
        state.next_id = id.wrapping_add(1);
        state.used = Instant::now();
        state.waiting.insert(id, sender);
        Some((Ticket { shared: self, id }, receiver))
    }

    fn take(&self, id: i32) -> Option<oneshot::Sender<R>> {
        let mut state = self.state();
        state.used = Instant::now();
        state.waiting.remove(&id)
    }

    fn deliver(&self, id: i32, response: R) {
        let taken = self.take(id).is_some_and(|waiting| waiting.send(response).is_ok());
        if !taken {
            debug!(address = %self.address, id, "dropped a late or unknown response");
        }
    }

    /// Ends the connection, unless it ended before; dropping the senders wakes everyone who waits.
    fn end(&self, end: End) {
        let mut state = self.state();
        state.end.get_or_insert(end);
        state.waiting.clear();
    }

    fn reason(&self) -> End {
        self.state().end.clone().unwrap_or_else(|| closed("given up"))
    }
}

/// Moves frames both ways until one direction ends or nobody wants the connection. One task for both, so that the
/// stream is closed with it.
async fn drive<R>(
    stream: impl AsyncRead + AsyncWrite,
    codec: impl Decoder<Item = Received<R>, Error = End>,
    answers: mpsc::Sender<Vec<u8>>,
    outgoing: mpsc::Receiver<Vec<u8>>,
    shared: Arc<Shared<R>>,
) {
    let (reading, mut writing) = tokio::io::split(stream);
    let reading = FramedRead::with_capacity(reading, codec, READ_BYTES);
    let end = tokio::select! {
        // What the server sent last says more than that it takes no more.
        biased;
        () = shared.closing.cancelled() => closed("closed by this client"),
        end = receive(reading, &shared, &answers) => end,
        end = send(&mut writing, outgoing) => end,
    };
    debug!(address = %shared.address, ?end, "connection ended");
    shared.end(end);
    let _ = tokio::time::timeout(GOODBYE, writing.shutdown()).await;
}

async fn send(writing: &mut (impl AsyncWrite + Unpin), mut outgoing: mpsc::Receiver<Vec<u8>>) -> End {
    while let Some(frame) = outgoing.recv().await {
        // TLS keeps what is not flushed.
        let written = async {
            writing.write_all(&frame).await?;
            writing.flush().await
        };
        if let Err(error) = written.await {
            return error.into();
        }
    }
    closed("closed by this client")
}

async fn receive<R>(
    mut frames: impl Stream<Item = Result<Received<R>, End>> + Unpin,
    shared: &Shared<R>,
    answers: &mpsc::Sender<Vec<u8>>,
) -> End {
    while let Some(frame) = frames.next().await {
        match frame {
            Ok(Received::Response(id, response)) => shared.deliver(id, response),
            Ok(Received::Request(None)) => {}
            // Waiting for space would keep the reader from reading, for as long as the server does not read either.
            Ok(Received::Request(Some(answer))) => drop(answers.try_send(answer)),
            Err(end) => return end,
        }
    }
    closed("closed by the server")
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
