//! Following running clusters: QMQ in the backup server's place, RocketMQ ([`rocketmq`]) as a reader that nobody sees.
//!
//! ```text
//! slave ─► link ─► spool ─► worker ─► hot rows (query::Catalog)
//!                             └─► flusher ─► lake
//! ```
//!
//! A [`link`] talks to the slave and appends what it answers to the spool; a [`worker`] tails the spool and makes
//! rows visible; a [`flush`]er commits them. Each side goes on while the next stands still: queries while the
//! broker is away, receiving while the store is. Nothing here answers queries.
//!
//! What holds whatever crashes: **SPOOL-DURABLE** (spool), **SPOOL-BEFORE-COMMIT** (flush), **EXACTLY-ONCE**
//! (lake::table), **VISIBLE-ONCE** (query::catalog), **PROBED** (link).

pub(crate) use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::brokers::rocketmq::follow::{GroupPlace, QueueReset, SentCopy};
use crate::stream::{Board, SourceStatus};

use crate::brokers::qmq::follow::DetailServers;
use crate::brokers::qmq::wire::detail::DetailLimits;
use crate::brokers::rocketmq::RocketMqCluster;
use crate::config::{Config, QmqSource};
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::query::Catalog;

/// Everything that follows, while the process serves.
pub struct Follow {
    sources: Vec<(QmqSource, Arc<Board>)>,
    rocketmq: Vec<RocketMqCluster>,
    tasks: std::sync::Mutex<Vec<JoinHandle<()>>>,
    stop: CancellationToken,
    give_up: CancellationToken,
    details: Arc<DetailServers>,
}

impl Follow {
    /// Checks what can be checked of the sources before there is a store: keys and certificates.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn check(config: &Config) -> Result<()> {
        config
            .rocketmq
            .iter()
            .try_for_each(|settings| RocketMqCluster::new(settings, &config.follow).map(drop))
    }

    /// Starts following every configured source, and the work that keeps the tables in shape.
    ///
    /// # Errors
    /// [`Error::Config`] if the HTTP client cannot be set up. What goes wrong later is told by the boards.
    pub fn start(config: Arc<Config>, lake: Arc<Lake>, catalog: Arc<Catalog>) -> Result<Follow> {
        let http = http_client(&config)?;
        let (stop, give_up) = (CancellationToken::new(), CancellationToken::new());
        let shared = crate::stream::Shared {
            lake,
            catalog,
            config: config.clone(),
            hot: Arc::new(crate::stream::HotBytes::default()),
            stop: stop.clone(),
            give_up: give_up.clone(),
        };
        let limits = DetailLimits {
            timeout: config.follow.detail_timeout,
            max_bytes: usize::try_from(config.follow.max_frame.as_u64()).unwrap_or(usize::MAX),
        };
        let details = Arc::new(DetailServers::new(http.clone(), limits));
        let mut sources = Vec::new();
        let mut tasks = Vec::new();
        for settings in &config.qmq {
            let board = Arc::new(Board::new(settings.label()));
            sources.push((settings.clone(), board.clone()));
            let source = crate::brokers::qmq::follow::Source {
                settings: settings.clone(),
                shared: shared.clone(),
                board,
                http: http.clone(),
                details: details.clone(),
            };
            tasks.push(tokio::spawn(source.run()));
        }
        let mut clusters = Vec::new();
        for settings in &config.rocketmq {
            let cluster = RocketMqCluster::new(settings, &config.follow)?;
            tasks.push(tokio::spawn(cluster.clone().run(shared.clone())));
            clusters.push(cluster);
        }
        if !sources.is_empty() || !clusters.is_empty() {
            tasks.push(tokio::spawn(crate::upkeep::run(shared)));
        }
        Ok(Follow {
            sources,
            rocketmq: clusters,
            tasks: std::sync::Mutex::new(tasks),
            stop,
            give_up,
            details,
        })
    }

    /// The sources as they are now.
    #[must_use]
    pub fn status(&self) -> Vec<SourceStatus> {
        let qmq = self.sources.iter().map(|(_, board)| board.status());
        qmq.chain(self.rocketmq.iter().flat_map(RocketMqCluster::status)).collect()
    }

    /// Why a source cannot be followed until an operator does something: it does not let in who is asking.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        self.rocketmq.iter().find_map(RocketMqCluster::refusal)
    }

    /// Whether every source follows or says why not.
    #[must_use]
    pub fn is_explained(&self) -> bool {
        self.sources.iter().all(|(_, board)| board.is_explained())
            && self.rocketmq.iter().all(RocketMqCluster::is_explained)
    }

    /// Stops receiving, commits what was received, and waits for that at most `grace`; what is left then stays in
    /// the spool for the next start.
    pub async fn stop(&self, grace: Duration) {
        self.stop.cancel();
        let tasks = match self.tasks.lock() {
            Ok(mut tasks) => std::mem::take(&mut *tasks),
            Err(_) => return,
        };
        let mut all = Box::pin(futures::future::join_all(tasks));
        if tokio::time::timeout(grace, &mut all).await.is_ok() {
            return;
        }
        self.give_up.cancel();
        let _ = tokio::time::timeout(Duration::from_secs(2), all).await;
    }

    /// Where a RocketMQ group stands in a topic, as the brokers that are followed say now.
    pub async fn group_places(&self, topic: &str, group: &str) -> Vec<GroupPlace> {
        let mut places = Vec::new();
        for cluster in &self.rocketmq {
            places.extend(cluster.group_places(topic, group).await);
        }
        places
    }

    /// Sets a RocketMQ group to a time in every queue of a topic, on the brokers that are followed. `targets` are the
    /// offsets of that time, for brokers that leave a reset to consumers and have none online.
    pub async fn reset(
        &self,
        topic: &str,
        group: &str,
        timestamp: i64,
        force: bool,
        targets: &[(String, i32, i64)],
    ) -> Vec<QueueReset> {
        let mut resets = Vec::new();
        for cluster in &self.rocketmq {
            resets.extend(cluster.reset(topic, group, timestamp, force, targets).await);
        }
        resets
    }

    /// Sets a RocketMQ group to an offset of one queue: broker, queue, offset. `None` if the broker is not followed.
    pub async fn reset_queue(&self, topic: &str, group: &str, to: (&str, i32, i64)) -> Option<QueueReset> {
        for cluster in &self.rocketmq {
            if let Some(done) = cluster.reset_queue(topic, group, to).await {
                return Some(done);
            }
        }
        None
    }

    /// Something that sends messages to a topic of the first cluster that has it.
    ///
    /// # Errors
    /// [`Error::Usage`] if no cluster is followed, [`Error::Peer`] if none has the topic.
    pub async fn sender(&self, topic: &str) -> Result<Sender<'_>> {
        let mut failed = Error::Usage("no RocketMQ cluster is followed that could be sent to".to_owned());
        for cluster in &self.rocketmq {
            match cluster.brokers_of(topic).await {
                Ok(addresses) if !addresses.is_empty() => {
                    return Ok(Sender { cluster, addresses, topic: topic.to_owned(), sent: 0 });
                }
                Ok(_) => {
                    failed = Error::Usage(format!("topic `{topic}` has no queue that can be written to"))
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// The payload of one message as the group's slave has it now; `None` if the slave does not have it, is not
    /// known, or did not answer in time. Groups that another process follows are asked for at the same metaservers.
    pub async fn payload(&self, broker_group: &str, subject: &str, sequence: i64) -> Option<Bytes> {
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

/// What asks metaservers and detail servers.
pub(crate) fn http_client(config: &Config) -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(config.follow.connect_timeout)
        .build()
        .map_err(|error| Error::Config(format!("the HTTP client cannot start: {error}")))
}

/// Sends messages to one topic, broker by broker in turn.
pub struct Sender<'a> {
    cluster: &'a RocketMqCluster,
    addresses: Vec<String>,
    topic: String,
    sent: usize,
}

impl Sender<'_> {
    /// Sends a message under a new unique key.
    ///
    /// # Errors
    /// [`Error::Peer`] with what the broker said.
    pub async fn send(
        &mut self,
        unique_key: &str,
        message: &crate::query::lookup::StoredMessage,
        body: Vec<u8>,
    ) -> Result<SentCopy> {
        let address =
            self.addresses.get(self.sent % self.addresses.len().max(1)).cloned().unwrap_or_default();
        self.sent += 1;
        let sent = self.cluster.send(&address, &self.topic, unique_key, message, body).await;
        sent.map_err(|error| Error::Peer(error.to_string()))
    }
}
