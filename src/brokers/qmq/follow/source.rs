//! One source: a broker group of a running cluster. It is found, then followed for the lifetime of the process.
//!
//! The metaserver says which group the identity belongs to and where its slave is. It is asked before every connection
//! and every [`LOOK_EVERY`], so a replaced slave needs no restart. Failures are explained, retried, and never end the
//! process.

use std::sync::Arc;
use std::time::Duration;

use super::contents::Contents;
use super::detail_servers::DetailServers;
use super::link::{Link, LinkError, MOST_QUEUES, ReportedEnd};
use super::open;
use super::runs::Runs;
use crate::brokers::qmq::logs;
use crate::brokers::qmq::wire::meta::Role;
use crate::brokers::qmq::wire::{
    Connection, ConnectionSettings, Identity, Meta, Metaserver, MetaserverTimeouts, PeerError, SyncClient,
};
use crate::config::{Config, QmqSource};
use crate::error::{Error, Result};
use crate::lake::schema::SYSTEM_QMQ;
use crate::lake::{Log, Owner, WriterLock};
use crate::stream::{Backoff, Board, Gaps, Pipeline, Shared, spool_folder};

/// Time between two registrations, from the end of one to the start of the next, as in QMQ's own backup.
const REGISTER_EVERY: Duration = Duration::from_secs(10);
/// Time between two checks whether the group has another slave.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// A source with everything it needs.
pub(super) struct Source {
    pub(super) settings: QmqSource,
    pub(super) shared: Shared,
    pub(super) board: Arc<Board>,
    pub(super) http: reqwest::Client,
    pub(super) details: Arc<DetailServers>,
}

/// A group whose streams are open.
struct Group {
    name: String,
    messages: Pipeline,
    actions: Option<Pipeline>,
    runs: Runs,
    /// Held as long as the group is written to.
    _lock: WriterLock,
}

impl Group {
    /// Ends of what was received, of messages and actions.
    fn received(&self) -> [Option<u64>; 2] {
        [self.messages.received(), self.actions.as_ref().and_then(Pipeline::received)]
    }
}

impl Source {
    /// Follows until a stop is requested.
    pub(super) async fn run(self) {
        let mut backoff =
            Backoff::new(self.shared.config.follow.retry_min, self.shared.config.follow.retry_max);
        let metaserver = self.metaserver();
        let mut group: Option<Group> = None;
        let mut known: Option<Meta> = None;
        while !self.shared.stop.is_cancelled() {
            self.board.connecting();
            let outcome = tokio::select! {
                outcome = self.once(&metaserver, &mut known, &mut group, &mut backoff) => outcome,
                () = self.shared.stop.cancelled() => break,
            };
            let Err(error) = outcome else { continue };
            self.board.problem("waiting", self.explain(&error));
            if matches!(error, LinkError::Internal(_)) {
                // the open streams may be in any state: reopen them from what is durable
                self.close(group.take()).await;
            }
            let pause = backoff.next();
            tracing::warn!(source = self.settings.label(), "{error}");
            metrics::counter!("mqlake_follow_failures_total", "source" => self.settings.label()).increment(1);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.shared.stop.cancelled() => {}
            }
        }
        self.close(group.take()).await;
        self.board.problem("stopped", "the server is stopping".to_owned());
    }

    async fn close(&self, group: Option<Group>) {
        let Some(group) = group else { return };
        let Group { name, messages, actions, .. } = group;
        let actions = async {
            match actions {
                Some(actions) => actions.close().await,
                None => Ok(()),
            }
        };
        let (messages, actions) = tokio::join!(messages.close(), actions);
        if let Err(error) = messages.and(actions) {
            tracing::warn!(group = name, %error, "what is not committed stays in the spool");
        }
    }

    /// One session: from connecting to the slave until the connection ends.
    async fn once(
        &self,
        metaserver: &Metaserver,
        known: &mut Option<Meta>,
        group: &mut Option<Group>,
        backoff: &mut Backoff,
    ) -> Result<(), LinkError> {
        let identity = self.identity()?;
        let meta = self.meta(metaserver, &identity, known).await?;
        if let Some(open) = group.as_ref()
            && open.name != meta.group
        {
            return Err(LinkError::Cluster(Error::Config(format!(
                "the metaserver now says that {}/{} belongs to broker group `{}`, but `{}` was followed; restart to \
                 follow the other group",
                identity.host, identity.port, meta.group, open.name
            ))));
        }
        if group.is_none() {
            *group = Some(self.open(&meta.group).await?);
        }
        let Some(open) = group.as_mut() else { return Ok(()) };
        let settings = self.connection_settings();
        let client = SyncClient::new(Connection::open(&meta.sync_address, &settings).await?);
        let actions_client = SyncClient::new(Connection::open(&meta.sync_address, &settings).await?);
        // an answer proves that it is a sync port
        client.heartbeat(0, 0).await?;
        self.board.following(&meta.sync_address);
        tracing::info!(group = meta.group, slave = meta.sync_address, "following");
        let gaps = Gaps::new(self.shared.lake.clone(), self.board.clone(), SYSTEM_QMQ, meta.group.clone());
        let contents = Contents {
            servers: self.details.clone(),
            acquire_url: self.settings.acquire_url(),
            group: meta.group.clone(),
        };
        let link = Link {
            client: &client,
            actions_client: &actions_client,
            messages: &open.messages,
            actions: open.actions.as_ref(),
            board: &self.board,
            settings: &self.shared.config.follow,
            content: self.settings.content,
            stop: &self.shared.stop,
            gaps: &gaps,
            contents: &contents,
            message_end: ReportedEnd::default(),
            action_end: ReportedEnd::default(),
        };
        let before = open.received();
        let outcome = tokio::select! {
            outcome = link.follow(&mut open.runs) => outcome,
            () = self.keep_registered(metaserver, &identity, &meta) => Ok(()),
        };
        if open.received() != before {
            // a connection that made progress starts the backoff anew
            backoff.reset();
        }
        gaps.store().await;
        outcome
    }

    /// Where the group's slave is. The metaserver is asked before every connection, so that a replaced slave is found,
    /// and a slave that became the master is not asked for its message log. While the metaserver is away, its last
    /// answer is used.
    async fn meta(
        &self,
        metaserver: &Metaserver,
        identity: &Identity,
        known: &mut Option<Meta>,
    ) -> Result<Meta, LinkError> {
        match (metaserver.acquire(identity).await, known.clone()) {
            (Ok(meta), _) => {
                check_meta(&meta, identity).map_err(LinkError::Cluster)?;
                Ok(known.insert(meta).clone())
            }
            (Err(error @ PeerError::Refused { .. }), _) | (Err(error), None) => Err(error.into()),
            (Err(error), Some(meta)) => {
                self.board.alarm("register", format!("the metaserver is away: {error}"));
                Ok(meta)
            }
        }
    }

    /// Registers every [`REGISTER_EVERY`]; ends when the group has another slave.
    async fn keep_registered(&self, metaserver: &Metaserver, identity: &Identity, meta: &Meta) {
        let mut looked = tokio::time::Instant::now();
        loop {
            if looked.elapsed() >= LOOK_EVERY {
                looked = tokio::time::Instant::now();
                let now = metaserver.acquire(identity).await;
                if now.is_ok_and(|now| now.sync_address != meta.sync_address) {
                    tracing::info!(group = meta.group, "the group has another slave");
                    return;
                }
            }
            let address = match &self.settings.local_address {
                Some(address) => address.clone(),
                None => local_address(&meta.sync_address).unwrap_or_else(|| "127.0.0.1".to_owned()),
            };
            let address = format!("{address}:{}", self.settings.broker_port);
            match metaserver.register(meta, &address).await {
                Ok(()) => self.board.clear_alarm("register"),
                // the metaserver does not track whether backups are alive, so following continues
                Err(error) => {
                    self.board.alarm("register", format!("the metaserver took no register: {error}"))
                }
            }
            tokio::time::sleep(REGISTER_EVERY).await;
        }
    }

    async fn open(&self, group: &str) -> Result<Group> {
        let lake = &self.shared.lake;
        crate::stream::check_group(group)?;
        let owner = Owner::of(SYSTEM_QMQ, group);
        let lock = lake.become_writer(&owner).await?;
        let info = lake.claim(group, Some(logs::MESSAGE)).await?;
        if info.as_ref().is_some_and(|info| info.seeking) {
            return Err(Error::Invariant(format!(
                "a `mqlake seek` of broker group `{group}` was interrupted; run it again with the same arguments"
            )));
        }
        self.board.group(group, info.map(|info| info.gaps).unwrap_or_default());
        let folder = spool_folder(&self.shared.config, SYSTEM_QMQ, group);
        let messages = logs::stream(group, logs::MESSAGE);
        let messages = open::messages(&self.shared, &self.settings, &self.board, messages, &folder).await?;
        let actions = if self.settings.records {
            let stream = logs::stream(group, logs::ACTION);
            match open::actions(&self.shared, &self.settings, &self.board, stream, &folder).await {
                Ok(actions) => Some(actions),
                Err(error) => {
                    // its worker and flusher must have ended before the group is opened again
                    let _ = messages.close().await;
                    return Err(error);
                }
            }
        } else {
            None
        };
        Ok(Group { name: group.to_owned(), messages, actions, runs: Runs::new(MOST_QUEUES), _lock: lock })
    }

    fn identity(&self) -> Result<Identity> {
        identity(&self.settings, &self.shared.config)
    }

    fn metaserver(&self) -> Metaserver {
        metaserver(&self.settings, &self.shared.config, &self.http)
    }

    fn connection_settings(&self) -> ConnectionSettings {
        connection_settings(&self.settings, &self.shared.config)
    }

    /// The failure, and what an operator can do about it.
    fn explain(&self, error: &LinkError) -> String {
        let identity = self.identity();
        let LinkError::Peer(PeerError::Refused { what, .. }) = error else { return error.to_string() };
        let Ok(identity) = identity else { return error.to_string() };
        if !what.starts_with("the group of ") {
            return error.to_string();
        }
        format!(
            "{error}. The metaserver does not know {host}/{port} as a broker, or its group has no slave. Register it: \
             POST /management on the metaserver with action=AddBroker, brokerGroup=GROUP, role=4, hostname={host}, \
             ip=THIS-MACHINE, servePort={port}; or set host_name and broker_port to an identity that is registered",
            host = identity.host,
            port = identity.port,
        )
    }
}

/// The bounds of the slave's log of a broker group: its first offset, if it has any, and its end.
///
/// `None` if this source does not follow the group.
///
/// # Errors
/// If the metaserver or the slave cannot be asked.
pub(super) async fn log_bounds(
    settings: &QmqSource,
    config: &Config,
    http: &reqwest::Client,
    group: &str,
    log: Log,
) -> Result<Option<(Option<u64>, u64)>, LinkError> {
    let identity = identity(settings, config)?;
    let meta = metaserver(settings, config, http).acquire(&identity).await?;
    if meta.group != group {
        return Ok(None);
    }
    check_meta(&meta, &identity).map_err(LinkError::Cluster)?;
    let connection = Connection::open(&meta.sync_address, &connection_settings(settings, config)).await?;
    let client = SyncClient::new(connection);
    let ends = client.heartbeat(0, 0).await?;
    // the beginning is only displayed
    let (begin, end) = if log == logs::ACTION {
        (client.action(0).await, ends.action)
    } else {
        (client.message(-1).await, ends.message)
    };
    let begin = begin.ok().and_then(|answer| u64::try_from(answer.start_offset).ok());
    Ok(Some((begin, u64::try_from(end).unwrap_or(0))))
}

fn identity(settings: &QmqSource, config: &Config) -> Result<Identity> {
    let host = match &settings.host_name {
        Some(host) => host.clone(),
        None => match &config.surroundings.qmq_host {
            Some(host) => host.clone(),
            None => hostname::get()
                .map_err(|error| {
                    Error::Config(format!("the host name is not known ({error}); set host_name"))
                })?
                .to_string_lossy()
                .into_owned(),
        },
    };
    Ok(Identity { host, port: settings.broker_port })
}

fn metaserver(settings: &QmqSource, config: &Config, http: &reqwest::Client) -> Metaserver {
    let timeouts = MetaserverTimeouts {
        connect: config.follow.connect_timeout,
        request: settings.request_timeout,
        ..MetaserverTimeouts::default()
    };
    Metaserver::new(settings.meta_server_endpoint.clone(), http.clone(), timeouts)
}

fn connection_settings(settings: &QmqSource, config: &Config) -> ConnectionSettings {
    ConnectionSettings {
        connect_timeout: config.follow.connect_timeout,
        request_timeout: settings.request_timeout,
        max_frame: usize::try_from(config.follow.max_frame.as_u64()).unwrap_or(usize::MAX),
    }
}

fn check_meta(meta: &Meta, identity: &Identity) -> Result<()> {
    let Identity { host, port } = identity;
    if meta.role != Role::Backup {
        return Err(Error::Config(format!(
            "the metaserver has {host}/{port} with role {} in broker group `{}`; mqlake must be registered with role \
             4 (BACKUP): POST /management with action=AddBroker, brokerGroup={}, role=4, hostname={host}, \
             servePort={port}, or set host_name and broker_port to an identity of that role",
            meta.role.name(),
            meta.group,
            meta.group
        )));
    }
    if meta.sync_address.is_empty() {
        return Err(Error::Config(format!(
            "broker group `{}` has no slave to sync from; register one (role 1) at the metaserver",
            meta.group
        )));
    }
    Ok(())
}

/// The address of this machine as seen on the way to a peer.
fn local_address(peer: &str) -> Option<String> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // no packet is sent; connecting only selects the route
    socket.connect(peer).ok()?;
    Some(socket.local_addr().ok()?.ip().to_string())
}
