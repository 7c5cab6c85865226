//! Asks name servers and brokers, over one connection per address.
//!
//! Connections are made when they are needed, and made again when they have ended, left a request without an answer, or
//! were silent for so long that the server may be about to close them. A failed call is never repeated. The client
//! sends the requests of [`requests`](crate::brokers::rocketmq::wire::requests) and no others: no heart-beat, no group,
//! no commit.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::connection::{Connection, ConnectionSettings};
use super::error::RemoteError;
use super::tls::Tls;
use crate::brokers::rocketmq::wire::acl::Credentials;
use crate::brokers::rocketmq::wire::codes::response;
use crate::brokers::rocketmq::wire::command::Command;
use crate::brokers::rocketmq::wire::frame::DEFAULT_MAX_FRAME;
use crate::brokers::rocketmq::wire::header_error::HeaderType;
use crate::brokers::rocketmq::wire::requests;
use crate::brokers::rocketmq::wire::requests::{
    AllOffsets, AnswerError, Boundary, ClusterInfo, ConsumeStats, GroupConfig, NamedTexts, Pull, PullRequest,
    QueryMessages, Request, TopicConfig, TopicRoute, TopicStats,
};

/// Limits and forms of all calls.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// Longest time to connect, TLS included.
    pub connect_timeout: Duration,
    /// Longest time from sending a request to its whole response. The wait of a pull is added to it.
    pub request_timeout: Duration,
    /// A connection that was silent for longer is not used again. Servers close one after 120 seconds.
    pub idle_limit: Duration,
    /// Largest frame taken or sent, in bytes with its four length bytes.
    pub max_frame: usize,
    /// Most requests that wait for their response on one connection, waiting pulls included.
    pub max_in_flight: usize,
    /// How headers of requests are written. Compact ones have no advantage but size.
    pub header_type: HeaderType,
    /// The user who signs the requests, where servers require it.
    pub credentials: Option<Credentials>,
    /// TLS, if the servers speak it.
    pub tls: Option<Tls>,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(5),
            idle_limit: Duration::from_secs(60),
            max_frame: DEFAULT_MAX_FRAME,
            max_in_flight: 1024,
            header_type: HeaderType::default(),
            credentials: None,
            tls: None,
        }
    }
}

/// Where the connection to an address is kept. The lock is held while connecting, so that one caller does it for all.
type Slot = Arc<tokio::sync::Mutex<Option<Connection>>>;

/// A client of any number of name servers and brokers. Clones share the connections.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    connection: ConnectionSettings,
    request_timeout: Duration,
    idle_limit: Duration,
    credentials: Option<Credentials>,
    slots: Mutex<HashMap<String, Slot>>,
}

impl Client {
    /// A client without connections.
    #[must_use]
    pub fn new(settings: ClientSettings) -> Self {
        let connection = ConnectionSettings {
            connect_timeout: settings.connect_timeout,
            max_frame: settings.max_frame,
            max_in_flight: settings.max_in_flight,
            header_type: settings.header_type,
            tls: settings.tls,
        };
        Self {
            inner: Arc::new(Inner {
                connection,
                request_timeout: settings.request_timeout,
                idle_limit: settings.idle_limit,
                credentials: settings.credentials,
                slots: Mutex::default(),
            }),
        }
    }

    /// Closes all connections. Calls that wait for their response fail; later ones connect again.
    pub async fn close(&self) {
        let slots = std::mem::take(&mut *self.slots());
        for slot in slots.into_values() {
            if let Some(connection) = slot.lock().await.take() {
                connection.close();
            }
        }
    }

    /// Sends a request to `host:port` and gives its response, whatever its code.
    ///
    /// # Errors
    /// Every [`RemoteError`] but [`RemoteError::Refused`] and [`RemoteError::Answer`].
    pub async fn call(&self, address: &str, request: Request) -> Result<Command, RemoteError> {
        let name = request.name();
        let after = self.inner.request_timeout.saturating_add(request.held());
        let mut command = request.into_command();
        if let Some(credentials) = &self.inner.credentials {
            credentials.sign(&mut command);
        }
        let connection = self.connection(address).await?;
        let response = connection.call(command, &name, after).await;
        match &response {
            // A connection whose path is lost does not report that.
            Err(RemoteError::Timeout { .. }) => self.forget(&connection).await,
            Ok(Command { code: response::GO_AWAY, .. }) => self.forget(&connection).await,
            _ => {}
        }
        response
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, HashMap<String, Slot>> {
        self.inner.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection to an address; it is made if there is no usable one.
    async fn connection(&self, address: &str) -> Result<Connection, RemoteError> {
        let slot = Arc::clone(self.slots().entry(address.to_owned()).or_default());
        let settings = &self.inner.connection;
        let found = async {
            let mut slot = slot.lock().await;
            if let Some(connection) = &*slot
                && !connection.is_closed()
                && connection.idle_for() <= self.inner.idle_limit
            {
                return Ok(connection.clone());
            }
            *slot = None;
            let connection = Connection::open(address, settings).await?;
            Ok(slot.insert(connection).clone())
        };
        // The limit also covers callers who wait for another one to connect.
        tokio::time::timeout(settings.connect_timeout, found).await.unwrap_or_else(|_| {
            let source = io::ErrorKind::TimedOut.into();
            Err(RemoteError::Connect { address: address.to_owned(), source })
        })
    }

    /// Makes the next call connect again. Calls that still wait on the connection keep it until then.
    async fn forget(&self, connection: &Connection) {
        let slot = self.slots().get(connection.address()).cloned();
        if let Some(slot) = slot {
            let mut slot = slot.lock().await;
            if slot.as_ref().is_some_and(|kept| kept.is_same(connection)) {
                *slot = None;
            }
        }
    }

    /// Sends a request and reads its answer. `read` returns `None` for a response code that is a refusal.
    pub(super) async fn ask<T>(
        &self,
        address: &str,
        request: Request,
        read: impl FnOnce(&Command) -> Result<Option<T>, AnswerError>,
    ) -> Result<T, RemoteError> {
        let name = request.name();
        let response = self.call(address, request).await?;
        let (address, request) = (address.to_owned(), name.into_owned());
        match read(&response) {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => {
                let Command { code, remark, .. } = response;
                Err(RemoteError::Refused { address, request, code, remark })
            }
            Err(source) => Err(RemoteError::Answer { address, request, source }),
        }
    }

    /// Sends a request whose only good response code is 0.
    pub(super) async fn ask_plainly<T>(
        &self,
        address: &str,
        request: Request,
        read: impl FnOnce(&Command) -> Result<T, AnswerError>,
    ) -> Result<T, RemoteError> {
        let successful = |response: &Command| match response.code {
            response::SUCCESS => read(response).map(Some),
            _ => Ok(None),
        };
        self.ask(address, request, successful).await
    }
}

/// One method per request. The first argument is `host:port` of the server to ask. All fail with a [`RemoteError`].
#[allow(clippy::missing_errors_doc)]
impl Client {
    /// Where a topic is, as a name server knows it; see [`requests::topic_route`].
    pub async fn topic_route(&self, name_server: &str, topic: &str) -> Result<TopicRoute, RemoteError> {
        self.ask_plainly(name_server, requests::topic_route(topic), |r| TopicRoute::parse(&r.body)).await
    }

    /// All brokers a name server knows.
    pub async fn cluster_info(&self, name_server: &str) -> Result<ClusterInfo, RemoteError> {
        self.ask_plainly(name_server, requests::cluster_info(), |r| ClusterInfo::parse(&r.body)).await
    }

    /// Names of all topics a name server knows; see [`requests::topic_list`].
    pub async fn topic_list(&self, name_server: &str) -> Result<Vec<String>, RemoteError> {
        self.ask_plainly(name_server, requests::topic_list(), |r| requests::parse_topics(&r.body)).await
    }

    /// How a broker has set a topic up.
    pub async fn topic_config(&self, broker: &str, topic: &str) -> Result<TopicConfig, RemoteError> {
        self.ask_plainly(broker, requests::topic_config(topic), |r| TopicConfig::parse(&r.body)).await
    }

    /// How a broker has set all its topics up.
    pub async fn all_topic_configs(&self, broker: &str) -> Result<Vec<TopicConfig>, RemoteError> {
        let read = |r: &Command| requests::parse_topic_configs(&r.body);
        self.ask_plainly(broker, requests::all_topic_configs(), read).await
    }

    /// Names of the groups that consume a topic on a broker.
    pub async fn groups_of_topic(&self, broker: &str, topic: &str) -> Result<Vec<String>, RemoteError> {
        let read = |r: &Command| requests::parse_groups(&r.body);
        self.ask_plainly(broker, requests::groups_of_topic(topic), read).await
    }

    /// Settings of a broker.
    pub async fn broker_config(&self, broker: &str) -> Result<NamedTexts, RemoteError> {
        let read = |r: &Command| Ok(requests::parse_properties(&r.body));
        self.ask_plainly(broker, requests::broker_config(), read).await
    }

    /// Figures of a broker.
    pub async fn runtime_info(&self, broker: &str) -> Result<NamedTexts, RemoteError> {
        let read = |r: &Command| requests::parse_runtime_info(&r.body);
        self.ask_plainly(broker, requests::runtime_info(), read).await
    }

    /// All consumer groups of a broker.
    pub async fn group_configs(&self, broker: &str) -> Result<Vec<GroupConfig>, RemoteError> {
        let read = |r: &Command| requests::parse_group_configs(&r.body);
        self.ask_plainly(broker, requests::group_configs(), read).await
    }

    /// The next messages of a queue; see [`requests::pull`].
    pub async fn pull(&self, broker: &str, pull: &PullRequest<'_>) -> Result<Pull, RemoteError> {
        self.ask(broker, requests::pull(pull), Pull::parse).await
    }

    /// The messages with a key, as records one after the other; empty if there is none. See
    /// [`requests::query_messages`].
    pub async fn query_messages(
        &self,
        broker: &str,
        query: &QueryMessages<'_>,
    ) -> Result<Bytes, RemoteError> {
        let read = |response: &Command| {
            Ok(match response.code {
                response::SUCCESS => Some(response.body.clone()),
                response::QUERY_NOT_FOUND => Some(Bytes::new()),
                _ => None,
            })
        };
        self.ask(broker, requests::query_messages(query), read).await
    }

    /// The record at an offset of the commit log; `None` if the broker says that there is no message. See
    /// [`requests::view_message`].
    pub async fn view_message(
        &self,
        broker: &str,
        offset: i64,
        topic: Option<&str>,
    ) -> Result<Option<Bytes>, RemoteError> {
        let read = |response: &Command| {
            // No response code says so. Where no message begins, the broker fails to read one, and its remark shows
            // how.
            let remark = response.remark.as_deref().unwrap_or_default();
            let is_missing = remark.starts_with("can not find message") || remark.starts_with("java.lang.");
            Ok(match response.code {
                response::SUCCESS => Some(Some(response.body.clone())),
                response::SYSTEM_ERROR if is_missing => Some(None),
                _ => None,
            })
        };
        self.ask(broker, requests::view_message(offset, topic), read).await
    }

    /// The offset that the next message of a queue will have.
    pub async fn max_offset(&self, broker: &str, topic: &str, queue_id: i32) -> Result<i64, RemoteError> {
        self.ask_plainly(broker, requests::max_offset(topic, queue_id), requests::parse_offset).await
    }

    /// The first offset of a queue that can still be read.
    pub async fn min_offset(&self, broker: &str, topic: &str, queue_id: i32) -> Result<i64, RemoteError> {
        self.ask_plainly(broker, requests::min_offset(topic, queue_id), requests::parse_offset).await
    }

    /// When the first readable message of a queue was stored; see [`requests::parse_store_time`].
    pub async fn earliest_store_time(
        &self,
        broker: &str,
        topic: &str,
        queue_id: i32,
    ) -> Result<Option<i64>, RemoteError> {
        let request = requests::earliest_store_time(topic, queue_id);
        self.ask_plainly(broker, request, requests::parse_store_time).await
    }

    /// An offset by store time; see [`requests::search_offset`].
    pub async fn search_offset(
        &self,
        broker: &str,
        topic: &str,
        queue_id: i32,
        timestamp: i64,
        boundary: Boundary,
    ) -> Result<i64, RemoteError> {
        let request = requests::search_offset(topic, queue_id, timestamp, boundary);
        self.ask_plainly(broker, request, requests::parse_offset).await
    }

    /// Everything that groups have committed on a broker.
    pub async fn all_offsets(&self, broker: &str) -> Result<AllOffsets, RemoteError> {
        self.ask_plainly(broker, requests::all_offsets(), |r| AllOffsets::parse(&r.body)).await
    }

    /// How far a group is on a broker; see [`requests::consume_stats`].
    pub async fn consume_stats(
        &self,
        broker: &str,
        group: &str,
        topic: Option<&str>,
    ) -> Result<ConsumeStats, RemoteError> {
        let request = requests::consume_stats(group, topic);
        self.ask_plainly(broker, request, |r| ConsumeStats::parse(&r.body)).await
    }

    /// First and last offset of all queues of a topic on a broker.
    pub async fn topic_stats(&self, broker: &str, topic: &str) -> Result<TopicStats, RemoteError> {
        self.ask_plainly(broker, requests::topic_stats(topic), |r| TopicStats::parse(&r.body)).await
    }
}

#[cfg(test)]
#[path = "reads_tests.rs"]
mod tests;
