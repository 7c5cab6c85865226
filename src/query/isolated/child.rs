//! A worker as the server sees it: a process of the same program, its pipes, and what it knows of the tables.

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

/// Lines kept of what a worker writes to standard error.
const LINES_KEPT: usize = 10;
/// Bytes kept of one line.
const LINE_BYTES: u64 = 4096;
/// How long a process whose output has ended may take to be gone, and its last lines to arrive.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long a process that was killed may take to be gone.
const END_TIME: Duration = Duration::from_secs(10);
/// What a worker may keep of its statements before it is replaced: memory, which counts for those that run, and
/// memory that it could write to, which widens its own limit.
const GROWTH: os::Memory = os::Memory { own: 24 << 20, writable: 192 << 20 };

/// A worker.
pub(super) struct Worker {
    process: Child,
    input: ChildStdin,
    /// A frame was begun and not finished: nothing else can be sent any more.
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
    /// Starts a process and tells it the store and the limits.
    pub(super) async fn start(program: &std::path::Path, setup: &Setup, watch: &Watch) -> io::Result<Worker> {
        let mut command = Command::new(program);
        command
            .arg(WORKER_COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // memory that is only reserved must not count as used; see `worker/`
            .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
            // what a statement gave back is for others soon
            .env("MIMALLOC_PURGE_DELAY", "100")
            .env("MALLOC_ARENA_MAX", "2")
            // a panic is one line of the log
            .env("RUST_BACKTRACE", "0")
            // Ctrl-C is for the server, which ends its workers once their statements have ended
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

    /// Sends a frame. If this is given up half-way the worker is of no use any more.
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

    /// Tells what changed in the tables since the last statement.
    pub(super) async fn show(&mut self, pinned: &Arc<Pinned>) -> io::Result<()> {
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

    /// Remembers what it takes before its first statement.
    pub(super) fn is_ready(&mut self) {
        self.idle = os::memory(self.watched.process).unwrap_or_default();
        self.watched.is_idle_at(self.idle.own);
        self.idle_since = Instant::now();
    }

    /// Whether it is as good as a new one.
    pub(super) fn is_fit(&mut self) -> bool {
        let now = os::memory(self.watched.process).unwrap_or_default();
        let has_grown =
            now.own > self.idle.own + GROWTH.own || now.writable > self.idle.writable + GROWTH.writable;
        !self.is_input_broken && !has_grown && self.is_alive()
    }

    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Ends the process and waits for it; tells how it ended and what it wrote last. One whose output has ended is given
    /// the time to end by itself, so that its own reason is told.
    pub(super) async fn end(mut self, has_ended: bool) -> Ended {
        self.watched.stop();
        let patience = if has_ended { LAST_WORDS } else { Duration::ZERO };
        let status = match timeout(patience, self.process.wait()).await {
            Ok(status) => status.ok(),
            Err(_) => {
                let _ = self.process.start_kill();
                timeout(END_TIME, self.process.wait()).await.ok().and_then(Result::ok)
            }
        };
        let _ = tokio::fs::remove_dir_all(&self.spill_dir).await;
        let _ = timeout(LAST_WORDS, &mut self.errors.reader).await;
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
