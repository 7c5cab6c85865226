//! The workers of a server: which are idle, how many are kept warm, and whether new ones can be started.
//!
//! A worker runs one statement at a time, and is reused for many. Taking a worker starts its replacement, so that the
//! next statement finds one ready whatever happens to this one.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::child::{Ended, Worker};
use super::death;
use super::frame::{Frame, Kind};
use super::message::{End, Setup};
use super::spill::SpillFolder;
use super::watch::Watch;
use crate::config;
use crate::error::{Error, Result};
use crate::query::catalog::Catalog;

/// Statement that a new worker runs first. It initialises what every statement needs.
const WARM_UP: &str = "SELECT count(*) FROM (VALUES (1), (2)) AS t (n) WHERE n > 1";
/// Maximum time for starting a worker.
pub(super) const START_TIME: Duration = Duration::from_secs(30);
/// How long a worker beyond those kept warm may stay idle.
const SPARE_TIME: Duration = Duration::from_secs(30);
/// How often idle workers are checked.
const TIDY_EVERY: Duration = Duration::from_millis(500);

/// How workers are started.
#[derive(Debug, Clone)]
pub struct Program {
    /// The program: this one, or another build of it.
    pub path: PathBuf,
    /// Workers kept ready while nothing runs. 0: the first statement starts one.
    pub warm: usize,
}

pub(super) struct Pool {
    program: Program,
    settings: config::Sql,
    catalog: Arc<Catalog>,
    pub(super) watch: Watch,
    spill: SpillFolder,
    idle: Mutex<Vec<Worker>>,
    starting: AtomicUsize,
    /// Workers started so far; the next one gets this number.
    started: AtomicU64,
    /// Error of the last start of a worker, if it failed.
    trouble: Mutex<Option<String>>,
    stopped: AtomicBool,
    is_tidied: AtomicBool,
    /// Workers that ended unexpectedly.
    pub(super) died: AtomicU64,
}

impl Pool {
    pub(super) fn new(program: Program, settings: config::Sql, catalog: Arc<Catalog>) -> Result<Pool> {
        Ok(Pool {
            watch: Watch::start(settings.memory.as_u64())?,
            spill: SpillFolder::create(settings.spill_dir.as_deref())?,
            program: Program { warm: program.warm.min(settings.max_concurrency), ..program },
            settings,
            catalog,
            idle: Mutex::default(),
            starting: AtomicUsize::new(0),
            started: AtomicU64::new(0),
            trouble: Mutex::default(),
            stopped: AtomicBool::new(false),
            is_tidied: AtomicBool::new(false),
            died: AtomicU64::new(0),
        })
    }

    /// An idle worker, or a new one.
    pub(super) async fn take(self: &Arc<Self>) -> Result<Worker> {
        self.tidy_periodically();
        let worker = match self.take_idle() {
            Some(worker) => worker,
            None => self.start().await?,
        };
        self.fill();
        Ok(worker)
    }

    /// Takes back an idle worker. One that cannot be used again is replaced.
    pub(super) fn give_back(self: &Arc<Self>, mut worker: Worker) {
        if self.stopped.load(Ordering::Relaxed) || !worker.is_reusable() {
            tokio::spawn(worker.end(false));
            self.fill();
            return;
        }
        worker.idle_since = Instant::now();
        self.idle().push(worker);
    }

    /// Starts workers until as many are idle as are to be kept warm.
    pub(super) fn fill(self: &Arc<Self>) {
        let missing =
            self.program.warm.saturating_sub(self.idle().len() + self.starting.load(Ordering::Relaxed));
        if self.stopped.load(Ordering::Relaxed) {
            return;
        }
        for _ in 0..missing {
            self.starting.fetch_add(1, Ordering::Relaxed);
            let pool = self.clone();
            tokio::spawn(async move {
                let started = pool.start().await;
                pool.starting.fetch_sub(1, Ordering::Relaxed);
                match started {
                    Ok(worker) => pool.give_back(worker),
                    Err(error) => tracing::error!(%error, "no worker for SQL can be started"),
                }
            });
        }
    }

    /// The reason why no statement can run, if there is one.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends all idle workers. The others end with their statement.
    pub(super) async fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        let idle = std::mem::take(&mut *self.idle());
        futures::future::join_all(idle.into_iter().map(|worker| worker.end(false))).await;
        self.spill.remove();
    }

    async fn start(&self) -> Result<Worker> {
        let started = timeout(START_TIME, self.try_start()).await;
        let started = started.unwrap_or_else(|_| Err(format!("not ready within {START_TIME:?}")));
        let outcome = started.map_err(|reason| {
            Error::Engine(format!("no process for SQL can be started: {reason}; see the log of the server"))
        });
        let trouble = outcome.as_ref().err().map(ToString::to_string);
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
        outcome
    }

    async fn try_start(&self) -> Result<Worker, String> {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let setup = Setup {
            store: self.catalog.lake.store.address(),
            spill_dir: self.spill.of_worker(number),
            spill_max: self.settings.spill_max.as_u64(),
            memory: self.settings.memory.as_u64(),
            max_rows: self.settings.max_rows,
            max_row: self.settings.max_row.as_u64(),
            max_bytes: self.settings.max_bytes.as_u64(),
        };
        let path = &self.program.path;
        let worker = Worker::start(path, &setup, &self.watch).await;
        let mut worker = worker.map_err(|error| format!("{}: {error}", path.display()))?;
        match self.warm_up(&mut worker).await {
            Ok(()) => {
                worker.set_ready();
                Ok(worker)
            }
            Err(error) => {
                let ended = worker.end(true).await;
                Err(format!("{error}; {}", death::describe(&ended)))
            }
        }
    }

    async fn warm_up(&self, worker: &mut Worker) -> std::io::Result<()> {
        worker.send_tables(&self.catalog.pin()).await?;
        worker.send(&Frame::numbered(Kind::Run, 0, WARM_UP.as_bytes())).await?;
        while let Some(frame) = worker.receive().await? {
            match frame.kind {
                Kind::Idle => return Ok(()),
                Kind::End => {
                    if let Some(failure) = frame.decode_json::<End>()?.failure {
                        return Err(std::io::Error::other(Error::from(failure)));
                    }
                }
                _ => {}
            }
        }
        Err(std::io::Error::other("it ended at once"))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The idle worker that was used last, so that the others stay idle and can end.
    fn take_idle(self: &Arc<Self>) -> Option<Worker> {
        loop {
            let mut worker = self.idle().pop()?;
            if worker.is_alive() {
                return Some(worker);
            }
            self.count_dead(worker);
        }
    }

    /// Counts and logs a worker that ended while it was idle.
    fn count_dead(self: &Arc<Self>, worker: Worker) {
        self.died.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            let ended: Ended = worker.end(true).await;
            tracing::warn!(worker = %death::describe(&ended), "an idle process for SQL ended");
        });
    }

    /// Starts the periodic check of idle workers: it counts dead ones, ends spare ones and starts missing ones.
    pub(super) fn tidy_periodically(self: &Arc<Self>) {
        if self.is_tidied.swap(true, Ordering::Relaxed) {
            return;
        }
        let pool = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(TIDY_EVERY).await;
                match pool.upgrade() {
                    Some(pool) if !pool.stopped.load(Ordering::Relaxed) => pool.tidy(),
                    _ => return,
                }
            }
        });
    }

    fn tidy(self: &Arc<Self>) {
        let mut idle = self.idle();
        let mut kept = Vec::new();
        let workers = std::mem::take(&mut *idle);
        let mut left = workers.len();
        for mut worker in workers {
            if !worker.is_alive() {
                self.count_dead(worker);
            } else if left > self.program.warm && worker.idle_since.elapsed() > SPARE_TIME {
                left -= 1;
                tokio::spawn(worker.end(false));
            } else {
                kept.push(worker);
            }
        }
        *idle = kept;
        drop(idle);
        self.fill();
    }
}
