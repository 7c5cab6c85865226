//! The sync server of a broker group: log requests and checkpoint requests.
//!
//! Requests on one connection are answered as soon as each can be, so answers can overtake each other.

use std::io;
use std::sync::Arc;

use mqlake::codec::cursor::{Cursor, Short};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::cluster::{Found, Group, now_ms};
use super::faults::{Fate, PeerSettings};
use super::frame::{self, BROKER_ERROR, Request, SUCCESS, UNKNOWN_CODE};
use super::{Cluster, checkpoint};

const SYNC_LOG: i16 = 20;
const SYNC_CHECKPOINT: i16 = 21;
const HEARTBEAT: i8 = 3;
/// Where size and start offset of a log answer stand in the frame.
const SIZE_AT: usize = 24;
const DATA_AT: usize = 36;

/// What is in the buffer after a request was looked at.
#[derive(PartialEq, Eq)]
enum Made {
    /// The response.
    Ready,
    /// Nothing yet: there was no data.
    Wait,
    /// Nothing, for ever.
    Never,
}

/// One side of a connection; `None` once an answer broke off.
type Out = Arc<Mutex<Option<OwnedWriteHalf>>>;

struct Server {
    cluster: Arc<Cluster>,
    group: Arc<Group>,
}

/// Answers the requests of one connection until it ends.
pub(super) async fn connection(cluster: Arc<Cluster>, group: Arc<Group>, stream: TcpStream) {
    let server = Arc::new(Server { cluster, group });
    let (read, write) = stream.into_split();
    let mut read = BufReader::new(read);
    let out = Arc::new(Mutex::new(Some(write)));
    // Dropped with the connection, which ends what still waits.
    let mut later = JoinSet::new();
    let mut frame = Vec::new();
    while let Ok(request) = frame::read(&mut read).await {
        while later.try_join_next().is_some() {}
        let Some(request) = request else {
            let _ = tokio::io::copy(&mut (&mut read).take(u64::MAX), &mut tokio::io::sink()).await;
            return;
        };
        let settings = server.cluster.settings.read().unwrap().clone();
        match server.make(&settings, &request, false, &mut frame) {
            Made::Never => {}
            Made::Ready if settings.delay.is_zero() => {
                if server.send(&out, &settings, &frame).await.is_err() {
                    return;
                }
            }
            Made::Ready => {
                let (server, out, frame) =
                    (Arc::clone(&server), Arc::clone(&out), std::mem::take(&mut frame));
                later.spawn(async move {
                    sleep(settings.delay).await;
                    let _ = server.send(&out, &settings, &frame).await;
                });
            }
            Made::Wait => {
                let (server, out) = (Arc::clone(&server), Arc::clone(&out));
                later.spawn(async move { server.look_again(&out, settings, &request).await });
            }
        }
    }
}

impl Server {
    async fn look_again(&self, out: &Out, settings: PeerSettings, request: &Request) {
        sleep(settings.sync_wait).await;
        let mut frame = Vec::new();
        if self.make(&settings, request, true, &mut frame) == Made::Ready {
            if !settings.delay.is_zero() {
                sleep(settings.delay).await;
            }
            let _ = self.send(out, &settings, &frame).await;
        }
    }

    async fn send(&self, out: &Out, settings: &PeerSettings, frame: &[u8]) -> io::Result<()> {
        let mut out = out.lock().await;
        let Some(write) = out.as_mut() else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let Some(cut) = self.cluster.dice.cut(settings.cut, frame.len()) else {
            return write.write_all(frame).await;
        };
        self.group.count(|counters| counters.faults.cut += 1);
        write.write_all(&frame[..cut]).await?;
        // Dropping the half closes its direction.
        *out = None;
        Err(io::ErrorKind::BrokenPipe.into())
    }

    /// Makes the response to a request in the buffer.
    fn make(&self, settings: &PeerSettings, request: &Request, second: bool, out: &mut Vec<u8>) -> Made {
        match request.code {
            SYNC_LOG => return self.make_log(settings, request, second, out),
            SYNC_CHECKPOINT => {
                self.group.count(|counters| counters.checkpoints += 1);
                frame::begin(out, request, SUCCESS);
                let state = self.group.state.read().unwrap();
                let mut known = self.group.checkpoint.lock().unwrap();
                if known.as_ref().is_none_or(|(ends, _)| *ends != state.visible) {
                    let mut body = Vec::new();
                    checkpoint::write(&state, &mut body);
                    *known = Some((state.visible, body));
                }
                out.extend_from_slice(known.as_ref().map(|(_, body)| body.as_slice()).unwrap_or_default());
            }
            _ => {
                self.group.count(|counters| counters.unknown += 1);
                frame::begin(out, request, UNKNOWN_CODE);
            }
        }
        frame::end(out);
        if request.is_one_way() { Made::Never } else { Made::Ready }
    }

    fn make_log(&self, settings: &PeerSettings, request: &Request, second: bool, out: &mut Vec<u8>) -> Made {
        let asked = asked(&request.body).ok();
        if !second {
            self.count(asked);
        }
        let fate = if second { Fate::Fine } else { self.cluster.dice.fate(settings) };
        let (Fate::Fine, Some((kind @ (1..=3 | 5), message, action))) = (fate, asked) else {
            if fate == Fate::Silent {
                self.group.count(|counters| counters.faults.silent += 1);
                return Made::Never;
            }
            self.group.count(|counters| counters.faults.error += u64::from(fate == Fate::Error));
            frame::begin(out, request, BROKER_ERROR);
            frame::end(out);
            return Made::Ready;
        };
        frame::begin(out, request, SUCCESS);
        let made = self.write_answer(settings, (kind, message, action), second, out);
        frame::end(out);
        made
    }

    fn write_answer(
        &self,
        settings: &PeerSettings,
        asked: (i8, i64, i64),
        second: bool,
        out: &mut Vec<u8>,
    ) -> Made {
        let (kind, message, action) = asked;
        let state = self.group.state.read().unwrap();
        if kind == HEARTBEAT {
            out.extend_from_slice(&state.visible.0.to_be_bytes());
            out.extend_from_slice(&state.visible.1.to_be_bytes());
            return Made::Ready;
        }
        out.resize(DATA_AT, 0);
        let echo = if kind == 2 { message } else { action };
        let start = match state.look(kind, message, action, settings.batch_size, out) {
            Found::Data(start) => start.to_be_bytes(),
            Found::Nothing if second => echo.to_be_bytes(),
            Found::Nothing => return Made::Wait,
            Found::NoAnswer => {
                self.group.count(|counters| counters.faults.swallowed += 1);
                return Made::Never;
            }
        };
        if let (5, Some(cut)) = (kind, settings.index_cut) {
            out.truncate(DATA_AT.saturating_add(cut));
        }
        let size = out.len() - DATA_AT;
        out[SIZE_AT..SIZE_AT + 4].copy_from_slice(&(size as u32).to_be_bytes());
        out[SIZE_AT + 4..DATA_AT].copy_from_slice(&start);
        self.group.count(|counters| {
            if let Some(asked) = counters.asked(kind) {
                asked.bytes += size as u64;
            }
        });
        Made::Ready
    }

    fn count(&self, asked: Option<(i8, i64, i64)>) {
        self.group.count(|counters| {
            let Some((kind, message_offset, action_offset)) = asked else {
                counters.refused += 1;
                return;
            };
            let Some(asked) = counters.asked(kind) else {
                counters.refused += 1;
                return;
            };
            asked.requests += 1;
            asked.message_offset = message_offset;
            asked.action_offset = action_offset;
            asked.at_ms = now_ms();
        });
    }
}

fn asked(body: &[u8]) -> Result<(i8, i64, i64), Short> {
    let mut cursor = Cursor::new(body);
    Ok((cursor.i8()?, cursor.i64()?, cursor.i64()?))
}
