//! `mqlake serve`

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use clap::Args;
use tokio::net::TcpListener;

use super::{open_existing_lake, open_lake};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::follow::Follow;
use crate::http::{App, Clock, LenientListener, install_metrics, router, tidy_metrics};
use crate::query::Catalog;

/// Follows the clusters of `[[qmq]]`, `[[rocketmq]]` or --qmq-conf, if there are any, and serves QMQ's documented query API (`/api/message`, `/api/message/dead`, `/api/message/detail`,
/// `/api/message/records`), SQL (`/api/sql`), `/api/status`, `/healthz`, `/readyz` and `/metrics`.
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
    pub(super) async fn run(self, mut config: Config) -> Result<ExitCode> {
        if let Some(listen) = self.listen {
            config.http.listen = listen;
        }
        let clock: Clock = match self.now {
            Some(now) => Arc::new(move || now),
            None => Arc::new(Utc::now),
        };
        serve(config, clock, |address| println!("listening on http://{address}")).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Serves until a stop signal; `ready` is told the address once requests are taken.
pub(super) async fn serve(config: Config, clock: Clock, ready: impl FnOnce(SocketAddr)) -> Result<()> {
    config.admin.check(config.http.listen)?;
    install_metrics()?;
    // who follows a cluster may begin with nothing
    let lake = match config.qmq.is_empty() && config.rocketmq.is_empty() {
        true => open_existing_lake(&config).await?,
        false => open_lake(&config).await?,
    };
    let catalog = Arc::new(Catalog::open(lake.clone(), &config.cache).await?);
    let follow = Arc::new(Follow::start(Arc::new(config.clone()), lake, catalog.clone())?);
    let (listen, refresh, grace) = (config.http.listen, config.http.refresh, config.http.shutdown_grace);
    let app = Arc::new(App::new(catalog, config, clock)?.with_follow(follow.clone()));
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        Error::Config(format!("http.listen: cannot listen on {listen}: {error}; pass another --listen"))
    })?;
    let address = listener.local_addr().map_err(|error| Error::Config(error.to_string()))?;
    let refresher = tokio::spawn(keep_fresh(app.clone(), refresh));
    ready(address);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let server = axum::serve(LenientListener(listener), router(app)).with_graceful_shutdown(async move {
        stop_signal().await;
        tracing::info!("stopping");
        let _ = stop.send(true);
    });
    let mut stopped = stopped;
    let outcome = tokio::select! {
        outcome = server => outcome,
        () = async {
            let _ = stopped.wait_for(|stopped| *stopped).await;
            tokio::time::sleep(grace).await;
        } => {
            tracing::warn!("requests still running after http.shutdown_grace were cut off");
            Ok(())
        }
    };
    follow.stop(grace.max(LEAST_COMMIT_TIME)).await;
    refresher.abort();
    outcome.map_err(|error| Error::Config(format!("the server stopped: {error}")))
}

/// Least time that what was received has to get committed after a stop was asked for.
const LEAST_COMMIT_TIME: std::time::Duration = std::time::Duration::from_secs(5);

/// Looks for new commits now and then, so that an import in another process shows up.
async fn keep_fresh(app: Arc<App>, every: std::time::Duration) {
    let mut ticks = tokio::time::interval(every.max(std::time::Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        tidy_metrics();
        let refreshed = app.refresh().await;
        if let Err(error) = refreshed.and(app.catalog.warm().await) {
            tracing::warn!(%error, "cannot look for new commits");
        }
    }
}

/// Waits for Ctrl-C or, on Unix, SIGTERM.
async fn stop_signal() {
    let interrupt = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    #[cfg(unix)]
    {
        let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
        if let Ok(mut terminate) = terminate {
            tokio::select! {
                () = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    interrupt.await;
}
