//! One cluster, followed for the lifetime of the process: its brokers and their addresses.

use std::sync::{Arc, PoisonError};

use tokio::task::JoinSet;

use super::broker::BrokerFollower;
use super::{KnownBroker, RocketMqCluster};
use crate::brokers::rocketmq::wire::client::RemoteError;
use crate::stream::{Backoff, Board, Shared};

/// Follows a cluster until a stop is requested.
pub(super) async fn run(cluster: &RocketMqCluster, shared: &Shared) {
    let mut backoff = Backoff::new(shared.config.follow.retry_min, shared.config.follow.retry_max);
    let mut followers = JoinSet::new();
    while !shared.stop.is_cancelled() {
        let pause = match discover(cluster).await {
            Ok(found) => {
                backoff.reset();
                if found.is_empty() {
                    cluster.board.problem(
                        "waiting",
                        format!("name server {} knows no broker", cluster.settings.name_servers.join(", ")),
                    );
                }
                for broker in found {
                    if let Some(follower) = remember(cluster, shared, &broker) {
                        followers.spawn(follower.run());
                    }
                }
                cluster.settings.discover_every
            }
            Err(error) => {
                let what = format!("finding brokers: {error}");
                if error.is_permission() {
                    cluster.board.refused(format!("{what}. Look at access_key and secret_key of the source"));
                } else {
                    cluster.board.problem("waiting", what);
                }
                // the brokers found before are still followed; that does not need the name server
                tracing::warn!(cluster = cluster.settings.label(), "{error}");
                backoff.next()
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.stop.cancelled() => {}
        }
    }
    while followers.join_next().await.is_some() {}
    cluster.client.close().await;
}

/// A broker with the address to ask: that of the master, or else of the first slave.
struct Found {
    name: String,
    cluster: String,
    address: String,
}

async fn discover(cluster: &RocketMqCluster) -> Result<Vec<Found>, RemoteError> {
    let mut failed = None;
    for name_server in &cluster.settings.name_servers {
        match cluster.client.cluster_info(name_server).await {
            Ok(info) => {
                let found = info.brokers.into_iter().filter_map(|broker| {
                    let address =
                        broker.master().or_else(|| broker.addresses.values().next().map(String::as_str))?;
                    let address = cluster.settings.reachable(address).to_owned();
                    Some(Found { name: broker.name, cluster: broker.cluster, address })
                });
                return Ok(found.collect());
            }
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(Vec::new()), Err)
}

/// Remembers a broker; returns a follower if it is new.
fn remember(cluster: &RocketMqCluster, shared: &Shared, found: &Found) -> Option<BrokerFollower> {
    let Found { name, cluster: of, address } = found;
    let mut brokers = cluster.brokers.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = brokers.get(name.as_str()) {
        known.address.send_if_modified(|known| {
            let is_new = known != address;
            if is_new {
                address.clone_into(known);
            }
            is_new
        });
        return None;
    }
    let board = Arc::new(Board::new(format!("{}/{name}", cluster.settings.label())));
    let (sender, receiver) = tokio::sync::watch::channel(address.to_owned());
    brokers.insert(name.to_owned(), KnownBroker { board: board.clone(), address: sender });
    Some(BrokerFollower {
        name: name.clone(),
        cluster: of.clone(),
        settings: cluster.settings.clone(),
        client: cluster.client.clone(),
        shared: shared.clone(),
        board,
        address: receiver,
    })
}
