//! A worker from the server's side: a process of the same program, its pipes, and the state of the tables it was sent.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::frame::{Frame, FrameReader, Kind};
use super::message::Setup;
use super::os;
use super::state;
use super::watch::{Watch, Watching};
use crate::query::catalog::Pinned;

/// Name of the subcommand that a worker is started with.
pub const WORKER_COMMAND: &str = "sql-worker";

/// Maximum lines kept of a worker's standard error.
const LINES_KEPT: usize = 10;
/// Maximum bytes kept of one line.
const LINE_BYTES: u64 = 4096;
/// Maximum time in which a process whose output has ended exits, and its last lines arrive.
const EXIT_TIME: Duration = Duration::from_secs(1);
/// Maximum time in which a killed process exits.
const KILL_TIME: Duration = Duration::from_secs(10);
/// How much a worker may grow before it is replaced: in memory, which counts against running statements, and in
/// writable memory, which raises its own limit.
const GROWTH: os::Memory = os::Memory { own: 24 << 20, writable: 192 << 20 };

/// A worker.
pub(super) struct Worker {
    process: Child,
    input: ChildStdin,
    /// Whether a frame was sent only in part. Nothing else can be sent then.
    is_input_broken: bool,
    output: FrameReader<ChildStdout>,
    errors: Errors,
    pinned: Option<Arc<Pinned>>,
    pub(super) watched: Watching,
    idle: os::Memory,
    pub(super) idle_since: Instant,
    pub(super) spill_dir: PathBuf,
}

impl Worker {
    /// Starts a process and sends it the store and the limits.
    pub(super) async fn start(program: &std::path::Path, setup: &Setup, watch: &Watch) -> io::Result<Worker> {
        let mut command = Command::new(program);
        command
            .arg(WORKER_COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // reserved memory must not count as used; see `worker/`
            .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
            // return freed memory to the system soon, for other statements
            .env("MIMALLOC_PURGE_DELAY", "100")
            .env("MALLOC_ARENA_MAX", "2")
            // keeps a panic to one line in the log
            .env("RUST_BACKTRACE", "0")
            // Ctrl-C must reach only the server, which ends its workers after their statements
            .process_group(0)
            .kill_on_drop(true);
        let mut process = command.spawn()?;
        let taken = (process.stdin.take(), process.stdout.take(), process.stderr.take(), process.id());
        let (Some(input), Some(output), Some(errors), Some(number)) = taken else {
            return Err(io::Error::other("the process has no pipes"));
        };
        let mut worker = Worker {
            process,
            input,
            is_input_broken: false,
            output: FrameReader::new(output),
            errors: Errors::keep(errors),
            pinned: None,
            watched: watch.add(number),
            idle: os::Memory::default(),
            idle_since: Instant::now(),
            spill_dir: setup.spill_dir.clone(),
        };
        worker.send(&Frame::json(Kind::Setup, setup)?).await?;
        Ok(worker)
    }

    /// Sends a frame. If the call is cancelled half-way, the worker cannot be used any more.
    pub(super) async fn send(&mut self, frame: &Frame) -> io::Result<()> {
        if self.is_input_broken {
            return Err(io::Error::other("a frame was cut"));
        }
        self.is_input_broken = true;
        self.input.write_all(&frame.head()?).await?;
        self.input.write_all(&frame.payload).await?;
        self.input.flush().await?;
        self.is_input_broken = false;
        Ok(())
    }

    /// Sends what changed in the tables since the last statement.
    pub(super) async fn send_tables(&mut self, pinned: &Arc<Pinned>) -> io::Result<()> {
        for change in state::changes(self.pinned.as_deref(), pinned) {
            self.send(&Frame::json(Kind::Tables, &change)?).await?;
        }
        self.pinned = Some(pinned.clone());
        Ok(())
    }

    /// The next frame; `None` once the worker has ended.
    pub(super) async fn receive(&mut self) -> io::Result<Option<Frame>> {
        self.output.next().await
    }

    /// Records the memory that it uses before its first statement.
    pub(super) fn set_ready(&mut self) {
        self.idle = os::memory(self.watched.process).unwrap_or_default();
        self.watched.set_idle_bytes(self.idle.own);
        self.idle_since = Instant::now();
    }

    /// Whether it can be used again: it runs, takes frames, and has not grown too much.
    pub(super) fn is_reusable(&mut self) -> bool {
        let now = os::memory(self.watched.process).unwrap_or_default();
        let has_grown =
            now.own > self.idle.own + GROWTH.own || now.writable > self.idle.writable + GROWTH.writable;
        !self.is_input_broken && !has_grown && self.is_alive()
    }

    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Ends the process, waits for it, and returns its status and its last lines. If its output has ended, it gets time
    /// to exit by itself, so that its own reason is reported.
    pub(super) async fn end(mut self, output_ended: bool) -> Ended {
        self.watched.stop();
        let grace = if output_ended { EXIT_TIME } else { Duration::ZERO };
        let status = match timeout(grace, self.process.wait()).await {
            Ok(status) => status.ok(),
            Err(_) => {
                let _ = self.process.start_kill();
                timeout(KILL_TIME, self.process.wait()).await.ok().and_then(Result::ok)
            }
        };
        let _ = tokio::fs::remove_dir_all(&self.spill_dir).await;
        let _ = timeout(EXIT_TIME, &mut self.errors.reader).await;
        let lines = self.errors.lines.lock().unwrap_or_else(PoisonError::into_inner);
        Ended { status, is_over_memory: self.watched.is_over_memory(), errors: Vec::from(lines.clone()) }
    }
}

/// How a worker ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: Option<ExitStatus>,
    pub(super) is_over_memory: bool,
    pub(super) errors: Vec<String>,
}

/// The last lines of what a worker writes to standard error.
struct Errors {
    lines: Arc<Mutex<VecDeque<String>>>,
    reader: JoinHandle<()>,
}

impl Errors {
    fn keep(errors: ChildStderr) -> Errors {
        let lines: Arc<Mutex<VecDeque<String>>> = Arc::default();
        let kept = lines.clone();
        let reader = tokio::spawn(async move {
            let mut reader = BufReader::new(errors);
            let mut line = Vec::new();
            loop {
                line.clear();
                match (&mut reader).take(LINE_BYTES).read_until(b'\n', &mut line).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
                let text = String::from_utf8_lossy(&line).trim().to_owned();
                if text.is_empty() {
                    continue;
                }
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_back(text);
                if kept.len() > LINES_KEPT {
                    kept.pop_front();
                }
            }
        });
        Errors { lines, reader }
    }
}
