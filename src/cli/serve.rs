//! `mqlake serve`: listens first, then opens the tables, however long that takes, and follows. It ends when a stop is
//! requested, never because a store or a broker is unavailable.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::logging::without_times;
use super::signals::Stop;
use super::{open_existing_lake, open_lake};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::follow::Follow;
use crate::http::{self, App, Clock, StartupRouter, install_metrics, router, tidy_metrics};
use crate::lake::Lake;
use crate::query::{Catalog, Program};

/// Follow the configured clusters, if there are any, and serve the HTTP APIs and SQL over the tables
///
/// Clusters are those of `[[rocketmq]]`, `[[qmq]]` or --qmq-conf. Served are the lookups, traces and backtracking of
/// both systems (`/api/v1/…`, see /api/v1/openapi.json), QMQ's documented query API (`/api/message`,
/// `/api/message/dead`, `/api/message/detail`, `/api/message/records`), SQL (`/api/sql`), `/api/status`, `/healthz`,
/// `/readyz` and `/metrics`.
///
/// A store that is away and a data directory that is still empty are waited for; `/readyz` says so. The first Ctrl-C or
/// SIGTERM lets requests end and commits what was received; the second ends the process at once.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Take this as the current time of default time windows, to reproduce an answer (RFC 3339)
    #[arg(long, value_name = "TIME")]
    now: Option<DateTime<Utc>>,
}

impl Serve {
    pub(super) async fn run(self, mut config: Config, stop: Stop) -> Result<ExitCode> {
        stop.heed();
        if let Some(listen) = self.listen {
            config.http.listen = listen;
        }
        let clock: Clock = match self.now {
            Some(now) => Arc::new(move || now),
            None => Arc::new(Utc::now),
        };
        serve(config, clock, stop, |address| println!("listening on http://{address}")).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Longest wait for the tables before the address is printed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Least time for committing received rows after a stop was requested.
const LEAST_COMMIT_TIME: Duration = Duration::from_secs(5);

/// Serves until a stop is requested. `ready` is called with the address once the tables are open, the reason for the
/// delay is known, or [`PATIENCE`] is over.
pub(super) async fn serve(
    config: Config,
    clock: Clock,
    stop: Stop,
    ready: impl FnOnce(SocketAddr),
) -> Result<()> {
    config.admin.check(&config.http)?;
    Follow::check(&config)?;
    make_spool(&config)?;
    install_metrics()?;
    let (listen, grace) = (config.http.listen, config.http.shutdown_grace);
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        Error::Config(format!("http.listen: cannot listen on {listen}: {error}; pass another --listen"))
    })?;
    let address = listener.local_addr().map_err(|error| Error::Config(error.to_string()))?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        data = config.data,
        listen = %address,
        sources = sources(&config),
        "serving"
    );
    let startup = StartupRouter::new(config.data.clone(), &config.http)?;
    let asked = {
        let stop = stop.clone();
        async move {
            stop.asked().await;
            tracing::info!("stopping");
        }
    };
    let mut server =
        tokio::spawn(http::serve(listener, startup.clone().router(), config.http.clone(), asked));
    let mut ready = Some(|| ready(address));
    let (explained, mut is_explained) = tokio::sync::mpsc::channel(1);
    let running = {
        let opening = Running::start(&config, clock, &startup, &explained);
        tokio::pin!(opening);
        loop {
            tokio::select! {
                running = &mut opening => break Some(running?),
                _ = is_explained.recv(), if ready.is_some() => {}
                () = tokio::time::sleep(PATIENCE), if ready.is_some() => {}
                () = stop.asked() => break None,
                outcome = &mut server => return ended(outcome),
            }
            if let Some(ready) = ready.take() {
                ready();
            }
        }
    };
    if let (Some(ready), false) = (ready.take(), stop.is_asked()) {
        ready();
    }
    let outcome = ended(server.await);
    if let Some(running) = running {
        running.stop(grace.max(LEAST_COMMIT_TIME)).await;
    }
    tracing::info!("stopped");
    outcome
}

/// Creates the directory of the spool if a setting names it: if it cannot be created, the setting is wrong.
fn make_spool(config: &Config) -> Result<()> {
    let is_following = !(config.qmq.is_empty() && config.rocketmq.is_empty());
    if !is_following || (config.follow.spool.is_none() && config.data_dir().is_some()) {
        return Ok(());
    }
    let folder = config.spool_dir();
    std::fs::create_dir_all(&folder).map_err(|error| {
        Error::Config(format!("follow.spool: {}: cannot create the directory: {error}", folder.display()))
    })
}

fn ended(outcome: std::result::Result<(), tokio::task::JoinError>) -> Result<()> {
    outcome.map_err(Error::from)
}

/// The followed sources, for the log, without secrets.
fn sources(config: &Config) -> String {
    let qmq = config.qmq.iter().map(|source| format!("qmq {}", source.label()));
    let rocketmq = config.rocketmq.iter().map(|source| format!("rocketmq {}", source.label()));
    let all: Vec<String> = qmq.chain(rocketmq).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

/// A server whose tables are open.
struct Running {
    follow: Arc<Follow>,
    app: Arc<App>,
    refresher: JoinHandle<()>,
}

impl Running {
    /// Opens the tables, starts the followers, and passes the routes to `startup`. A message on `explained` reports
    /// that the reason of a delay is known.
    async fn start(
        config: &Config,
        clock: Clock,
        startup: &StartupRouter,
        explained: &tokio::sync::mpsc::Sender<()>,
    ) -> Result<Running> {
        let (lake, catalog) = open(config, startup, explained).await?;
        let follow = Arc::new(Follow::start(Arc::new(config.clone()), lake, catalog.clone())?);
        let app = App::new(catalog, config.clone(), clock)?.with_follow(follow.clone());
        let app = Arc::new(app.with_sql_workers(this_program())?);
        if let Some(sql) = app.isolated_sql() {
            sql.prepare();
        }
        let refresher = tokio::spawn(keep_fresh(app.clone(), config.http.refresh));
        startup.open(router(app.clone()));
        Ok(Running { follow, app, refresher })
    }

    async fn stop(self, grace: Duration) {
        self.follow.stop(grace).await;
        if let Some(sql) = self.app.isolated_sql() {
            sql.stop().await;
        }
        self.refresher.abort();
    }
}

/// SQL workers that are started ahead, so that the next statement does not wait for one to start.
const WARM_WORKERS: usize = 2;

/// The program of SQL workers: this one, even if its file was replaced in the meantime.
fn this_program() -> Program {
    let running = std::path::PathBuf::from("/proc/self/exe");
    let path = match std::env::current_exe() {
        Ok(path) if path.is_file() => path,
        _ => running,
    };
    Program { path, warm: WARM_WORKERS }
}

/// Opens the tables. Retries while the store is unavailable or empty.
async fn open(
    config: &Config,
    startup: &StartupRouter,
    explained: &tokio::sync::mpsc::Sender<()>,
) -> Result<(Arc<Lake>, Arc<Catalog>)> {
    let mut known = None;
    loop {
        let attempt = tokio::time::timeout(config.http.timeout, open_once(config)).await;
        let error = match attempt {
            Ok(Ok(open)) => {
                if known.is_some() {
                    tracing::info!("the tables are open");
                }
                return Ok(open);
            }
            // no retry for errors that only a change of settings or data can fix
            Ok(Err(error)) if !is_awaited(&error) => return Err(error),
            Ok(Err(error)) => error,
            Err(_) => Error::store("opening the tables", "no answer within http.timeout"),
        };
        startup.explain(&error);
        let _ = explained.try_send(());
        // another process may be creating the tables one by one, so the text for missing tables changes
        let what = match error {
            Error::NoData(_) => "no data".to_owned(),
            _ => without_times(&error.to_string()),
        };
        if known.as_ref() != Some(&what) {
            tracing::warn!(%error, "the tables are not open yet; waiting for them");
            known = Some(what);
        }
        tokio::time::sleep(config.http.refresh.max(LEAST_PAUSE)).await;
    }
}

/// Least pause between two checks for new commits or for tables.
const LEAST_PAUSE: Duration = Duration::from_millis(10);

fn is_awaited(error: &Error) -> bool {
    matches!(error, Error::NoData(_))
        || matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Conflict | ErrorKind::Input)
}

async fn open_once(config: &Config) -> Result<(Arc<Lake>, Arc<Catalog>)> {
    // a server that follows a cluster creates missing tables
    let lake = match config.qmq.is_empty() && config.rocketmq.is_empty() {
        true => open_existing_lake(config).await?,
        false => open_lake(config).await?,
    };
    let catalog = Arc::new(Catalog::open(lake.clone(), &config.cache).await?);
    Ok((lake, catalog))
}

/// Checks for new commits periodically, so that imports of another process become visible.
async fn keep_fresh(app: Arc<App>, every: Duration) {
    let mut ticks = tokio::time::interval(every.max(LEAST_PAUSE));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut known = None;
    loop {
        ticks.tick().await;
        tidy_metrics();
        let refreshed = app.refresh().await;
        match refreshed.and(app.catalog.warm().await) {
            Ok(()) => {
                if known.take().is_some() {
                    tracing::info!("the store answers again");
                }
            }
            Err(error) => {
                let what = without_times(&error.to_string());
                if known.as_ref() != Some(&what) {
                    tracing::warn!(%error, "cannot look for new commits");
                    known = Some(what);
                }
            }
        }
    }
}
