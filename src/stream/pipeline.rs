//! One followed stream of one broker group: its spool, the worker that replays it, and the flusher that commits.
//!
//! Opening a pipeline compares the positions of the tables with the spool, and so finds the position at which receiving
//! continues. It never talks to a broker.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::commit::{TablePosition, lowest};
use super::cut::HotBytes;
use super::flush::Flusher;
use super::replay::Replay;
use super::spool::{Frame, GAP, OwnedFrame, Spool, SpoolReader, SpoolSettings, SpoolView};
use super::status::Board;
use super::wake::Wake;
use super::worker::Worker;
use crate::config::{Config, Follow};
use crate::error::{Error, Result};
use crate::lake::{Lake, Log, Owner, StreamId};
use crate::query::Catalog;

/// Upper estimate of the bytes of a frame and a new segment without the payload.
const FRAME_OVERHEAD: u64 = 128;
/// Maximum random distance of [`begin_apart`]; a power of two minus one. Positions allow a million such steps.
const MAX_DISTANCE: u128 = (1 << 43) - 1;
/// Maximum cuts that wait for the flusher.
const CUTS_AHEAD: usize = 1;

type Task = JoinHandle<Result<()>>;

/// Shared by all pipelines of a process.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) lake: Arc<Lake>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) config: Arc<Config>,
    pub(crate) hot: Arc<HotBytes>,
    /// Cancelled to stop receiving.
    pub(crate) stop: CancellationToken,
    /// Cancelled to stop committing; uncommitted frames stay in the spool.
    pub(crate) give_up: CancellationToken,
}

/// An open stream.
pub(crate) struct Pipeline {
    pub(crate) stream: StreamId,
    spool: Arc<Mutex<Spool>>,
    view: SpoolView,
    max_spooled: u64,
    /// The last frame with records; `None` until it is received or looked up.
    last: Mutex<Option<OwnedFrame>>,
    /// Held by an append until it has finished, even if its caller was cancelled.
    appending: Arc<tokio::sync::Mutex<()>>,
    wake: Arc<Wake>,
    stop: Arc<AtomicBool>,
    board: Arc<Board>,
    /// The position at which replay began, if the tables or the spool had one.
    begin: Option<u64>,
    /// Up to this position the tables are uneven and the spool has no frames, so each table drops records by their
    /// offsets: the source must find the offset of every single record.
    pub(crate) exact_until: u64,
    /// Worker and flusher, until the pipeline is closed.
    tasks: Option<(Task, Task)>,
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wake.notify();
    }
}

impl Pipeline {
    /// Opens a stream. `replay` creates its [`Replay`]. Its argument is whether the spool continues where the tables end:
    /// only then do positions of received frames mean the same as those of the tables.
    pub(crate) async fn open(
        shared: &Shared,
        board: &Arc<Board>,
        stream: StreamId,
        folder: &Path,
        tables: Vec<TablePosition>,
        replay: impl FnOnce(bool) -> Box<dyn Replay>,
    ) -> Result<Pipeline> {
        let log = stream.log.name();
        board.add_stream(log);
        let settings = SpoolSettings::from(&shared.config.follow);
        let folder = folder.join(log);
        let lowest = lowest(&tables);
        let mut spool = tokio::task::spawn_blocking(move || Spool::open(&folder, settings)).await??;
        let recovered = spool.recovered();
        if recovered.torn_bytes > 0 {
            tracing::info!(%stream, bytes = recovered.torn_bytes, "an unfinished write was cut off the spool");
        }
        let highest = tables.iter().filter_map(|table| table.position).max().unwrap_or(0);
        // counted positions restart behind all tables, offsets of a log at the lowest table
        let is_counted = stream.log.is_received();
        let anew = if is_counted { lowest.map(|_| highest) } else { lowest };
        // after a crash in the first commit only some tables have a position; if the spool is empty, too, it was lost
        let is_lost = is_counted && highest > 0 && spool.end().is_none();
        let is_spooled = covers(&spool, lowest) && !is_lost && (!is_counted || has_boundary(&spool, lowest)?);
        let mut begin = lowest;
        if !is_spooled && let Some(anew) = anew {
            tracing::warn!(%stream, position = anew, "the spool does not hold what follows the tables; receiving it");
            spool.reset(anew)?;
            begin = Some(anew);
        }
        if is_counted && (!is_spooled || spool.end().is_none()) {
            begin = Some(begin_apart(&mut spool, highest)?);
        }
        let is_uneven = tables.iter().any(|table| table.position != Some(highest));
        let exact_until = if is_uneven && spool.end().is_none_or(|end| end < highest) { highest } else { 0 };
        shared.catalog.follow(&stream).await?;
        let begin = begin.or_else(|| spool.start());
        if let Some(position) = lowest {
            board.committed(log, position, false);
        }
        let owner = Owner::of(&stream.system, &stream.broker_group);
        let view = spool.shared();
        board.clear_alarm(&replay_alarm(stream.log));
        let spool = Arc::new(Mutex::new(spool));
        let (wake, stop) = (Arc::new(Wake::default()), Arc::new(AtomicBool::new(false)));
        let (cuts, received) = mpsc::channel(CUTS_AHEAD);
        let flusher = Flusher {
            stream: stream.clone(),
            owner: owner.clone(),
            tables,
            lake: shared.lake.clone(),
            catalog: shared.catalog.clone(),
            spool: spool.clone(),
            settings: shared.config.follow.clone(),
            board: board.clone(),
            give_up: shared.give_up.clone(),
        };
        let start = Start { view: view.clone(), begin, wake: wake.clone(), stop: stop.clone() };
        let make = WorkerParts {
            stream: stream.clone(),
            owner,
            replay: replay(is_spooled),
            shared: shared.clone(),
            board: board.clone(),
            wake: wake.clone(),
            stop: stop.clone(),
            cuts,
        };
        let runtime = tokio::runtime::Handle::current();
        // a thread of its own: it runs as long as the stream, and the blocking pool is for short work
        let (ended, worked) = tokio::sync::oneshot::channel();
        let name = format!("replay-{log}");
        std::thread::Builder::new()
            .name(name)
            .spawn(move || {
                let _ = ended.send(run_worker(start, make, runtime));
            })
            .map_err(|error| Error::Limit(format!("no thread for replaying {log} records: {error}")))?;
        let worker = tokio::spawn(async move {
            worked.await.unwrap_or_else(|_| Err(Error::Invariant("the replay thread panicked".to_owned())))
        });
        let flusher = tokio::spawn(flusher.run(received));
        let pipeline = Pipeline {
            stream,
            spool,
            view,
            max_spooled: settings.max_bytes,
            last: Mutex::default(),
            appending: Arc::default(),
            wake,
            stop,
            board: board.clone(),
            begin,
            exact_until,
            tasks: Some((worker, flusher)),
        };
        if let Some(position) = pipeline.received() {
            board.received(log, position);
        }
        Ok(pipeline)
    }

    /// End of the spool: the offset at which receiving continues.
    pub(crate) fn received(&self) -> Option<u64> {
        self.view.end()
    }

    /// Waits for an append whose caller was cancelled.
    pub(crate) async fn settle(&self) {
        drop(self.appending.lock().await);
    }

    /// Whether a payload of this size fits into the spool now.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.view.bytes() + bytes as u64 + FRAME_OVERHEAD <= self.max_spooled
    }

    /// Folds the frames that the spool holds behind the tables, in order. Only one frame at a time is in memory.
    pub(crate) async fn fold_spooled<T: Send + 'static>(
        &self,
        mut folded: T,
        each: impl Fn(&mut T, &OwnedFrame) + Send + 'static,
    ) -> Result<T> {
        let (view, begin, end) = (self.view.clone(), self.begin, self.view.end());
        let Some(begin) = begin.or_else(|| self.view.start()) else { return Ok(folded) };
        tokio::task::spawn_blocking(move || {
            let mut reader = view.reader(begin)?;
            while let Some(frame) = reader.next()? {
                each(&mut folded, &frame);
                if Some(frame.to) == end {
                    break;
                }
            }
            Ok(folded)
        })
        .await?
    }

    /// The last received frame with records, if it is known: after a start the last one in the spool.
    pub(crate) async fn last_frame(&self) -> Result<Option<OwnedFrame>> {
        if let Some(last) = &*self.last.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Some(last.clone()));
        }
        let (view, end) = (self.view.clone(), self.view.end());
        let Some(start) = view.start().filter(|start| Some(*start) != end) else { return Ok(None) };
        let last = tokio::task::spawn_blocking(move || {
            let mut reader = view.reader(start)?;
            let mut last = None;
            while let Some(frame) = reader.next()? {
                let is_end = Some(frame.to) == end;
                if !frame.payload.is_empty() {
                    last = Some(frame);
                }
                if is_end {
                    break;
                }
            }
            Ok::<_, Error>(last)
        })
        .await??;
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&last);
        Ok(last)
    }

    /// Bytes in the spool.
    pub(crate) fn spooled_bytes(&self) -> u64 {
        self.view.bytes()
    }

    /// Appends a frame to the spool. From then on it counts as received.
    ///
    /// # Errors
    /// [`Error::Limit`] if the spool is full, others if its disk fails.
    pub(crate) async fn append(&self, kind: u8, from: u64, to: u64, payload: bytes::Bytes) -> Result<()> {
        let spool = self.spool.clone();
        if !payload.is_empty() && !self.stream.log.is_received() {
            let last = OwnedFrame { kind, from, to, payload: payload.clone() };
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        }
        let appending = self.appending.clone().lock_owned().await;
        tokio::task::spawn_blocking(move || {
            let _appending = appending;
            let mut spool = spool.lock().unwrap_or_else(PoisonError::into_inner);
            if spool.end().is_none() {
                spool.reset(from)?;
            }
            spool.append(&Frame { kind, from, to, payload: &payload })
        })
        .await??;
        self.board.received(self.stream.log.name(), to);
        self.wake.notify();
        Ok(())
    }

    /// Forces all appended frames to disk.
    pub(crate) async fn sync(&self) -> Result<()> {
        let spool = self.spool.clone();
        tokio::task::spawn_blocking(move || spool.lock().unwrap_or_else(PoisonError::into_inner).sync())
            .await?
    }

    /// Whether replay or commits have ended. Before [`Pipeline::close`] that only happens after a failure.
    pub(crate) fn is_broken(&self) -> bool {
        self.tasks.as_ref().is_none_or(|(worker, flusher)| worker.is_finished() || flusher.is_finished())
    }

    /// Replays and commits the rest of the spool, and ends.
    ///
    /// # Errors
    /// The failure that ended the worker or the flusher.
    pub(crate) async fn close(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.wake.notify();
        let Some((worker, flusher)) = self.tasks.take() else { return Ok(()) };
        // both have to end: the next writer sweeps files that a flusher has not committed yet
        let (worked, flushed) = tokio::join!(worker, flusher);
        worked?.and(flushed?)
    }
}

impl From<&Follow> for SpoolSettings {
    fn from(settings: &Follow) -> SpoolSettings {
        SpoolSettings {
            segment_bytes: settings.spool_segment.as_u64(),
            max_bytes: settings.spool_max.as_u64(),
        }
    }
}

/// Whether the spool holds everything that follows a position.
fn covers(spool: &Spool, lowest: Option<u64>) -> bool {
    match (spool.start().zip(spool.end()), lowest) {
        (None, lowest) => lowest.is_none(),
        (Some(_), None) => true,
        (Some((start, end)), Some(lowest)) => start <= lowest && lowest <= end,
    }
}

/// Whether a frame begins at a position, or the spool ends there. If not, another process counted the position.
fn has_boundary(spool: &Spool, position: Option<u64>) -> Result<bool> {
    let Some(position) = position.filter(|position| spool.end() != Some(*position)) else { return Ok(true) };
    let first = spool.reader(position)?.next()?;
    Ok(first.is_some_and(|frame| frame.from == position))
}

/// Skips a random distance before counting continues. Two servers that receive from the same broker count different
/// bytes, so neither may mistake a position of the other for its own.
fn begin_apart(spool: &mut Spool, highest: u64) -> Result<u64> {
    let start = spool.end().unwrap_or(highest);
    if spool.end().is_none() {
        spool.reset(start)?;
    }
    let distance = (uuid::Uuid::new_v4().as_u128() & MAX_DISTANCE) as u64 + 1;
    spool.append(&Frame { kind: GAP, from: start, to: start + distance, payload: &[] })?;
    Ok(start)
}

/// The spool of a worker, and the position at which it begins.
struct Start {
    view: SpoolView,
    begin: Option<u64>,
    wake: Arc<Wake>,
    stop: Arc<AtomicBool>,
}

struct WorkerParts {
    stream: StreamId,
    owner: Owner,
    replay: Box<dyn Replay>,
    shared: Shared,
    board: Arc<Board>,
    wake: Arc<Wake>,
    stop: Arc<AtomicBool>,
    cuts: mpsc::Sender<super::cut::Cut>,
}

fn run_worker(start: Start, parts: WorkerParts, runtime: tokio::runtime::Handle) -> Result<()> {
    // a new spool has no position before its first frame
    let begin = loop {
        if let Some(begin) = start.begin.or_else(|| start.view.start()) {
            break begin;
        }
        if start.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        start.wake.wait(parts.shared.config.follow.visible_every);
    };
    let board = parts.board.clone();
    let log = parts.stream.log;
    let outcome = start.view.reader(begin).and_then(|reader| worker(parts, reader, runtime).run());
    if let Err(error) = &outcome {
        board.alarm(replay_alarm(log), format!("replay stopped: {error}; this stream is opened anew"));
    }
    outcome
}

fn worker(parts: WorkerParts, reader: SpoolReader, runtime: tokio::runtime::Handle) -> Worker {
    Worker {
        stream: parts.stream,
        owner: parts.owner,
        replay: parts.replay,
        reader,
        lake: parts.shared.lake,
        catalog: parts.shared.catalog,
        settings: parts.shared.config.follow.clone(),
        board: parts.board,
        hot: parts.shared.hot,
        wake: parts.wake,
        stop: parts.stop,
        cuts: parts.cuts,
        runtime,
    }
}

fn replay_alarm(log: Log) -> String {
    format!("replaying {}", log.0.holds)
}

/// Folder of the spools of a broker group.
pub(crate) fn spool_folder(config: &Config, system: &str, group: &str) -> std::path::PathBuf {
    config.spool_dir().join(system).join(object_store::path::PathPart::from(group).as_ref())
}
