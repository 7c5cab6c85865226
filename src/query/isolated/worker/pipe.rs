//! Standard input and output as frames. One thread reads and one writes, so that no other thread of the worker blocks
//! on them.

use std::collections::HashMap;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use super::super::frame::{Frame, Kind, read_blocking};
use super::super::message::Read;
use super::super::os;

/// Frames that can wait to be written. A statement that makes more waits for its reader.
const FRAMES_AHEAD: usize = 2;
/// Maximum bytes requested from the server at once.
const READ_BYTES: u64 = 8 << 20;

type Reply = Result<Bytes, String>;

/// Both directions.
pub(super) struct Pipe {
    orders: mpsc::UnboundedReceiver<Frame>,
    cancelled: watch::Receiver<u64>,
    pub(super) frames: mpsc::Sender<Frame>,
    files: Arc<ServerFiles>,
}

impl Pipe {
    /// Starts the threads.
    pub(super) fn open() -> io::Result<Pipe> {
        let (to_orders, orders) = mpsc::unbounded_channel();
        let (to_cancelled, cancelled) = watch::channel(u64::MAX);
        let (frames, outgoing) = mpsc::channel(FRAMES_AHEAD);
        let files = Arc::new(ServerFiles {
            frames: frames.clone(),
            waiting: Mutex::default(),
            numbers: AtomicU64::new(0),
        });
        let answered = files.clone();
        let reader = std::thread::Builder::new().name("input".to_owned());
        reader.spawn(move || read(&to_orders, &to_cancelled, &answered))?;
        std::thread::Builder::new().name("output".to_owned()).spawn(move || write(outgoing))?;
        Ok(Pipe { orders, cancelled, frames, files })
    }

    /// The next order of the server.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        self.orders.recv().await
    }

    /// Waits until a statement is cancelled.
    pub(super) async fn cancelled(&mut self, number: u64) {
        if self.cancelled.wait_for(|cancelled| *cancelled == number).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub(super) async fn send(&self, frame: Frame) {
        // the receiving thread ends only with the process
        let _ = self.frames.send(frame).await;
    }

    pub(super) fn files(&self) -> Arc<ServerFiles> {
        self.files.clone()
    }
}

fn read(orders: &mpsc::UnboundedSender<Frame>, cancelled: &watch::Sender<u64>, files: &ServerFiles) {
    let mut input = io::BufReader::new(io::stdin().lock());
    loop {
        let frame = match read_blocking(&mut input) {
            Ok(Some(frame)) => frame,
            // the server is gone, or the input is not a server's
            Ok(None) | Err(_) => os::end_self(),
        };
        match frame.kind {
            Kind::Bytes | Kind::ReadFailed => files.answer(frame),
            Kind::Cancel => {
                if let Ok((number, _)) = frame.split_number() {
                    cancelled.send_replace(number);
                }
            }
            _ => {
                let _ = orders.send(frame);
            }
        }
    }
}

fn write(mut frames: mpsc::Receiver<Frame>) {
    let mut output = io::stdout().lock();
    while let Some(frame) = frames.blocking_recv() {
        let head = match frame.head() {
            Ok(head) => head,
            Err(error) => {
                eprintln!("{error}");
                os::end_self();
            }
        };
        let written = output.write_all(&head).and_then(|()| output.write_all(&frame.payload));
        if written.and_then(|()| output.flush()).is_err() {
            os::end_self();
        }
    }
}

/// Reads files that only the server can read.
#[derive(Debug)]
pub(super) struct ServerFiles {
    frames: mpsc::Sender<Frame>,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Reply>>>,
    numbers: AtomicU64,
}

impl ServerFiles {
    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<Reply>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, frame: Frame) {
        let is_read = frame.kind == Kind::Bytes;
        let Ok((number, bytes)) = frame.split_number() else { return };
        let waiting = self.waiting().remove(&number);
        if let Some(waiting) = waiting {
            let reply = if is_read { Ok(bytes) } else { Err(String::from_utf8_lossy(&bytes).into_owned()) };
            let _ = waiting.send(reply);
        }
    }

    /// Parts of a file.
    pub(super) async fn read(&self, path: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, String> {
        let mut parts = vec![Vec::new(); ranges.len()];
        let mut pieces = pieces(ranges).into_iter().peekable();
        while pieces.peek().is_some() {
            let mut asked = Vec::new();
            let mut bytes = 0;
            while let Some((part, piece)) =
                pieces.next_if(|(_, piece)| bytes + (piece.end - piece.start) <= READ_BYTES)
            {
                bytes += piece.end - piece.start;
                asked.push((part, piece));
            }
            let mut answer = self.ask(path, asked.iter().map(|(_, piece)| piece.clone()).collect()).await?;
            for (part, piece) in asked {
                let length = usize::try_from(piece.end - piece.start).map_err(|error| error.to_string())?;
                if answer.len() < length {
                    return Err(format!("{path} ends before {}", piece.end));
                }
                if let Some(part) = parts.get_mut(part) {
                    part.push(answer.split_to(length));
                }
            }
        }
        Ok(parts.into_iter().map(joined).collect())
    }

    async fn ask(&self, path: &str, ranges: Vec<Range<u64>>) -> Reply {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (reply, replied) = oneshot::channel();
        self.waiting().insert(number, reply);
        let read = Read { number, path: path.to_owned(), ranges };
        let frame = Frame::json(Kind::Read, &read).map_err(|error| error.to_string())?;
        self.frames.send(frame).await.map_err(|error| error.to_string())?;
        replied.await.map_err(|error| error.to_string())?
    }
}

/// Splits ranges into pieces that are small enough for one request, each with the index of its range.
fn pieces(ranges: &[Range<u64>]) -> Vec<(usize, Range<u64>)> {
    let mut pieces = Vec::new();
    for (part, range) in ranges.iter().enumerate() {
        let mut from = range.start;
        while from < range.end {
            let to = range.end.min(from + READ_BYTES);
            pieces.push((part, from..to));
            from = to;
        }
    }
    pieces
}

fn joined(pieces: Vec<Bytes>) -> Bytes {
    match <[Bytes; 1]>::try_from(pieces) {
        Ok([one]) => one,
        Err(pieces) => Bytes::from(pieces.concat()),
    }
}
