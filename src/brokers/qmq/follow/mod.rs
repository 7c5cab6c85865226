//! Follows running brokers in place of the cluster's backup server.
//!
//! ```text
//! metaserver ─► source ─► link ─► spool of messages ─► replay ─► hot rows ─► lake
//!                           └───► spool of actions  ─► replay ─► hot rows ─► lake
//! ```
//!
//! A [`source`] finds the slave of its group and keeps a [`link`] to it, which requests both logs and appends the
//! answers to the spools ([`frames`]). It only reads: to a broker it is a backup server. It never answers queries and
//! never ends the process. **PROBED** (link): a log is compared with what was received of it before anything behind
//! that position is requested.

mod action;
mod contents;
mod detail_servers;
mod frames;
mod index;
mod link;
mod open;
mod replay;
mod runs;
mod same_log;
mod seek;
mod skip;
mod source;
mod stretch;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::JoinHandle;

use super::wire::detail::DetailLimits;
use crate::config::{Config, QmqSource};
use crate::error::{Error, Result};
use crate::lake::schema::SYSTEM_QMQ;
use crate::stream::{Board, Follower, Shared, SourceStatus};
use detail_servers::DetailServers;
use source::Source;

pub use seek::{SeekTarget, seek};

/// All configured sources.
pub(super) struct Sources {
    sources: Vec<(QmqSource, Arc<Board>)>,
    http: reqwest::Client,
    details: Arc<DetailServers>,
}

impl Sources {
    /// # Errors
    /// [`Error::Config`] if the HTTP client cannot be set up.
    pub(super) fn new(config: &Config) -> Result<Sources> {
        let http = http_client(config)?;
        let limits = DetailLimits {
            timeout: config.follow.detail_timeout,
            max_bytes: usize::try_from(config.follow.max_frame.as_u64()).unwrap_or(usize::MAX),
        };
        let board = |source: &QmqSource| (source.clone(), Arc::new(Board::new(source.label())));
        Ok(Sources {
            sources: config.qmq.iter().map(board).collect(),
            details: Arc::new(DetailServers::new(http.clone(), limits)),
            http,
        })
    }
}

#[async_trait]
impl Follower for Sources {
    fn system(&self) -> &'static str {
        SYSTEM_QMQ
    }

    fn start(&self, shared: &Shared) -> Vec<JoinHandle<()>> {
        let start = |(settings, board): &(QmqSource, Arc<Board>)| {
            let source = Source {
                settings: settings.clone(),
                shared: shared.clone(),
                board: board.clone(),
                http: self.http.clone(),
                details: self.details.clone(),
            };
            tokio::spawn(source.run())
        };
        self.sources.iter().map(start).collect()
    }

    fn status(&self) -> Vec<SourceStatus> {
        self.sources.iter().map(|(_, board)| board.status()).collect()
    }

    fn is_explained(&self) -> bool {
        self.sources.iter().all(|(_, board)| board.is_explained())
    }

    /// Groups that another process follows are looked up at the same metaservers.
    async fn content(&self, broker_group: &str, subject: &str, sequence: i64) -> Option<Bytes> {
        let is_own = |board: &Board| board.status().broker_group.as_deref() == Some(broker_group);
        let mut sources: Vec<_> = self.sources.iter().collect();
        sources.sort_by_key(|(_, board)| !is_own(board));
        let mut urls = Vec::new();
        for url in sources.iter().map(|(source, _)| source.acquire_url()) {
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
        let found = self.details.payloads(&urls, broker_group, subject, &[sequence]).await?;
        found.into_iter().find(|(known, _)| *known == sequence).map(|(_, payload)| payload)
    }
}

/// The client for metaservers and detail servers.
fn http_client(config: &Config) -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(config.follow.connect_timeout)
        .build()
        .map_err(|error| Error::Config(format!("the HTTP client cannot start: {error}")))
}
