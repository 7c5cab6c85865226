//! The sync port of a broker, one method per kind of request.
//!
//! It fills in the two offsets as QMQ's own peers do and checks the shape of the answer. It never keeps an offset,
//! never asks twice and never looks into the data.

use bytes::Bytes;

use super::connection::Connection;
use super::error::PeerError;
use super::remoting::{SYNC_CHECKPOINT_REQUEST, SYNC_LOG_REQUEST, VERSION_SYNC};
use super::sync::{Answer, Checkpoint, Maxima, Request, SyncError, SyncType};

/// A client of a sync port. Clones share the connection; one request per kind can wait at the same time.
#[derive(Debug, Clone)]
pub struct SyncClient {
    connection: Connection,
}

/// Answer to an index, action or message request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncAnswer {
    /// Action and message: offset of the first data byte; compare it with the requested offset. Index: the offset to
    /// ask for next, also when there is no data.
    pub start_offset: i64,
    /// Log bytes, whose last record can be cut, or whole index records; can be empty.
    pub data: Bytes,
}

impl SyncClient {
    /// Uses a connection to a sync port.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// The connection in use.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Asks for index records from an offset of the message log on; a negative one means the start.
    ///
    /// # Errors
    /// Those of [`Connection::request`], and [`PeerError::Protocol`] for an answer of the wrong shape.
    pub async fn index(&self, offset: i64) -> Result<SyncAnswer, PeerError> {
        // Both fields, because an empty answer can repeat the action field.
        self.read(SyncType::Index, offset, offset).await
    }

    /// Asks for bytes of the action log.
    ///
    /// # Errors
    /// As [`SyncClient::index`].
    pub async fn action(&self, offset: i64) -> Result<SyncAnswer, PeerError> {
        self.read(SyncType::Action, offset, offset).await
    }

    /// Asks for bytes of the message log. Send this to a slave only: a master takes the offset as the progress of its
    /// slave and may acknowledge messages that no slave has.
    ///
    /// # Errors
    /// As [`SyncClient::index`].
    pub async fn message(&self, offset: i64) -> Result<SyncAnswer, PeerError> {
        self.read(SyncType::Message, offset, 0).await
    }

    /// Reports the caller's offsets, from which the broker derives lag gauges, and returns the ends of its logs.
    ///
    /// # Errors
    /// As [`SyncClient::index`].
    pub async fn heartbeat(&self, message_offset: i64, action_offset: i64) -> Result<Maxima, PeerError> {
        let request = Request { sync_type: SyncType::Heartbeat, message_offset, action_offset };
        let body = self.ask(&request).await?;
        Maxima::decode(&body).map_err(|error| self.protocol(&request, &error))
    }

    /// The greatest sequence of every queue of the broker, by its full name.
    ///
    /// # Errors
    /// As [`SyncClient::index`].
    pub async fn greatest_sequences(&self) -> Result<Vec<(String, i64)>, PeerError> {
        let asked = || "the checkpoint".to_owned();
        let answer = self.connection.request(SYNC_CHECKPOINT_REQUEST, VERSION_SYNC, &[]).await;
        let body = answer.map_err(|error| error.about(asked))?;
        Checkpoint::decode(&body).map(|checkpoint| checkpoint.greatest_sequences()).map_err(|error| {
            let address = self.connection.address().to_owned();
            PeerError::Protocol { address, reason: format!("answer to {}: {error}", asked()) }
        })
    }

    async fn read(
        &self,
        sync_type: SyncType,
        message_offset: i64,
        action_offset: i64,
    ) -> Result<SyncAnswer, PeerError> {
        let request = Request { sync_type, message_offset, action_offset };
        let body = self.ask(&request).await?;
        let answer = Answer::decode(&body).map_err(|error| self.protocol(&request, &error))?;
        Ok(SyncAnswer { start_offset: answer.start_offset, data: body.slice_ref(answer.data) })
    }

    async fn ask(&self, request: &Request) -> Result<Bytes, PeerError> {
        let body = request.encode();
        let answer = self.connection.request(SYNC_LOG_REQUEST, VERSION_SYNC, &body).await;
        answer.map_err(|error| error.about(|| asked(request)))
    }

    fn protocol(&self, request: &Request, error: &SyncError) -> PeerError {
        let address = self.connection.address().to_owned();
        PeerError::Protocol { address, reason: format!("answer to {}: {error}", asked(request)) }
    }
}

fn asked(request: &Request) -> String {
    let offset = match request.sync_type {
        SyncType::Heartbeat => return "the heartbeat".to_owned(),
        SyncType::Action => request.action_offset,
        SyncType::Message | SyncType::Index => request.message_offset,
    };
    format!("the {} request at offset {offset}", request.sync_type.name())
}

#[cfg(test)]
#[path = "sync_client_tests.rs"]
mod tests;
