//! Read-only SQL in processes of its own: what anybody may write runs where it can be ended.
//!
//! **ISOLATED**: nothing that a user wrote is parsed, planned or run in the server. A statement runs in a worker, a
//! process of the same program, with limits on memory that hold for whatever code runs there, and is ended with it if
//! it does not stop. The server keeps what the statement sees, passes rows on and bounds time, memory and number.
//!
//! This is the engine behind `/api/sql` and knows nothing of HTTP.

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

/// Batches ahead of the reader: each is as small as a frame.
const BATCHES_AHEAD: usize = 1;
/// How much later than the deadline a reader gives up: the time that ending a process may take.
const GRACE: Duration = Duration::from_secs(3);
/// Bytes of a statement that are logged.
const LOGGED_BYTES: usize = 300;

/// Runs statements in processes of their own.
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

    /// Starts the workers that are kept warm, and keeps them from then on.
    pub fn prepare(&self) {
        self.pool.tidy_from_now_on();
        self.pool.fill();
    }

    /// Ends all workers that run nothing; the others end with their statement.
    pub async fn stop(&self) {
        self.permits.close();
        self.pool.stop().await;
    }

    /// Why no statement can run, if none can.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.pool.trouble()
    }

    /// What it does now and did so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let (workers, memory) = self.pool.watch.usage();
        self.counters.usage(workers, memory, self.pool.died.load(Ordering::Relaxed))
    }

    /// Starts a statement; `request` is what the log calls it.
    ///
    /// # Errors
    /// [`Error::Sql`] if it is no query or does not fit the tables; [`Error::Limit`] if a limit was reached before there
    /// was any row; [`Error::Busy`] if its turn did not come; [`Error::Engine`] if the process that ran it ended, or
    /// none could be started; [`Error::Store`] if data files cannot be read.
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
        // not bound to the reader: it tidies up after one that goes away
        tokio::spawn(async move {
            run.run(statement).await;
            drop(permit);
        });
        let patience = limits.deadline + pool::START_TIME + GRACE;
        Unplanned { batches: taken, end: ended, limits, patience, task: None }.planned(schema).await
    }
}

/// What a running statement needs of the engine.
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
        let tell = |report: &statement::Report, outcome: Result<()>| {
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
        statement::run(&pool, &catalog, &settings, statement, tell).await;
    }
}

fn shortened(text: &str) -> String {
    let line = text.get(..text.floor_char_boundary(LOGGED_BYTES)).unwrap_or_default();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
