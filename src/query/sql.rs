//! Read-only SQL in this process: for our own statements and for the command line. Statements of users belong in worker
//! processes (`isolated/`), since nothing here limits the memory of expressions or interrupts a computation that never
//! yields.
//!
//! Statements run on separate threads, so that a heavy one cannot delay a lookup or the server itself.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::dataframe::DataFrame;
use futures::StreamExt;
use tokio::runtime::Runtime;
use tokio::sync::{OnceCell, Semaphore, mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use super::catalog::Catalog;
use super::limits::{self, Limits};
use super::rows::{RowsSender, SqlRows, Unplanned};
use super::session::{Resources, Session, sql_error};
use crate::config;
use crate::error::{Error, Result};

/// How long after the deadline the reader of rows waits for the outcome: no timer interrupts a computation of the
/// engine.
const GRACE: std::time::Duration = std::time::Duration::from_millis(200);
/// Stack of the threads that plan and run statements: plans are trees, and walking them recurses.
pub(super) const STACK_BYTES: usize = 64 << 20;
/// Maximum threads: each reserves address space for its stack.
pub(super) const MAX_THREADS: usize = 8;
/// Batches that are computed ahead of the reader.
const BATCHES_AHEAD: usize = 2;

/// Runs statements in this process.
pub struct SqlEngine {
    catalog: Arc<Catalog>,
    settings: config::Sql,
    permits: Arc<Semaphore>,
    session: Arc<OnceCell<Session>>,
    threads: Option<Runtime>,
}

impl Drop for SqlEngine {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            // waiting for threads is not allowed inside another runtime
            threads.shutdown_background();
        }
    }
}

/// Number of threads for statements.
pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS)
}

impl SqlEngine {
    /// An engine over a catalogue.
    ///
    /// # Errors
    /// [`Error::Config`] if its threads cannot be set up.
    pub fn new(catalog: Arc<Catalog>, settings: config::Sql) -> Result<SqlEngine> {
        let threads = tokio::runtime::Builder::new_multi_thread()
            .thread_name("mqlake-sql")
            .worker_threads(threads())
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .map_err(|error| Error::Config(format!("sql: no threads: {error}")))?;
        Ok(SqlEngine {
            permits: Arc::new(Semaphore::new(settings.max_concurrency)),
            catalog,
            settings,
            session: Arc::default(),
            threads: Some(threads),
        })
    }

    /// Starts a statement.
    ///
    /// # Errors
    /// [`Error::Sql`] if it is no query or does not fit the tables; [`Error::Limit`] if it is too long or runs too
    /// long; [`Error::Busy`] if it got no permit in time.
    pub async fn query(&self, statement: &str) -> Result<SqlRows> {
        limits::check_length(statement, &self.settings)?;
        self.catalog.check_open()?;
        let limits = Limits::begin(&self.settings);
        let permit = tokio::time::timeout_at(limits.deadline, self.permits.clone().acquire_owned())
            .await
            .map_err(|_| limits::busy(&self.settings))?
            .map_err(|error| Error::Invariant(error.to_string()))?;
        let (batches, taken) = mpsc::channel(BATCHES_AHEAD);
        let (end, ended) = oneshot::channel();
        let (planned, schema) = oneshot::channel();
        let (catalog, session, settings) =
            (self.catalog.clone(), self.session.clone(), self.settings.clone());
        let statement = statement.to_owned();
        let work = async move {
            let _permit = permit;
            let sender = RowsSender { batches, end };
            let run = async {
                // planned here and not by the caller, because planning needs CPU time, too
                let session = session.get_or_try_init(|| make_session(&catalog, &settings)).await?;
                let frame = session.plan(catalog.pin(), &statement).await?;
                drive(frame, planned, &sender.batches, limits).await
            };
            let outcome = tokio::time::timeout_at(limits.deadline, run).await;
            let RowsSender { batches, end } = sender;
            let _ = end.send(outcome.unwrap_or_else(|_| Err(limits.late())));
            drop(batches);
        };
        let task = match &self.threads {
            Some(threads) => AbortOnDropHandle::new(threads.spawn(work)),
            None => return Err(Error::Invariant("the SQL threads are gone".to_owned())),
        };
        let give_up_at = limits.deadline + GRACE;
        // from here on, dropping the rows cancels the statement
        Unplanned { batches: taken, end: ended, limits, give_up_at, task: Some(task) }.planned(schema).await
    }
}

async fn make_session(catalog: &Catalog, settings: &config::Sql) -> Result<Session> {
    let resources = Resources {
        memory: usize::try_from(settings.memory.as_u64()).unwrap_or(usize::MAX),
        spill_dir: settings.spill_dir.clone(),
        spill_max: settings.spill_max.as_u64(),
    };
    Session::new(&catalog.files, resources, threads()).await
}

async fn drive(
    frame: DataFrame,
    planned: oneshot::Sender<SchemaRef>,
    batches: &mpsc::Sender<arrow::record_batch::RecordBatch>,
    limits: Limits,
) -> Result<()> {
    let _ = planned.send(Arc::new(frame.schema().as_arrow().clone()));
    let mut stream = frame.execute_stream().await.map_err(|error| sql_error(&error))?;
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(|error| sql_error(&error))?;
        rows += batch.num_rows();
        if rows > limits.max_rows {
            return Err(limits::too_many_rows(limits.max_rows));
        }
        if batches.send(batch).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
