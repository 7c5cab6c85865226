//! One TCP connection to a metaserver or a sync port, shared by any number of callers.
//!
//! Gives [`wire::Connection`] QMQ's frames and errors. Peers may send responses only.

use std::convert::Infallible;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio_util::codec::Decoder;

use super::error::PeerError;
use super::remoting;
use super::remoting::{Header, Step};
use crate::wire;
use crate::wire::{End, Failure, Received};

/// Most requests that wait for their response on one connection; further ones wait for a permit.
pub const MAX_IN_FLIGHT: usize = 16;
/// Smaller bodies are copied, so that keeping one does not keep a whole read buffer.
const COPIED_BYTES: usize = 4 * 1024;

/// Limits of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// Longest time to look up the name and connect.
    pub connect_timeout: Duration,
    /// Longest time from the call of [`Connection::request`] to the whole response.
    pub request_timeout: Duration,
    /// Largest frame taken, in bytes with its 24 header bytes. A larger one ends the connection.
    pub max_frame: usize,
}

/// A connection to a peer. Clones share it; it is closed when the last one is dropped.
pub type Connection = wire::Connection<ConnectionSettings, Response>;

/// The response to a request.
#[derive(Debug, Clone)]
pub struct Response {
    code: i16,
    body: Bytes,
}

impl Connection {
    /// Connects to `host:port`; the host can be a name.
    ///
    /// # Errors
    /// [`PeerError::Connect`], also when it takes too long.
    pub async fn open(address: &str, settings: &ConnectionSettings) -> Result<Self, PeerError> {
        let stream = wire::connect(address, settings.connect_timeout, |stream| async { Ok(stream) })
            .await
            .map_err(|source| PeerError::Connect { address: address.to_owned(), source })?;
        Ok(Self::over(stream, address, *settings, MAX_IN_FLIGHT))
    }

    /// Sends a request and waits for the body of its response.
    ///
    /// With version [`remoting::VERSION_METASERVER`] the request code in the header stays unset, with any other it
    /// repeats `code`, as QMQ does. Dropping the future gives the response up; the connection can be used further.
    ///
    /// # Errors
    /// [`PeerError::Timeout`] without an answer in time, [`PeerError::Refused`] if the result code is not success,
    /// [`PeerError::Protocol`] or [`PeerError::Closed`] if the connection ended.
    pub async fn request(&self, code: i16, version: i16, body: &[u8]) -> Result<Bytes, PeerError> {
        let request_code = match version {
            remoting::VERSION_METASERVER => remoting::REQUEST_CODE_UNSET,
            _ => code,
        };
        let encode = |opaque| {
            let header = Header { code, version, opaque, flag: remoting::FLAG_REQUEST, request_code };
            let mut frame = Vec::new();
            remoting::encode(&mut frame, &header, body);
            Ok(frame)
        };
        let address = || self.address().to_owned();
        let after = self.codec().request_timeout;
        match self.exchange::<Infallible>(after, encode).await {
            Ok(Response { code: remoting::SUCCESS, body }) => Ok(body),
            // The body of an error response is empty or of no known shape.
            Ok(refusal) => {
                Err(PeerError::Refused { address: address(), what: name(code), code: refusal.code })
            }
            Err(Failure::Timeout) => Err(PeerError::Timeout { address: address(), what: name(code), after }),
            Err(Failure::Ended(End::Closed(_))) => Err(PeerError::Closed { address: address() }),
            Err(Failure::Ended(End::Protocol(reason))) => {
                Err(PeerError::Protocol { address: address(), reason })
            }
            Err(Failure::Unsendable(never)) => match never {},
        }
    }
}

fn name(code: i16) -> String {
    remoting::request_name(code).map_or_else(|| format!("request {code}"), str::to_owned)
}

impl Decoder for ConnectionSettings {
    type Item = Received<Response>;
    type Error = End;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Self::Item>, End> {
        let (header, copied, size) = match remoting::step(buffer, self.max_frame) {
            Step::Frame { header, body, size } => {
                (header, (body.len() < COPIED_BYTES).then(|| Bytes::copy_from_slice(body)), size)
            }
            Step::Incomplete => return Ok(None),
            Step::Invalid(invalid) => return Err(End::Protocol(invalid.to_string())),
        };
        if !header.is_response() {
            let flag = header.flag;
            return Err(End::Protocol(format!("a frame with flag {flag} where only responses may come")));
        }
        let frame = buffer.split_to(size);
        let body = copied.unwrap_or_else(|| frame.freeze().split_off(remoting::MIN_FRAME_BYTES));
        Ok(Some(Received::Response(header.opaque, Response { code: header.code, body })))
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
