//! Starts and stops the followers of all configured sources while the process serves. Each system implements its own
//! follower; nothing here answers queries.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::brokers;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::query::Catalog;
use crate::stream::{Follower, GroupPosition, HotBytes, Orders, Shared, SourceStatus};

/// The followers of all systems.
pub struct Follow {
    followers: Vec<Box<dyn Follower>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    stop: CancellationToken,
    give_up: CancellationToken,
}

impl Follow {
    /// Checks keys and certificates of the sources, which needs no store.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn check(config: &Config) -> Result<()> {
        followers(config).map(drop)
    }

    /// Starts to follow every configured source, and the upkeep of the tables if there is a source.
    ///
    /// # Errors
    /// [`Error::Config`] if a source cannot be set up. Later failures are shown in the status.
    pub fn start(config: Arc<Config>, lake: Arc<Lake>, catalog: Arc<Catalog>) -> Result<Follow> {
        let followers = followers(&config)?;
        let (stop, give_up) = (CancellationToken::new(), CancellationToken::new());
        let shared = Shared {
            lake,
            catalog,
            config,
            hot: Arc::new(HotBytes::default()),
            stop: stop.clone(),
            give_up: give_up.clone(),
        };
        let mut tasks: Vec<_> = followers.iter().flat_map(|follower| follower.start(&shared)).collect();
        if !tasks.is_empty() {
            tasks.push(tokio::spawn(crate::upkeep::run(shared)));
        }
        Ok(Follow { followers, tasks: Mutex::new(tasks), stop, give_up })
    }

    /// The current status of all sources.
    #[must_use]
    pub fn status(&self) -> Vec<SourceStatus> {
        self.followers.iter().flat_map(|follower| follower.status()).collect()
    }

    /// The error of a source that rejects our identity or credentials, so that only an operator can help.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        self.followers.iter().find_map(|follower| follower.refusal())
    }

    /// Whether every source is followed or its status has a reason why not.
    #[must_use]
    pub(crate) fn is_explained(&self) -> bool {
        self.followers.iter().all(|follower| follower.is_explained())
    }

    /// Stops receiving, commits what was received, and waits at most `grace` for that. The rest stays in the spool for
    /// the next start.
    pub async fn stop(&self, grace: Duration) {
        self.stop.cancel();
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let mut all = Box::pin(futures::future::join_all(tasks));
        if tokio::time::timeout(grace, &mut all).await.is_ok() {
            return;
        }
        self.give_up.cancel();
        let _ = tokio::time::timeout(Duration::from_secs(2), all).await;
    }

    /// The current content of a message in the brokers; `None` if no broker returns it.
    pub async fn content(&self, broker_group: &str, subject: &str, sequence: i64) -> Option<Bytes> {
        for follower in &self.followers {
            if let Some(content) = follower.content(broker_group, subject, sequence).await {
                return Some(content);
            }
        }
        None
    }

    /// The current positions of a group in the queues of a topic, in the brokers that are followed.
    pub(crate) async fn group_positions(&self, system: &str, topic: &str, group: &str) -> Vec<GroupPosition> {
        let mut places = Vec::new();
        for follower in self.followers.iter().filter(|follower| follower.system() == system) {
            places.extend(follower.group_positions(topic, group).await);
        }
        places
    }

    /// The orders to brokers of a system.
    ///
    /// # Errors
    /// [`Error::Usage`] if no cluster of the system is followed.
    pub(crate) fn orders(&self, system: &str) -> Result<&dyn Orders> {
        let mut of_system = self.followers.iter().filter(|follower| follower.system() == system);
        let orders = of_system.find_map(|follower| follower.orders());
        orders.ok_or_else(|| Error::Usage(format!("no cluster of {system} is followed")))
    }
}

fn followers(config: &Config) -> Result<Vec<Box<dyn Follower>>> {
    let mut followers = Vec::new();
    for system in brokers::ALL {
        followers.extend(system.follower(config)?);
    }
    Ok(followers)
}
