//! One stream of one broker group inside mqlake: its spool, the worker that replays it, the flusher that commits.
//!
//! Opening a pipeline reads what the tables have and what the spool holds, and finds where receiving goes on.
//! It never talks to a broker.

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

/// Bytes of a frame and a new segment besides the payload, generously.
const FRAME_OVERHEAD: u64 = 128;
/// Greatest distance between what two spools count; a power of two less one. A stream can begin anew a million times.
const MOST_APART: u128 = (1 << 43) - 1;
/// Cuts that wait for the flusher.
const CUTS_AHEAD: usize = 1;

type Task = JoinHandle<Result<()>>;

/// What all pipelines of a process share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) lake: Arc<Lake>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) config: Arc<Config>,
    pub(crate) hot: Arc<HotBytes>,
    /// Nothing more is to be received.
    pub(crate) stop: CancellationToken,
    /// What is not committed by now stays in the spool.
    pub(crate) give_up: CancellationToken,
}

/// An open stream.
pub(crate) struct Pipeline {
    pub(crate) stream: StreamId,
    spool: Arc<Mutex<Spool>>,
    view: SpoolView,
    most_spooled: u64,
    /// The last frame with records, once it was looked for.
    last: Mutex<Option<OwnedFrame>>,
    /// Held by an append for as long as it really runs, whoever waits for it.
    appending: Arc<tokio::sync::Mutex<()>>,
    wake: Arc<Wake>,
    stop: Arc<AtomicBool>,
    board: Arc<Board>,
    /// Where replay began, if anything was known then.
    begin: Option<u64>,
    /// Up to here the tables stand at different positions and the spool does not help: offsets of single records
    /// are needed.
    pub(crate) exact_until: u64,
    /// Worker and flusher, until it is closed.
    tasks: Option<(Task, Task)>,
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wake.ring();
    }
}

impl Pipeline {
    /// Opens a stream. `replay` makes what turns its records into rows; it is told whether the spool holds what follows
    /// the tables, and so whether positions of what is received mean the same as those of the tables.
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
        // positions that count what was received begin anew behind all tables; offsets of a log stay what they are
        let is_counted = stream.log.is_received();
        let anew = if is_counted { lowest.map(|_| highest) } else { lowest };
        // some tables may have their first commit already, and the spool be lost
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
        // a thread of its own: it lives as long as the stream and must not use up those for short work
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
            most_spooled: settings.max_bytes,
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

    /// End of what is spooled: the offset to ask the broker for.
    pub(crate) fn received(&self) -> Option<u64> {
        self.view.end()
    }

    /// Waits for an append that whoever began it no longer waits for.
    pub(crate) async fn settle(&self) {
        drop(self.appending.lock().await);
    }

    /// Whether the spool takes this much more.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.view.bytes() + bytes as u64 + FRAME_OVERHEAD <= self.most_spooled
    }

    /// Goes through what the spool holds behind the tables, in order, one frame at a time: it can be more than memory.
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

    /// The last frame with records that was received, if it is known: after a start that of the spool.
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

    /// Takes what was received: from then on it counts as received.
    ///
    /// # Errors
    /// [`Error::Limit`] if the spool is full, others if its disk fails.
    pub(crate) async fn append(&self, kind: u8, from: u64, to: u64, payload: bytes::Bytes) -> Result<()> {
        let spool = self.spool.clone();
        if !payload.is_empty() && !self.stream.log.is_received() {
            let last = OwnedFrame { kind, from, to, payload: payload.clone() };
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        }
        let place = self.appending.clone().lock_owned().await;
        tokio::task::spawn_blocking(move || {
            let _place = place;
            let mut spool = spool.lock().unwrap_or_else(PoisonError::into_inner);
            if spool.end().is_none() {
                spool.reset(from)?;
            }
            spool.append(&Frame { kind, from, to, payload: &payload })
        })
        .await??;
        self.board.received(self.stream.log.name(), to);
        self.wake.ring();
        Ok(())
    }

    /// Forces what was appended to disk.
    pub(crate) async fn sync(&self) -> Result<()> {
        let spool = self.spool.clone();
        tokio::task::spawn_blocking(move || spool.lock().unwrap_or_else(PoisonError::into_inner).sync())
            .await?
    }

    /// Whether replay or commits have ended, which only happens after a failure.
    pub(crate) fn is_broken(&self) -> bool {
        self.tasks.as_ref().is_none_or(|(worker, flusher)| worker.is_finished() || flusher.is_finished())
    }

    /// Replays what is spooled, commits it and ends.
    ///
    /// # Errors
    /// What made the worker or the flusher end.
    pub(crate) async fn close(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.wake.ring();
        let Some((worker, flusher)) = self.tasks.take() else { return Ok(()) };
        // both have to end: whoever comes next may sweep what a flusher has not committed yet
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

/// Whether the spool holds, without a break, what follows a position.
fn covers(spool: &Spool, lowest: Option<u64>) -> bool {
    match (spool.start().zip(spool.end()), lowest) {
        (None, lowest) => lowest.is_none(),
        (Some(_), None) => true,
        (Some((start, end)), Some(lowest)) => start <= lowest && lowest <= end,
    }
}

/// Whether a frame begins at a position, or will: else it is one of another process, which has counted other bytes.
fn has_boundary(spool: &Spool, position: Option<u64>) -> Result<bool> {
    let Some(position) = position.filter(|position| spool.end() != Some(*position)) else { return Ok(true) };
    let first = spool.reader(position)?.next()?;
    Ok(first.is_some_and(|frame| frame.from == position))
}

/// Begins to count far behind what was counted before, at a random place: two servers that both receive from a broker
/// count different bytes, so neither may take a position of the other for one of its own.
fn begin_apart(spool: &mut Spool, highest: u64) -> Result<u64> {
    let start = spool.end().unwrap_or(highest);
    if spool.end().is_none() {
        spool.reset(start)?;
    }
    let apart = (uuid::Uuid::new_v4().as_u128() & MOST_APART) as u64 + 1;
    spool.append(&Frame { kind: GAP, from: start, to: start + apart, payload: &[] })?;
    Ok(start)
}

/// Where the worker begins.
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
    // a spool without any frame has no position yet
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
