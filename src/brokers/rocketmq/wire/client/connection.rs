//! One connection to a name server or a broker, shared by any number of callers.
//!
//! Gives [`wire::Connection`] RocketMQ's frames, errors and TLS. Requests of the server are refused. Nothing is
//! ever sent on its own account: servers cut a connection that was silent for two minutes, and whoever wants to use it
//! again opens another, as for every other end.

use std::time::Duration;

use bytes::BytesMut;
use tokio_util::codec::Decoder;
use tokio_util::either::Either;
use tracing::debug;

use super::error::RemoteError;
use super::tls::Tls;
use crate::brokers::rocketmq::wire::command::Command;
use crate::brokers::rocketmq::wire::frame;
use crate::brokers::rocketmq::wire::header_error::{EncodeError, HeaderType};
use crate::wire;
use crate::wire::{End, Failure, Received};

/// Limits and forms of a connection.
#[derive(Debug, Clone)]
pub struct ConnectionSettings {
    /// Longest time to look up the name, connect and set up TLS.
    pub connect_timeout: Duration,
    /// Largest frame taken or sent, in bytes with its four length bytes. A larger one ends the connection.
    pub max_frame: usize,
    /// Most requests that wait for their response; further ones wait for a permit. Waiting pulls count.
    pub max_in_flight: usize,
    /// How headers of requests are written. Responses are read in either type.
    pub header_type: HeaderType,
    /// TLS, if the server speaks it.
    pub tls: Option<Tls>,
}

/// A connection to a server. Clones share it; it is closed when the last one is dropped.
pub type Connection = wire::Connection<ConnectionSettings, Command>;

impl Connection {
    /// Connects to `host:port`; the host can be a name.
    ///
    /// # Errors
    /// [`RemoteError::Connect`], also when it takes too long.
    pub async fn open(address: &str, settings: &ConnectionSettings) -> Result<Self, RemoteError> {
        let stream = wire::connect(address, settings.connect_timeout, |stream| async {
            let peer = stream.peer_addr()?.ip();
            Ok(match &settings.tls {
                None => Either::Left(stream),
                Some(tls) => Either::Right(tls.connect(peer, stream).await?),
            })
        })
        .await
        .map_err(|source| RemoteError::Connect { address: address.to_owned(), source })?;
        Ok(Self::over(stream, address, settings.clone(), settings.max_in_flight))
    }

    /// Sends a request under an opaque of this connection and waits for its response, whatever its code. `request` is
    /// its name for errors, `after` the longest time from now to the whole response.
    ///
    /// Dropping the future gives the response up; the connection can be used further.
    ///
    /// # Errors
    /// [`RemoteError::Timeout`] without an answer in time, [`RemoteError::Closed`] or [`RemoteError::Protocol`] if the
    /// connection ended, [`RemoteError::Unsendable`] if there is no frame for the request.
    pub async fn call(
        &self,
        command: Command,
        request: &str,
        after: Duration,
    ) -> Result<Command, RemoteError> {
        let encode = |opaque| self.codec().encode(&Command { opaque, ..command });
        self.exchange(after, encode).await.map_err(|failure| {
            let (address, request) = (self.address().to_owned(), request.to_owned());
            match failure {
                Failure::Timeout => RemoteError::Timeout { address, request, after },
                Failure::Ended(End::Closed(reason)) => RemoteError::Closed { address, request, reason },
                Failure::Ended(End::Protocol(reason)) => RemoteError::Protocol { address, request, reason },
                Failure::Unsendable(source) => RemoteError::Unsendable { address, request, source },
            }
        })
    }
}

impl ConnectionSettings {
    fn encode(&self, command: &Command) -> Result<Vec<u8>, EncodeError> {
        frame::encode(command, self.header_type, self.max_frame)
    }

    /// The answer to a request of the server, if it wants one: this client serves none.
    fn refuse(&self, request: &Command) -> Option<Vec<u8>> {
        debug!(code = request.code, one_way = request.is_one_way(), "the server asks this client");
        if request.is_one_way() { None } else { self.encode(&request.not_supported()).ok() }
    }
}

impl Decoder for ConnectionSettings {
    type Item = Received<Command>;
    type Error = End;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Self::Item>, End> {
        let command =
            frame::decode(buffer, self.max_frame).map_err(|error| End::Protocol(error.to_string()))?;
        Ok(command.map(|command| match command.is_response() {
            true => Received::Response(command.opaque, command),
            false => Received::Request(self.refuse(&command)),
        }))
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<Self::Item>, End> {
        match self.decode(buffer)? {
            None if !buffer.is_empty() => Err(End::Closed("closed by the server inside a frame".to_owned())),
            frame => Ok(frame),
        }
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
