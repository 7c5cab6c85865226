//! Read-only SQL: any query, within limits on rows, time and memory, cancelled when nobody listens any more.
//!
//! Statements run on threads of their own, so that a heavy one cannot delay a lookup or the server itself.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::{SQLOptions, SessionContext};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use futures::StreamExt;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::catalog::{Catalog, Pinned};
use super::session;
use crate::config;
use crate::error::{Error, Result};

/// Most operators, parentheses and set operations in a statement: they nest, and nesting costs stack.
const MAX_OPERATORS: usize = 1000;
/// How much later than the engine the reader of rows gives up.
const GRACE: Duration = Duration::from_millis(200);
/// Stack of the threads that plan and run statements.
const STACK_BYTES: usize = 64 << 20;
/// Batches made ahead of the reader.
const BATCHES_AHEAD: usize = 2;

/// Runs statements.
pub struct SqlEngine {
    catalog: Arc<Catalog>,
    settings: config::Sql,
    memory: Arc<RuntimeEnv>,
    permits: Arc<Semaphore>,
    session: Mutex<Option<(Arc<Pinned>, SessionContext)>>,
    threads: Option<Runtime>,
}

/// Rows of a running statement. Dropping it cancels the statement.
#[derive(Debug)]
pub struct SqlRows {
    /// Columns.
    pub schema: SchemaRef,
    batches: mpsc::Receiver<Result<RecordBatch>>,
    task: JoinHandle<()>,
    ended: bool,
    limits: Limits,
}

impl SqlRows {
    /// The next rows, or `None` at the end.
    ///
    /// # Errors
    /// [`Error::Limit`] when a limit is reached, [`Error::Store`] or [`Error::Sql`] as execution meets them.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.ended {
            return Ok(None);
        }
        // the engine can be inside a computation that no timer interrupts; the reader need not wait for it
        let next = tokio::time::timeout_at(self.limits.deadline + GRACE, self.batches.recv());
        if let Some(batch) = next.await.map_err(|_| self.limits.late())? {
            return batch.map(Some);
        }
        self.ended = true;
        // rows that end because their maker died are no complete answer
        match (&mut self.task).await {
            Ok(()) => Ok(None),
            Err(error) => Err(Error::Invariant(format!("the statement failed inside the engine: {error}"))),
        }
    }
}

impl Drop for SqlRows {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Drop for SqlEngine {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            // waiting for threads is not allowed inside another runtime
            threads.shutdown_background();
        }
    }
}

impl SqlEngine {
    /// An engine over a catalogue.
    ///
    /// # Errors
    /// [`Error::Config`] if its memory or threads cannot be set up.
    pub fn new(catalog: Arc<Catalog>, settings: config::Sql) -> Result<SqlEngine> {
        let threads = tokio::runtime::Builder::new_multi_thread()
            .thread_name("mqlake-sql")
            // plans are trees that are walked by recursion; see MAX_OPERATORS
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .map_err(|error| Error::Config(format!("sql: no threads: {error}")))?;
        Ok(SqlEngine {
            memory: session::runtime(&catalog.lake.store.objects, &settings)?,
            permits: Arc::new(Semaphore::new(settings.max_concurrency)),
            catalog,
            settings,
            session: Mutex::new(None),
            threads: Some(threads),
        })
    }

    /// Starts a statement.
    ///
    /// # Errors
    /// [`Error::Sql`] if it is no query or does not fit the tables; [`Error::Limit`] if it is too long or
    /// waited too long for its turn.
    pub async fn query(&self, statement: &str) -> Result<SqlRows> {
        let most = usize::try_from(self.settings.max_statement.as_u64()).unwrap_or(usize::MAX);
        if statement.len() > most {
            return Err(Error::Limit(format!(
                "the statement has {} bytes; sql.max_statement is {}",
                statement.len(),
                self.settings.max_statement
            )));
        }
        let deadline = Instant::now() + self.settings.timeout;
        let permit = tokio::time::timeout_at(deadline, self.permits.clone().acquire_owned())
            .await
            .map_err(|_| {
                Error::Busy(format!(
                    "{} statements are running already (sql.max_concurrency); try again later",
                    self.settings.max_concurrency
                ))
            })?
            .map_err(|error| Error::Invariant(error.to_string()))?;
        check_nesting(statement)?;
        let context = self.session().await?;
        let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
        let (planned, schema) = oneshot::channel();
        let limits = Limits { deadline, timeout: self.settings.timeout, max_rows: self.settings.max_rows };
        let statement = statement.to_owned();
        let work = async move {
            let _permit = permit;
            let frame = match plan(&context, &statement).await {
                Ok(frame) => frame,
                Err(error) => {
                    let _ = planned.send(Err(error));
                    return;
                }
            };
            let _ = planned.send(Ok(Arc::new(frame.schema().as_arrow().clone())));
            if let Err(error) = drive(frame, &sender, limits).await {
                let _ = sender.send(Err(error)).await;
            }
        };
        let task = match &self.threads {
            Some(threads) => threads.spawn(work),
            None => return Err(Error::Invariant("the SQL threads are gone".to_owned())),
        };
        // from here on dropping the rows cancels the statement
        let mut rows = SqlRows { schema: Arc::new(Schema::empty()), batches, task, ended: false, limits };
        rows.schema = tokio::time::timeout_at(deadline, schema)
            .await
            .map_err(|_| limits.late())?
            .map_err(|_| Error::Invariant("the statement failed inside the planner".to_owned()))??;
        Ok(rows)
    }

    async fn session(&self) -> Result<SessionContext> {
        if !self.catalog.is_open() {
            return Err(Error::store("opening tables", "not opened yet; /readyz says why"));
        }
        let pinned = self.catalog.pin();
        if let Ok(known) = self.session.lock()
            && let Some((at, context)) = known.as_ref()
            && Arc::ptr_eq(at, &pinned)
        {
            return Ok(context.clone());
        }
        let context = session::session(&pinned, &self.catalog.files, self.memory.clone()).await?;
        if let Ok(mut known) = self.session.lock() {
            *known = Some((pinned, context.clone()));
        }
        Ok(context)
    }
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    deadline: Instant,
    timeout: Duration,
    max_rows: usize,
}

impl Limits {
    fn late(&self) -> Error {
        Error::Limit(format!(
            "the statement ran longer than {} (sql.timeout); narrow it, for example by dt",
            humantime::format_duration(self.timeout)
        ))
    }
}

/// Refuses statements that nest too deep for any stack, before anything walks them.
fn check_nesting(statement: &str) -> Result<()> {
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, statement).tokenize();
    let tokens = tokens.map_err(|error| Error::Sql(format!("the statement cannot be read: {error}")))?;
    let nests = |token: &&Token| match token {
        Token::Word(word) => matches!(
            word.value.to_ascii_uppercase().as_str(),
            "AND" | "OR" | "NOT" | "UNION" | "INTERSECT" | "EXCEPT" | "CASE" | "JOIN" | "LIKE" | "IS"
        ),
        Token::Whitespace(_)
        | Token::Comma
        | Token::Period
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::RParen => false,
        _ => true,
    };
    match tokens.iter().filter(nests).count() {
        count if count > MAX_OPERATORS => Err(Error::Limit(format!(
            "the statement has {count} operators; at most {MAX_OPERATORS} are run. Use IN (…) or a join for long lists"
        ))),
        _ => Ok(()),
    }
}

async fn plan(context: &SessionContext, statement: &str) -> Result<datafusion::dataframe::DataFrame> {
    let state = context.state();
    let plan = state.create_logical_plan(statement).await.map_err(|error| sql_error(&error))?;
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)
        .map_err(|error| {
            let what = error.strip_backtrace();
            Error::Sql(format!("this endpoint is read-only; only queries run here ({what})"))
        })?;
    context.execute_logical_plan(plan).await.map_err(|error| sql_error(&error))
}

async fn drive(
    frame: datafusion::dataframe::DataFrame,
    sender: &mpsc::Sender<Result<RecordBatch>>,
    limits: Limits,
) -> Result<()> {
    let mut stream = tokio::time::timeout_at(limits.deadline, frame.execute_stream())
        .await
        .map_err(|_| limits.late())?
        .map_err(|error| sql_error(&error))?;
    let mut rows = 0;
    loop {
        let next =
            tokio::time::timeout_at(limits.deadline, stream.next()).await.map_err(|_| limits.late())?;
        let Some(batch) = next else { return Ok(()) };
        let batch = batch.map_err(|error| sql_error(&error))?;
        rows += batch.num_rows();
        if rows > limits.max_rows {
            return Err(Error::Limit(format!(
                "the answer has more than {} rows (sql.max_rows); add LIMIT or a narrower WHERE",
                limits.max_rows
            )));
        }
        if sender.send(Ok(batch)).await.is_err() {
            return Ok(());
        }
    }
}

fn sql_error(error: &DataFusionError) -> Error {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(what) => {
            Error::Limit(format!("the statement needs more memory than sql.memory allows: {what}"))
        }
        DataFusionError::ObjectStore(source) => Error::store("reading data files", source.to_string()),
        DataFusionError::ParquetError(source) => Error::store("reading data files", source.to_string()),
        DataFusionError::IoError(source) => Error::store("reading data files", source.to_string()),
        _ => Error::Sql(error.strip_backtrace()),
    }
}
