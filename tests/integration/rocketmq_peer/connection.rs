//! One connection to the name server or a broker: requests are executed side by side, answers go out as they are
//! ready, and faults are played where bytes are written.

use super::Shared;
use super::frame::{self, Frame, HeaderType};
use super::handlers;
use super::response::{Response, SYSTEM_BUSY};
use super::settings::{Dice, Fate, Plan};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

/// Pieces of a cut answer that are only a few bytes long; the others are longer, so that it ends some time.
const TINY_PIECES: usize = 40;

/// The writing side.
struct Link {
    write: tokio::sync::Mutex<OwnedWriteHalf>,
    /// Last traffic.
    last: Mutex<Instant>,
    /// The connection is to be closed.
    broken: Notify,
}

/// Serves a connection to its end.
pub(super) async fn serve(shared: Arc<Shared>, server: String, stream: TcpStream) {
    let Ok(peer) = stream.peer_addr() else { return };
    let idle = shared.settings.read().unwrap().idle;
    let (mut read, write) = stream.into_split();
    let link = Arc::new(Link {
        write: tokio::sync::Mutex::new(write),
        last: Mutex::new(Instant::now()),
        broken: Notify::new(),
    });
    let requests = async {
        let mut tasks = JoinSet::new();
        // A malformed frame closes the connection without an answer, as its end does.
        while let Ok(request) = frame::read(&mut read).await {
            link.touch();
            while tasks.try_join_next().is_some() {}
            if request.is_response() {
                continue;
            }
            shared.note(&server, &request);
            tasks.spawn(one(Arc::clone(&shared), server.clone(), Arc::clone(&link), request, peer));
        }
    };
    tokio::select! {
        () = requests => {}
        () = link.broken.notified() => {}
        () = link.idle(idle) => {}
    }
}

/// Executes one request and answers it.
async fn one(shared: Arc<Shared>, server: String, link: Arc<Link>, request: Frame, peer: SocketAddr) {
    let plan = shared.plan(&server);
    let response = if plan.fate == Fate::Error {
        Response::error(SYSTEM_BUSY, "[TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while")
    } else {
        handlers::answer(&shared, &server, &request, peer).await
    };
    if plan.fate == Fate::Silent || request.is_one_way() {
        return;
    }
    if let Some(late) = plan.late {
        sleep(late).await;
    }
    let header = shared.settings.read().unwrap().header;
    let bytes = response.frame(request.opaque, header).encode();
    let stray = plan.wrong_opaque.then(|| stray(request.opaque, header));
    let _ = link.send(&bytes, stray.as_deref(), plan, &shared.dice).await;
}

/// A response that nobody asked for, as late ones are.
fn stray(opaque: i32, header: HeaderType) -> Vec<u8> {
    let response = Response::body(b"late".as_slice()).field("offset", 7).field("nextBeginOffset", 7);
    response.frame(opaque ^ 0x4000_0000, header).encode()
}

impl Link {
    fn touch(&self) {
        *self.last.lock().unwrap() = Instant::now();
    }

    /// Ends when there was no traffic for that long.
    async fn idle(&self, limit: Duration) {
        loop {
            let end = *self.last.lock().unwrap() + limit;
            if end <= Instant::now() {
                return;
            }
            sleep_until(end).await;
        }
    }

    async fn send(&self, bytes: &[u8], stray: Option<&[u8]>, plan: Plan, dice: &Dice) -> io::Result<()> {
        let mut write = self.write.lock().await;
        self.touch();
        if let Some(stray) = stray {
            write.write_all(stray).await?;
        }
        match plan.fate {
            Fate::Garbage => return write.write_all(&garbage(bytes, dice)).await,
            Fate::Torn => {
                write.write_all(&bytes[..1 + dice.below(bytes.len() - 1)]).await?;
                write.shutdown().await?;
                self.broken.notify_one();
                return Ok(());
            }
            _ => {}
        }
        if !plan.cut {
            return write.write_all(bytes).await;
        }
        let (mut rest, mut pieces) = (bytes, 0);
        while !rest.is_empty() {
            let most = if pieces < TINY_PIECES { 3 } else { 4096 };
            let (piece, tail) = rest.split_at(rest.len().min(1 + dice.below(most)));
            write.write_all(piece).await?;
            // Lets the reader see the piece by itself.
            sleep(Duration::from_micros(100)).await;
            (rest, pieces) = (tail, pieces + 1);
        }
        Ok(())
    }
}

/// Bytes that are no frame, made from an answer.
fn garbage(answer: &[u8], dice: &Dice) -> Vec<u8> {
    let mut bytes = answer.to_vec();
    match dice.below(5) {
        0 => bytes[..4].copy_from_slice(&i32::MAX.to_be_bytes()),
        1 => bytes[..4].copy_from_slice(&2_i32.to_be_bytes()),
        // The header is longer than the frame.
        2 => bytes[5..8].copy_from_slice(&[0xFF; 3]),
        // No such header type.
        3 => bytes[4] = 9,
        // Neither JSON nor a compact header.
        _ => bytes[8..].iter_mut().take(40).for_each(|byte| *byte = 0xEE),
    }
    bytes
}
