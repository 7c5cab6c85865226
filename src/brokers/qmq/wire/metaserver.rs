//! The metaserver of a cluster: which group a backup belongs to, and where that group can be read.
//!
//! One request per call. It never repeats a failed call and never registers as anything but a backup: another role
//! would take the group away from its master.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Client;
use url::Url;

use super::connection::{Connection, ConnectionSettings};
use super::error::PeerError;
use super::http;
use super::meta::{AcquireAnswer, AcquireRequest, MetaError, RegisterAnswer, RegisterRequest, Role};
use super::remoting::{BROKER_ACQUIRE_META, BROKER_REGISTER, VERSION_METASERVER, request_name};

/// Largest frame taken from a metaserver: its answers have two strings of at most 32767 bytes.
const MAX_FRAME_BYTES: usize = 128 * 1024;

/// Time limits of the calls to a metaserver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetaserverTimeouts {
    /// For the whole HTTP look-up of the address.
    pub lookup: Duration,
    /// For connecting.
    pub connect: Duration,
    /// For one request.
    pub request: Duration,
}

impl Default for MetaserverTimeouts {
    /// 1.5 s, 5 s and 2 s, as QMQ's own peers wait.
    fn default() -> Self {
        Self {
            lookup: Duration::from_millis(1500),
            connect: Duration::from_secs(5),
            request: Duration::from_secs(2),
        }
    }
}

/// What the metaserver knows a broker process by. It must match the operator's entry exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Host name.
    pub host: String,
    /// Serve port; only an identity, a backup does not listen on it.
    pub port: u16,
}

/// Place of a broker process in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Broker group.
    pub group: String,
    /// Where to sync from, normally `ip:port` of the slave; empty for a role that does not sync.
    pub sync_address: String,
    /// Role of the process. Only [`Role::Backup`] may read as a backup.
    pub role: Role,
}

/// A client of the metaserver behind an endpoint URL.
#[derive(Debug)]
pub struct Metaserver {
    endpoint: Url,
    http: Client,
    lookup_timeout: Duration,
    settings: ConnectionSettings,
    /// The connection that answered last.
    kept: Mutex<Option<Connection>>,
}

impl Metaserver {
    /// A client that has not asked anything yet. `endpoint` is the full URL of the address look-up.
    #[must_use]
    pub fn new(endpoint: Url, http: Client, timeouts: MetaserverTimeouts) -> Self {
        let settings = ConnectionSettings {
            connect_timeout: timeouts.connect,
            request_timeout: timeouts.request,
            max_frame: MAX_FRAME_BYTES,
        };
        Self { endpoint, http, lookup_timeout: timeouts.lookup, settings, kept: Mutex::new(None) }
    }

    /// Looks up `host:port` of a metaserver.
    ///
    /// # Errors
    /// [`PeerError::Http`] if the look-up fails or the answer is not an address.
    pub async fn locate(&self) -> Result<String, PeerError> {
        let found = http::get_address(&self.http, &self.endpoint, self.lookup_timeout).await?;
        found.ok_or_else(|| http::failure(&self.endpoint, "the answer is empty instead of host:port"))
    }

    /// Asks for group, role and sync address of a broker process, at a metaserver looked up anew.
    ///
    /// The role is returned as it is, whatever it is.
    ///
    /// # Errors
    /// [`PeerError::Refused`] with code 51 if the identity is unknown or its group has no slave; otherwise those of
    /// [`Metaserver::locate`] and [`Connection::request`], and [`PeerError::Protocol`] for an unreadable answer.
    pub async fn acquire(&self, identity: &Identity) -> Result<Meta, PeerError> {
        let connection = self.connect().await?;
        let mut body = Vec::new();
        let port = i32::from(identity.port);
        AcquireRequest { hostname: identity.host.clone(), serve_port: port }.encode(&mut body);
        let asked = || format!("the group of {}:{port} (is it known, has its group a slave?)", identity.host);
        let answer = self.ask(connection, BROKER_ACQUIRE_META, &body, AcquireAnswer::decode).await;
        let AcquireAnswer { group, sync_address, role } = answer.map_err(|error| error.about(asked))?;
        Ok(Meta { group, sync_address, role })
    }

    /// Reports that a backup is alive. `local_address` is its own `ip:port`, with the port of its identity.
    ///
    /// Always sends role 4 and state 4, whatever `meta` says. The connection is kept for the next call; after a
    /// failure the next call looks the metaserver up again.
    ///
    /// # Errors
    /// Those of [`Metaserver::locate`] and [`Connection::request`].
    pub async fn register(&self, meta: &Meta, local_address: &str) -> Result<(), PeerError> {
        let kept = self.kept().clone().filter(|kept| !kept.is_closed());
        let connection = match kept {
            Some(kept) => kept,
            None => self.connect().await?,
        };
        let mut body = Vec::new();
        RegisterRequest::backup_heartbeat(&meta.group, local_address).encode(&mut body);
        let RegisterAnswer = self.ask(connection, BROKER_REGISTER, &body, RegisterAnswer::decode).await?;
        Ok(())
    }

    async fn connect(&self) -> Result<Connection, PeerError> {
        Connection::open(&self.locate().await?, &self.settings).await
    }

    /// Asks over a connection and keeps it if that works; otherwise no connection is kept.
    async fn ask<T>(
        &self,
        connection: Connection,
        code: i16,
        body: &[u8],
        decode: impl FnOnce(&[u8]) -> Result<T, MetaError>,
    ) -> Result<T, PeerError> {
        let answer = connection.request(code, VERSION_METASERVER, body).await.and_then(|answer| {
            decode(&answer).map_err(|error| PeerError::Protocol {
                address: connection.address().to_owned(),
                reason: format!("answer to {}: {error}", request_name(code).unwrap_or("a request")),
            })
        });
        *self.kept() = answer.is_ok().then_some(connection);
        answer
    }

    fn kept(&self) -> MutexGuard<'_, Option<Connection>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks up `ip:port` of the HTTP server of a group's slave, for [`detail`](super::detail).
///
/// `acquire_url` is the configured URL without the group. `None` means that the metaserver knows no slave of the group.
///
/// # Errors
/// [`PeerError::Http`] if the look-up fails or the answer is not an address.
pub async fn slave_http_address(
    http: &Client,
    acquire_url: &Url,
    group: &str,
    timeout: Duration,
) -> Result<Option<String>, PeerError> {
    let mut url = acquire_url.clone();
    url.query_pairs_mut().append_pair("groupName", group);
    http::get_address(http, &url, timeout).await
}

#[cfg(test)]
#[path = "metaserver_tests.rs"]
mod tests;
