//! What every request needs: the catalogue, SQL, settings, limits, and the time.

use std::sync::{Arc, RwLock};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::budget::{Budget, Held};
use super::guard::Guard;
use super::trace_inbox::TraceInbox;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::follow::Follow;
use crate::query::{Catalog, IsolatedSql, Program, SqlEngine, SqlRows};

/// The current time.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Everything a request needs.
pub struct App {
    /// Pinned snapshots and cached files.
    pub catalog: Arc<Catalog>,
    /// SQL for our own statements.
    pub sql: SqlEngine,
    /// SQL for statements of users, in worker processes.
    isolated: Option<IsolatedSql>,
    /// Settings.
    pub config: Config,
    /// Time zone of dates that have none.
    pub zone: Tz,
    /// The current time.
    pub clock: Clock,
    /// The followers of running clusters, if any are configured.
    pub follow: Option<Arc<Follow>>,
    /// Posted traces that wait for a commit.
    pub(super) traces: TraceInbox,
    pub(super) guard: Arc<Guard>,
    /// Memory for rows that are read for answers.
    pub(super) rows: Budget,
    /// Memory for answers: message bodies, and text until the client has taken it.
    pub(super) answers: Budget,
    /// Memory for request bodies.
    pub(super) bodies: Budget,
    /// Permits for lookups.
    permits: Semaphore,
    /// Error of the last look for new commits; `None` if it succeeded.
    unavailable: RwLock<Option<String>>,
}

impl App {
    /// An application over a catalogue.
    ///
    /// # Errors
    /// [`crate::error::Error::Config`].
    pub fn new(catalog: Arc<Catalog>, config: Config, clock: Clock) -> Result<App> {
        let half = config.http.answer_memory.as_u64() / 2;
        let max = usize::try_from(config.http.max_answer_bytes.as_u64()).unwrap_or(usize::MAX);
        catalog.files.bound(config.http.max_lookup_rows, max.saturating_mul(4));
        Ok(App {
            guard: Arc::new(Guard::new(&config.http)?),
            rows: Budget::new("http.answer_memory", half),
            answers: Budget::new("http.answer_memory", half),
            bodies: Budget::new("http.body_memory", config.http.body_memory.as_u64()),
            sql: SqlEngine::new(catalog.clone(), config.sql.clone())?,
            zone: config.zone()?,
            permits: Semaphore::new(config.http.max_concurrency),
            unavailable: RwLock::new(
                (!catalog.is_open()).then(|| "the tables are not opened yet".to_owned()),
            ),
            traces: TraceInbox::default(),
            follow: None,
            isolated: None,
            catalog,
            config,
            clock,
        })
    }

    /// Adds the followers: their state is reported, and slaves are asked for message contents.
    #[must_use]
    pub fn with_follow(self, follow: Arc<Follow>) -> App {
        App { follow: Some(follow), ..self }
    }

    /// Runs statements of `/api/sql` in worker processes. Without this they run in this process, where nothing limits
    /// the memory of their expressions; that is for embedding only.
    ///
    /// # Errors
    /// [`crate::error::Error::Config`] if there is no folder to spill to.
    pub fn with_sql_workers(self, program: Program) -> Result<App> {
        let isolated = IsolatedSql::new(self.catalog.clone(), self.config.sql.clone(), program)?;
        Ok(App { isolated: Some(isolated), ..self })
    }

    /// The engine of `/api/sql`, if it runs statements in worker processes.
    #[must_use]
    pub fn isolated_sql(&self) -> Option<&IsolatedSql> {
        self.isolated.as_ref()
    }

    /// Runs a statement of a user. `request` identifies it in the log.
    ///
    /// # Errors
    /// Those of [`IsolatedSql::query`].
    pub async fn run_sql(&self, statement: &str, request: &str) -> Result<SqlRows> {
        match &self.isolated {
            Some(isolated) => isolated.query(statement, request).await,
            None => self.sql.query(statement).await,
        }
    }

    /// Looks for new commits, and records whether the store answered.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`]; queries go on with the snapshots they have.
    pub async fn refresh(&self) -> Result<()> {
        let refresh = tokio::time::timeout(self.config.http.timeout, self.catalog.refresh());
        let outcome = refresh.await.unwrap_or_else(|_| {
            Err(Error::store("looking for new commits", "no answer within http.timeout"))
        });
        if let Ok(mut unavailable) = self.unavailable.write() {
            *unavailable = outcome.as_ref().err().map(ToString::to_string);
        }
        outcome
    }

    /// Reserves memory for reading `rows` messages. A few messages need none.
    ///
    /// # Errors
    /// [`Error::Busy`].
    pub(super) async fn memory_for_rows(&self, rows: usize) -> Result<Held> {
        self.rows.take(rows.saturating_mul(ROW_BYTES), self.config.http.timeout).await
    }

    /// Maximum bytes of one answer.
    pub(super) fn max_answer(&self) -> usize {
        usize::try_from(self.config.http.max_answer_bytes.as_u64()).unwrap_or(usize::MAX)
    }

    /// A permit to run a lookup. Waits for it no longer than `http.timeout`.
    ///
    /// # Errors
    /// [`Error::Busy`].
    pub(super) async fn permit(&self) -> Result<SemaphorePermit<'_>> {
        match tokio::time::timeout(self.config.http.timeout, self.permits.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Error::Busy(format!(
                "{} lookups are running already (http.max_concurrency); try again later",
                self.config.http.max_concurrency
            ))),
        }
    }

    /// Whether the last look for new commits succeeded.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.unavailable().is_none()
    }

    /// Error of the last look for new commits, if it failed.
    #[must_use]
    pub fn unavailable(&self) -> Option<String> {
        self.unavailable.read().ok().and_then(|reason| reason.clone())
    }
}

/// Estimated memory of a message while it is read, without its body.
const ROW_BYTES: usize = 4096;
