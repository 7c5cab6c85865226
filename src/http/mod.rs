//! The HTTP face: the documented QMQ endpoints, SQL, and what operators need.
//!
//! It turns requests into lookups and rows into JSON. It decides nothing about storage, and reads the time
//! only through [`App::clock`].

mod body;
mod budget;
mod connection;
mod guard;
mod lenient_io;
mod metrics;
mod observe;
mod open_files;
mod problem;
mod process;
pub mod qmq;
mod server;
mod sized;
mod sql;
mod sql_metrics;
mod starting;
mod status;
mod v1;

use std::sync::{Arc, RwLock};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use tokio::sync::{Semaphore, SemaphorePermit};

pub use lenient_io::LenientIo;
pub use metrics::{install as install_metrics, tidy as tidy_metrics};
pub use problem::Problem;
pub use server::serve;
pub use sql::csv_text;
pub(crate) use sql::{distinct_names, renamed};
pub use starting::Door;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::follow::Follow;
use crate::query::{Catalog, IsolatedSql, Program, SqlEngine, SqlRows};

/// The current time.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Everything a request needs.
pub struct App {
    /// Snapshots and files.
    pub catalog: Arc<Catalog>,
    /// SQL of our own statements.
    pub sql: SqlEngine,
    /// SQL of anybody's statements.
    isolated: Option<IsolatedSql>,
    /// Settings.
    pub config: Config,
    /// Zone of dates without a zone.
    pub zone: Tz,
    /// The current time.
    pub clock: Clock,
    /// What follows running clusters, if anything does.
    pub follow: Option<Arc<Follow>>,
    /// Posted traces that wait for a commit.
    traces: v1::TraceInbox,
    guard: Arc<guard::Guard>,
    /// Memory of rows that are read for answers.
    rows: budget::Budget,
    /// Memory of answers: bodies of messages, and text until the client has it.
    answers: budget::Budget,
    /// Memory of request bodies.
    bodies: budget::Budget,
    places: Semaphore,
    /// Why the store did not answer the last time; nothing if it did.
    unavailable: RwLock<Option<String>>,
}

impl App {
    /// An application over a catalogue.
    ///
    /// # Errors
    /// [`crate::error::Error::Config`].
    pub fn new(catalog: Arc<Catalog>, config: Config, clock: Clock) -> Result<App> {
        let half = config.http.answer_memory.as_u64() / 2;
        let most = usize::try_from(config.http.max_answer_bytes.as_u64()).unwrap_or(usize::MAX);
        catalog.files.bound(config.http.max_lookup_rows, most.saturating_mul(4));
        Ok(App {
            guard: Arc::new(guard::Guard::new(&config.http)?),
            rows: budget::Budget::new("http.answer_memory", half),
            answers: budget::Budget::new("http.answer_memory", half),
            bodies: budget::Budget::new("http.body_memory", config.http.body_memory.as_u64()),
            sql: SqlEngine::new(catalog.clone(), config.sql.clone())?,
            zone: config.zone()?,
            places: Semaphore::new(config.http.max_concurrency),
            unavailable: RwLock::new(
                (!catalog.is_open()).then(|| "the tables are not opened yet".to_owned()),
            ),
            traces: v1::TraceInbox::default(),
            follow: None,
            isolated: None,
            catalog,
            config,
            clock,
        })
    }

    /// With what follows running clusters: its state is told, and its slaves are asked for contents.
    #[must_use]
    pub fn with_follow(self, follow: Arc<Follow>) -> App {
        App { follow: Some(follow), ..self }
    }

    /// With statements of `/api/sql` in processes of their own. Without, they run in this one, where nothing bounds
    /// the memory of their expressions: for embedding only.
    ///
    /// # Errors
    /// [`crate::error::Error::Config`] if there is no folder to spill to.
    pub fn with_sql_workers(self, program: Program) -> Result<App> {
        let isolated = IsolatedSql::new(self.catalog.clone(), self.config.sql.clone(), program)?;
        Ok(App { isolated: Some(isolated), ..self })
    }

    /// The engine of `/api/sql`, if it runs statements in processes of their own.
    #[must_use]
    pub fn isolated_sql(&self) -> Option<&IsolatedSql> {
        self.isolated.as_ref()
    }

    /// Runs a statement of anybody; `request` is what the log calls it.
    ///
    /// # Errors
    /// Those of [`IsolatedSql::query`].
    pub async fn run_sql(&self, statement: &str, request: &str) -> Result<SqlRows> {
        match &self.isolated {
            Some(isolated) => isolated.query(statement, request).await,
            None => self.sql.query(statement).await,
        }
    }

    /// Looks for new commits, and remembers whether the store answered.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`]; queries go on with what is known.
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

    /// Memory for reading so many messages; who reads few needs none.
    ///
    /// # Errors
    /// [`Error::Busy`].
    async fn room_for_rows(&self, rows: usize) -> Result<budget::Held> {
        self.rows.take(rows.saturating_mul(ROW_BYTES), self.config.http.timeout).await
    }

    /// Most bytes of one answer.
    fn max_answer(&self) -> usize {
        usize::try_from(self.config.http.max_answer_bytes.as_u64()).unwrap_or(usize::MAX)
    }

    /// A place among the lookups that run at once; others wait as long as a lookup may take.
    ///
    /// # Errors
    /// [`Error::Busy`].
    async fn place(&self) -> Result<SemaphorePermit<'_>> {
        match tokio::time::timeout(self.config.http.timeout, self.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
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

    /// Why the last look for new commits failed, if it did.
    #[must_use]
    pub fn unavailable(&self) -> Option<String> {
        self.unavailable.read().ok().and_then(|reason| reason.clone())
    }
}

/// Memory that a message takes up while it is read, bodies aside.
const ROW_BYTES: usize = 4096;

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .merge(crate::http::qmq::routes())
        .merge(v1::routes())
        .merge(sql::routes())
        .route("/api/status", get(status::status))
        .route("/healthz", get(status::healthz))
        .route("/readyz", get(status::readyz))
        .route("/metrics", get(metrics::render))
        .fallback(not_found)
        .layer(axum::middleware::from_fn_with_state(app.guard.clone(), guard::check))
        .layer(axum::middleware::from_fn(observe::observe))
        .with_state(app)
}

async fn not_found(request: Request) -> Response {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not-found",
        format!("there is nothing at {}", request.uri().path()),
    )
    .hint("see /api/message, /api/message/dead, /api/message/detail, /api/message/records, /api/v1/openapi.json, /api/sql, /api/status")
    .into_response()
}

/// A short JSON answer that ends with a line feed, as the original's do.
pub(crate) fn json(value: &impl serde::Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => of_json(text),
        Err(error) => Problem::from(Error::Invariant(error.to_string())).into_response(),
    }
}

fn of_json(mut text: Vec<u8>) -> Response {
    text.push(b'\n');
    let kind = HeaderValue::from_static("application/json;charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// As [`json`], of a value that can be long: within `http.max_answer_bytes` and `http.answer_memory`. `held` is memory
/// that the answer has already.
///
/// # Errors
/// [`Error::Limit`], [`Error::Busy`].
async fn json_within(
    app: &App,
    value: &impl serde::Serialize,
    held: Option<budget::Held>,
) -> Result<Response> {
    let unexpected = |error: serde_json::Error| Error::Invariant(error.to_string());
    let mut text = sized::Beginning::default();
    serde_json::to_writer(&mut text, value).map_err(unexpected)?;
    let length = text.length + 1;
    if length > app.max_answer() {
        return Err(Error::Limit(format!(
            "the answer has {length} bytes, and http.max_answer_bytes is {}; ask for less: a shorter window of time, a \
             smaller `limit`, or without bodies",
            app.config.http.max_answer_bytes
        )));
    }
    if let Some(text) = text.whole() {
        return Ok(of_json(text));
    }
    let mut held = match held {
        Some(held) => held,
        None => app.answers.take(length, app.config.http.timeout).await?,
    };
    let mut text = Vec::with_capacity(length);
    serde_json::to_writer(&mut text, value).map_err(unexpected)?;
    held.shrink_to(text.len());
    let mut response = of_json(text);
    response.extensions_mut().insert(Arc::new(held));
    Ok(response)
}
