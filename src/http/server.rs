//! The listener: accepts a limited number of connections, and closes those whose clients are too slow.
//!
//! **NOBODY-WAITS-FOR-THE-SLOW**: everything that a client must do (send a head, a body or the next request, take its
//! answer) has a time limit. If all connections are in use, an idle one is closed for a new one. The router answers
//! requests.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, Write};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::budget::{self, Held};
use super::connection::{Connection, TimedBody, Watched, WatchedBody};
use super::lenient_io::LenientIo;
use super::observe::RequestTag;
use super::open_files;
use crate::config;

/// Marks requests that arrived over a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct OverSocket;

/// Pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Maximum concurrent streams of one HTTP/2 connection.
const MAX_STREAMS: u32 = 32;
/// Answer to a client when all connections are in use.
const OVERLOADED: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n\
retry-after: 1\r\nconnection: close\r\ncontent-length: 169\r\n\r\n\
{\"type\":\"urn:mqlake:problem:overloaded\",\"title\":\"Service Unavailable\",\"status\":503,\
\"detail\":\"all connections are in use (http.max_connections); try again later\"}       \n";

/// Serves until `stop` completes, then gives running requests `http.shutdown_grace` to end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: config::Http,
    stop: impl Future<Output = ()>,
) {
    let connections = Arc::new(Connections::new(max_connections(&settings)));
    let sweeper = tokio::spawn(sweep(connections.clone(), settings.clone()));
    let (stopping, is_stopping) = watch::channel(false);
    let tasks = TaskTracker::new();
    let server = Server {
        builder: builder(&settings),
        router,
        connections: connections.clone(),
        is_stopping,
        settings,
    };
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => match connections.admit() {
                Some((number, connection)) => {
                    let _ = stream.set_nodelay(true);
                    let server = server.clone();
                    tasks.spawn(async move {
                        server.run(stream, &connection).await;
                        server.connections.remove(number);
                    });
                }
                None => refuse(stream),
            },
            Err(error) => pause(&error, &connections).await,
        }
    }
    drop(listener);
    let _ = stopping.send(true);
    tasks.close();
    if tokio::time::timeout(server.settings.shutdown_grace, tasks.wait()).await.is_err() {
        tracing::warn!("requests still running after http.shutdown_grace were cut off");
        connections.close_all();
    }
    sweeper.abort();
}

/// Maximum number of connections: at most half of the open files, since data files need some, too.
fn max_connections(settings: &config::Http) -> usize {
    let files = open_files::raise();
    let half = files.map_or(usize::MAX, |files| usize::try_from(files.now / 2).unwrap_or(usize::MAX).max(1));
    let connections = settings.max_connections.min(half);
    if let Some(files) = files {
        tracing::info!(
            files.before,
            files.now,
            connections,
            "the limit on open files was raised as far as allowed"
        );
    }
    if connections < settings.max_connections {
        tracing::warn!(
            connections,
            "the limit on open files leaves no room for http.max_connections; raise it (ulimit -n, LimitNOFILE=)"
        );
    }
    connections
}

fn builder(settings: &config::Http) -> Builder<TokioExecutor> {
    let head = usize::try_from(settings.max_head_bytes.as_u64()).unwrap_or(usize::MAX);
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // `sweep` checks all connections
        .header_read_timeout(None)
        .max_headers(settings.max_headers)
        .max_buf_size(head);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
        .keep_alive_interval(settings.idle_timeout)
        .keep_alive_timeout(settings.head_timeout);
    builder
}

/// Closes connections that exceed a time limit.
async fn sweep(connections: Arc<Connections>, limits: config::Http) {
    let shortest =
        limits.head_timeout.min(limits.idle_timeout).min(limits.write_timeout).min(Duration::from_secs(2));
    let mut ticks = tokio::time::interval((shortest / 4).max(Duration::from_millis(5)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let now = ticks.tick().await;
        let is_short = budget::is_short();
        for connection in connections.all().iter().filter(|connection| !connection.close.is_cancelled()) {
            if let Some(why) = connection.overdue(now, &limits, is_short) {
                metrics::counter!("mqlake_http_connections_closed_total", "reason" => why.name())
                    .increment(1);
                connection.close.cancel();
            }
        }
    }
}

/// Answers that all connections are in use, without reading the request.
fn refuse(stream: TcpStream) {
    metrics::counter!("mqlake_http_connections_refused_total").increment(1);
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write_all(OVERLOADED);
    }
}

/// Pauses after a failed `accept`, unless the failure concerns one connection only.
async fn pause(error: &io::Error, connections: &Connections) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        return;
    }
    // most likely the limit on open files is reached
    tracing::warn!(%error, "cannot accept a connection");
    connections.close_idle();
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

#[derive(Clone)]
struct Server {
    builder: Builder<TokioExecutor>,
    router: Router,
    connections: Arc<Connections>,
    is_stopping: watch::Receiver<bool>,
    settings: config::Http,
}

impl Server {
    /// Answers on one connection until it ends.
    async fn run(&self, stream: TcpStream, connection: &Arc<Connection>) {
        let most = usize::try_from(self.settings.max_head_bytes.as_u64()).unwrap_or(usize::MAX);
        let io = TokioIo::new(Watched::new(LenientIo::new(stream, most), connection.clone()));
        let routes = TowerToHyperService::new(self.router.clone());
        let body_timeout = self.settings.body_timeout;
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let in_flight = connection.begin();
            let mut request = request.map(|body| Body::new(TimedBody::new(body, body_timeout)));
            request.extensions_mut().insert(OverSocket);
            let answer = routes.call(request);
            async move {
                let mut response = answer.await?;
                let tag = response.extensions_mut().remove::<RequestTag>();
                let held = response.extensions_mut().remove::<Arc<Held>>();
                Ok::<_, Infallible>(response.map(|body| WatchedBody::new(body, in_flight, tag, held)))
            }
        });
        let mut serving = pin!(self.builder.serve_connection(io, service));
        let mut is_stopping = self.is_stopping.clone();
        tokio::select! {
            _ = serving.as_mut() => return,
            () = connection.close.cancelled() => return,
            _ = is_stopping.wait_for(|stopping| *stopping) => {}
        }
        serving.as_mut().graceful_shutdown();
        tokio::select! {
            _ = serving.as_mut() => {}
            () = connection.close.cancelled() => {}
        }
    }
}

/// All connections.
#[derive(Debug)]
struct Connections {
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    max: usize,
    next: AtomicU64,
}

impl Connections {
    fn new(max: usize) -> Connections {
        Connections { open: Mutex::default(), max, next: AtomicU64::new(0) }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits one more connection, if necessary in place of the one that has been idle longest.
    fn admit(&self) -> Option<(u64, Arc<Connection>)> {
        let mut open = self.open();
        if open.len() >= self.max && !close_idlest(&mut open) {
            return None;
        }
        let (number, connection) = (self.next.fetch_add(1, Ordering::Relaxed), Arc::new(Connection::new()));
        open.insert(number, connection.clone());
        metrics::gauge!("mqlake_http_connections").set(open.len() as f64);
        Some((number, connection))
    }

    fn remove(&self, number: u64) {
        let mut open = self.open();
        open.remove(&number);
        metrics::gauge!("mqlake_http_connections").set(open.len() as f64);
    }

    fn close_idle(&self) {
        close_idlest(&mut self.open());
    }

    fn close_all(&self) {
        self.open().values().for_each(|connection| connection.close.cancel());
    }

    fn all(&self) -> Vec<Arc<Connection>> {
        self.open().values().cloned().collect()
    }
}

/// Closes the connection that has been idle longest; `false` if none is idle.
fn close_idlest(open: &mut HashMap<u64, Arc<Connection>>) -> bool {
    let waiting = open.iter().filter_map(|(number, connection)| Some((connection.waits_since()?, *number)));
    let Some((_, number)) = waiting.min_by_key(|(since, _): &(Instant, u64)| *since) else { return false };
    if let Some(connection) = open.remove(&number) {
        metrics::counter!("mqlake_http_connections_closed_total", "reason" => "room").increment(1);
        connection.close.cancel();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_is_closed_for_a_new_one() {
        let connections = Connections::new(2);
        let (_, first) = connections.admit().unwrap();
        let (_, second) = connections.admit().unwrap();
        let request = first.begin();
        let (_, third) = connections.admit().unwrap();
        assert!(second.close.is_cancelled() && !first.close.is_cancelled());
        let _other = third.begin();
        assert!(connections.admit().is_none(), "none is idle");
        drop(request);
        assert!(connections.admit().is_some());
        assert!(first.close.is_cancelled());
    }

    #[test]
    fn the_refusal_is_a_whole_answer() {
        let text = std::str::from_utf8(OVERLOADED).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        assert_eq!(length.parse::<usize>().unwrap(), body.len());
        assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap()["status"], 503);
    }
}
