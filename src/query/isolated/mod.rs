//! Read-only SQL in worker processes: statements of users run where they can be stopped.
//!
//! **ISOLATED**: no statement of a user is parsed, planned or run in the server. It runs in a worker, a process of the
//! same program, whose memory limit holds for all code that runs there. A statement that does not stop is ended
//! together with its worker. The server keeps the pinned snapshot, passes rows on, and limits time, memory and
//! concurrency.
//!
//! This is the engine behind `/api/sql`. It knows nothing of HTTP.

mod child;
mod death;
mod frame;
mod message;
mod os;
mod pool;
mod spill;
mod state;
mod statement;
mod usage;
mod watch;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};

pub use child::WORKER_COMMAND;
pub use pool::Program;
pub use usage::Usage;
pub use worker::run as run_worker;

use super::catalog::Catalog;
use super::limits::{self, Limits};
use super::rows::{SqlRows, Unplanned};
use crate::config;
use crate::error::{Error, Result};
use pool::Pool;
use statement::Statement;
use usage::Counters;

/// Batches ahead of the reader. Each is at most one frame.
const BATCHES_AHEAD: usize = 1;
/// How long after the deadline a reader waits for the outcome: ending a process takes time.
const GRACE: Duration = Duration::from_secs(3);
/// Maximum bytes of a statement in the log.
const LOGGED_BYTES: usize = 300;

/// Runs statements in worker processes.
pub struct IsolatedSql {
    catalog: Arc<Catalog>,
    settings: config::Sql,
    permits: Arc<Semaphore>,
    pool: Arc<Pool>,
    counters: Arc<Counters>,
    numbers: AtomicU64,
}

impl IsolatedSql {
    /// An engine over a catalogue. No process is started yet; see [`IsolatedSql::prepare`].
    ///
    /// # Errors
    /// [`Error::Config`] if there is no folder to spill to.
    pub fn new(catalog: Arc<Catalog>, settings: config::Sql, program: Program) -> Result<IsolatedSql> {
        Ok(IsolatedSql {
            permits: Arc::new(Semaphore::new(settings.max_concurrency)),
            pool: Arc::new(Pool::new(program, settings.clone(), catalog.clone())?),
            counters: Arc::default(),
            numbers: AtomicU64::new(1),
            catalog,
            settings,
        })
    }

    /// Starts the workers that are kept warm, and replaces them when they end.
    pub fn prepare(&self) {
        self.pool.tidy_periodically();
        self.pool.fill();
    }

    /// Ends all idle workers. The others end with their statement.
    pub async fn stop(&self) {
        self.permits.close();
        self.pool.stop().await;
    }

    /// The reason why no statement can run, if there is one.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.pool.trouble()
    }

    /// Current state and counters.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let (workers, memory) = self.pool.watch.usage();
        self.counters.usage(workers, memory, self.pool.died.load(Ordering::Relaxed))
    }

    /// Starts a statement. `request` identifies it in the log.
    ///
    /// # Errors
    /// [`Error::Sql`] if it is no query or does not fit the tables; [`Error::Limit`] if a limit was reached before the
    /// first row; [`Error::Busy`] if it got no permit in time; [`Error::Engine`] if its worker ended, or none could be
    /// started; [`Error::Store`] if data files cannot be read.
    pub async fn query(&self, statement: &str, request: &str) -> Result<SqlRows> {
        let outcome = self.start(statement, request).await;
        if let Err(error @ (Error::Busy(_) | Error::Limit(_))) = &outcome {
            tracing::debug!(request, %error, "statement not run");
        }
        outcome
    }

    async fn start(&self, statement: &str, request: &str) -> Result<SqlRows> {
        limits::check_length(statement, &self.settings).inspect_err(|error| self.counters.refused(error))?;
        self.catalog.check_open()?;
        let limits = Limits::begin(&self.settings);
        let permit = {
            let _queued = self.counters.queue();
            tokio::time::timeout_at(limits.deadline, self.permits.clone().acquire_owned()).await
        };
        let permit = permit
            .map_err(|_| limits::busy(&self.settings))
            .inspect_err(|error| self.counters.refused(error))?
            .map_err(|_| Error::Engine("the server is stopping".to_owned()))?;
        let (batches, taken) = mpsc::channel(BATCHES_AHEAD);
        let (end, ended) = oneshot::channel();
        let (planned, schema) = oneshot::channel();
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let run = Run {
            pool: self.pool.clone(),
            catalog: self.catalog.clone(),
            settings: self.settings.clone(),
            counters: self.counters.clone(),
            request: request.to_owned(),
            end,
        };
        let statement = Statement { number, text: statement.to_owned(), limits, planned, batches };
        // not tied to the reader, because it must clean up after one that goes away
        tokio::spawn(async move {
            run.run(statement).await;
            drop(permit);
        });
        let give_up_at = limits.deadline + pool::START_TIME + GRACE;
        Unplanned { batches: taken, end: ended, limits, give_up_at, task: None }.planned(schema).await
    }
}

/// The parts of the engine that a running statement needs.
struct Run {
    pool: Arc<Pool>,
    catalog: Arc<Catalog>,
    settings: config::Sql,
    counters: Arc<Counters>,
    request: String,
    end: oneshot::Sender<Result<()>>,
}

impl Run {
    async fn run(self, statement: Statement) {
        let Run { pool, catalog, settings, counters, request, end } = self;
        let _running = counters.run();
        let begin = std::time::Instant::now();
        let (number, text) = (statement.number, shortened(&statement.text));
        let finish = |report: &statement::Report, outcome: Result<()>| {
            let took = begin.elapsed();
            let outcome = outcome.inspect_err(|error| counters.refused(error));
            counters.ended(outcome.is_ok());
            if took >= settings.slow {
                counters.slow();
                let end = match &outcome {
                    Err(error) => error.to_string(),
                    Ok(()) if report.is_unwanted => "cancelled".to_owned(),
                    Ok(()) => "complete".to_owned(),
                };
                tracing::warn!(
                    request,
                    statement = number,
                    seconds = took.as_secs_f64(),
                    rows = report.rows,
                    bytes = report.bytes,
                    memory = report.memory,
                    end,
                    sql = text,
                    "slow statement"
                );
            }
            let _ = end.send(outcome);
        };
        statement::run(&pool, &catalog, &settings, statement, finish).await;
    }
}

fn shortened(text: &str) -> String {
    let line = text.get(..text.floor_char_boundary(LOGGED_BYTES)).unwrap_or_default();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
