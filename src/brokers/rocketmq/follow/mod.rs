//! Follows running RocketMQ clusters.
//!
//! ```text
//! name server ─► cluster ─► broker ─► queue, queue, … ─► spool ─► worker ─► hot rows ─► lake
//! ```
//!
//! A [`cluster`] finds brokers, a [`broker`] finds its topics and pulls each [`queue`]. All queues of a broker form one
//! stream: its position counts what was received, and the offsets of all queues are stored beside each commit. So
//! thousands of queues need one transaction, and a restart requests nothing twice.
//!
//! It only reads: no heart-beat, no group, no committed offset. It never ends the process and answers no queries. The
//! orders of an operator are in [`actions`].

mod actions;
mod broker;
mod cluster;
mod clusters;
mod frames;
mod inbox;
mod open;
mod progress;
mod queue;
mod stored;
mod troubles;
mod truncated;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

pub(super) use clusters::Clusters;

use super::wire::acl::Credentials;
use super::wire::client::{Client, ClientSettings, Tls, TlsSettings};
use super::wire::header_error::HeaderType;
use crate::config;
use crate::config::RocketMqSource;
use crate::error::{Error, Result};
use crate::stream::{Board, Shared, SourceStatus};

/// A cluster that is followed.
#[derive(Clone)]
struct RocketMqCluster {
    settings: Arc<RocketMqSource>,
    client: Client,
    /// Status of the cluster as a whole, while no broker is known.
    board: Arc<Board>,
    /// Brokers by name, with the address to ask.
    brokers: Arc<Mutex<BTreeMap<String, KnownBroker>>>,
}

/// A broker that was found.
#[derive(Clone)]
struct KnownBroker {
    board: Arc<Board>,
    address: tokio::sync::watch::Sender<String>,
}

impl RocketMqCluster {
    /// A cluster with a client of its own.
    ///
    /// # Errors
    /// [`Error::Config`] if keys or certificates cannot be used.
    fn new(settings: &RocketMqSource, follow: &config::Follow) -> Result<RocketMqCluster> {
        let config = |what: String| Error::Config(format!("rocketmq `{}`: {what}", settings.label()));
        let credentials = match (&settings.access_key, &settings.secret_key) {
            (Some(access), Some(secret)) => {
                let token = settings.security_token.as_ref().map(|token| token.expose());
                let credentials = Credentials::new(access, secret.expose(), token);
                Some(credentials.map_err(|error| config(error.to_string()))?)
            }
            _ => None,
        };
        let tls = if settings.tls.enabled {
            let files = TlsSettings {
                ca_file: settings.tls.ca_file.clone(),
                client: settings.tls.cert_file.clone().zip(settings.tls.key_file.clone()),
                accept_any_certificate: settings.tls.accept_any_certificate,
            };
            Some(Tls::load(&files).map_err(|error| config(error.to_string()))?)
        } else {
            None
        };
        let client = Client::new(ClientSettings {
            connect_timeout: follow.connect_timeout,
            request_timeout: settings.request_timeout,
            max_frame: usize::try_from(follow.max_frame.as_u64()).unwrap_or(usize::MAX),
            // every queue keeps one pull waiting
            max_in_flight: 64 * 1024,
            header_type: if settings.compact_headers { HeaderType::Compact } else { HeaderType::Json },
            credentials,
            tls,
            ..ClientSettings::default()
        });
        Ok(RocketMqCluster {
            settings: Arc::new(settings.clone()),
            client,
            board: Arc::new(Board::new(settings.label().to_owned())),
            brokers: Arc::default(),
        })
    }

    /// Follows until a stop is requested.
    async fn run(self, shared: Shared) {
        cluster::run(&self, &shared).await;
    }

    fn brokers(&self) -> BTreeMap<String, KnownBroker> {
        self.brokers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Status of the brokers, or of the cluster while no broker is known.
    fn status(&self) -> Vec<SourceStatus> {
        let brokers = self.brokers();
        if brokers.is_empty() {
            return vec![self.board.status()];
        }
        brokers.values().map(|broker| broker.board.status()).collect()
    }

    /// Why a broker lets nothing be followed, if one refuses the credentials.
    fn refusal(&self) -> Option<String> {
        let brokers = self.brokers();
        match brokers.is_empty() {
            true => self.board.refusal(),
            false => brokers.values().find_map(|broker| {
                let why = broker.board.refusal()?;
                Some(format!("{}: {why}", broker.board.name()))
            }),
        }
    }

    /// Whether every broker is being followed or says why not.
    fn is_explained(&self) -> bool {
        let brokers = self.brokers();
        match brokers.is_empty() {
            true => self.board.is_explained(),
            false => brokers.values().all(|broker| broker.board.is_explained()),
        }
    }
}
