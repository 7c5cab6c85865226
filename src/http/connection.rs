//! What a connection waits for, and since when: for a head, for its next request, or for the client to take its answer.
//!
//! This module records times and closes nothing itself. [`super::server`] checks all connections periodically.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::BoxError;
use axum::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use super::budget::Held;
use super::observe::RequestTag;
use crate::config;

/// Bytes that a client must take for its write timeout to start again.
const PROGRESS_BYTES: usize = 16 * 1024;
/// Write timeout while other requests wait for memory.
const SHORT_OF_MEMORY: Duration = Duration::from_secs(2);
/// Maximum bytes handed over at a time. Bytes that were handed over no longer count as reserved memory.
const FRAME_BYTES: usize = 64 * 1024;

/// Why a connection is closed before its client closes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// No request arrived.
    Idle,
    /// The head of a request did not arrive completely.
    Head,
    /// The client did not take its answer.
    Write,
}

impl Overdue {
    /// Label in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Overdue::Idle => "idle",
            Overdue::Head => "head",
            Overdue::Write => "write",
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    state: Mutex<State>,
    /// Closes it immediately when cancelled.
    pub(super) close: CancellationToken,
}

#[derive(Debug)]
struct State {
    /// Requests whose answers are not completely handed over.
    in_flight: usize,
    /// Whether it ever had a request.
    had_request: bool,
    /// Whether bytes of the next head have arrived.
    in_head: bool,
    /// When the wait for the next request or for the rest of its head began.
    since: Instant,
    /// When writing began to block, and how many bytes were written since.
    blocked: Option<(Instant, usize)>,
    /// Answers that handed over a part and were not polled for the next one yet, with the time since then.
    unpolled: Vec<(u64, Instant)>,
    answers: u64,
}

impl Connection {
    pub(super) fn new() -> Connection {
        let state = State {
            in_flight: 0,
            had_request: false,
            in_head: false,
            since: Instant::now(),
            blocked: None,
            unpolled: Vec::new(),
            answers: 0,
        };
        Connection { state: Mutex::new(state), close: CancellationToken::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has arrived. It is in progress until the value is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        let mut state = self.state();
        state.in_flight += 1;
        state.had_request = true;
        state.in_head = false;
        InFlight(self.clone())
    }

    /// Since when it waits for a request; `None` while a request is in progress.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.in_flight == 0 && state.blocked.is_none()).then_some(state.since)
    }

    /// The time limit that has passed, if any.
    pub(super) fn overdue(&self, now: Instant, limits: &config::Http, is_short: bool) -> Option<Overdue> {
        let state = self.state();
        let write_timeout = match is_short {
            true => limits.write_timeout.min(SHORT_OF_MEMORY),
            false => limits.write_timeout,
        };
        let waits =
            state.blocked.iter().map(|(since, _)| since).chain(state.unpolled.iter().map(|(_, since)| since));
        if waits.into_iter().any(|since| now.saturating_duration_since(*since) > write_timeout) {
            return Some(Overdue::Write);
        }
        if state.in_flight > 0 {
            return None;
        }
        let waited = now.saturating_duration_since(state.since);
        match state.in_head || !state.had_request {
            true if waited > limits.head_timeout => Some(Overdue::Head),
            false if waited > limits.idle_timeout => Some(Overdue::Idle),
            _ => None,
        }
    }

    fn got_bytes(&self) {
        let mut state = self.state();
        if state.in_flight == 0 && !state.in_head {
            state.in_head = true;
            // for the first head, time counts from the start of the connection
            if state.had_request {
                state.since = Instant::now();
            }
        }
    }

    fn wrote(&self, outcome: &Poll<io::Result<usize>>, wanted: usize) {
        let mut state = self.state();
        match (outcome, state.blocked) {
            (Poll::Pending, None) => state.blocked = Some((Instant::now(), 0)),
            (Poll::Pending, Some((_, taken))) if taken >= PROGRESS_BYTES => {
                state.blocked = Some((Instant::now(), 0));
            }
            (Poll::Pending, Some(_)) => {}
            (Poll::Ready(Ok(count)), Some((since, taken))) if *count < wanted => {
                state.blocked = Some((since, taken + count));
            }
            (Poll::Ready(_), _) => state.blocked = None,
        }
    }
}

/// A request in progress.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Connection>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_flight = state.in_flight.saturating_sub(1);
        if state.in_flight == 0 {
            state.since = Instant::now();
        }
    }
}

/// A stream that records reads and writes.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    connection: Arc<Connection>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, connection: Arc<Connection>) -> Watched<S> {
        Watched { stream, connection }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.connection.got_bytes();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.connection.wrote(&outcome, buf.len());
        outcome
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
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.connection.wrote(&outcome, bufs.iter().map(|buf| buf.len()).sum());
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// The body of a request, with a time limit.
pub(super) struct TimedBody<B> {
    body: B,
    timeout: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<B> TimedBody<B> {
    pub(super) fn new(body: B, timeout: Duration) -> TimedBody<B> {
        TimedBody { body, timeout, timer: None }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for TimedBody<B>
where
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let timeout = self.timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Some(Err("the body did not arrive within http.body_timeout".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer. It records whether the client takes it, and releases its memory at the end.
pub(super) struct WatchedBody {
    body: axum::body::Body,
    /// The rest of the last frame.
    left: Bytes,
    number: u64,
    in_flight: InFlight,
    tag: Option<RequestTag>,
    _held: Option<Arc<Held>>,
}

impl WatchedBody {
    pub(super) fn new(
        body: axum::body::Body,
        in_flight: InFlight,
        tag: Option<RequestTag>,
        held: Option<Arc<Held>>,
    ) -> WatchedBody {
        let number = {
            let mut state = in_flight.0.state();
            state.answers += 1;
            state.answers
        };
        WatchedBody { body, left: Bytes::new(), number, in_flight, tag, _held: held }
    }

    fn was_polled(&self) {
        let number = self.number;
        self.in_flight.0.state().unpolled.retain(|(other, _)| *other != number);
    }

    fn hand_over(&self, bytes: Bytes) -> Frame<Bytes> {
        self.in_flight.0.state().unpolled.push((self.number, Instant::now()));
        Frame::data(bytes)
    }
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.was_polled();
        if self.left.is_empty() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    if let Some(tag) = &self.tag {
                        tag.answer_was_cut(&error);
                    }
                    return Poll::Ready(Some(Err(error)));
                }
                None => return Poll::Ready(None),
            };
            match frame.into_data() {
                Ok(data) => self.left = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let next = self.left.len().min(FRAME_BYTES);
        let bytes = self.left.split_to(next);
        Poll::Ready(Some(Ok(self.hand_over(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, left) = (self.body.size_hint(), self.left.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(left));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(left));
        }
        hint
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        self.was_polled();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_waiting_has_its_time() {
        let limits = config::Http::default();
        let connection = Arc::new(Connection::new());
        let later = |wait: Duration| Instant::now() + wait;
        let overdue = |connection: &Connection, wait: Duration| {
            connection.overdue(later(wait), &limits, false).map(Overdue::name)
        };
        let (head, idle, write) = (
            limits.head_timeout + Duration::from_secs(1),
            limits.idle_timeout + Duration::from_secs(1),
            limits.write_timeout + Duration::from_secs(1),
        );
        assert_eq!(overdue(&connection, Duration::ZERO), None);
        assert_eq!(overdue(&connection, head), Some("head"), "no request yet");
        let request = connection.begin();
        assert_eq!(overdue(&connection, idle * 10), None, "a request is in progress");
        assert!(connection.waits_since().is_none());
        drop(request);
        assert_eq!(overdue(&connection, head), None);
        assert_eq!(overdue(&connection, idle), Some("idle"));
        connection.got_bytes();
        assert_eq!(overdue(&connection, head), Some("head"), "the next head began");
        let _request = connection.begin();
        connection.wrote(&Poll::Pending, 100);
        assert_eq!(overdue(&connection, write), Some("write"));
        let soon = later(SHORT_OF_MEMORY + Duration::from_millis(100));
        assert_eq!(connection.overdue(soon, &limits, false), None);
        assert_eq!(connection.overdue(soon, &limits, true), Some(Overdue::Write), "others wait");
        connection.wrote(&Poll::Ready(Ok(100)), 100);
        assert_eq!(overdue(&connection, write), None, "all was taken");
    }
}
