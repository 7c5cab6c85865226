//! The client of a running RocketMQ cluster, for a caller that only reads.
//!
//! [`Client`] asks name servers and brokers over one [`Connection`] per address. Every call has a time limit and a size
//! limit and fails with a [`RemoteError`]. Nothing here sends a heart-beat, registers a group or a client, commits an
//! offset or creates anything; brokers see no consumer. Changes that an operator orders go through [`Writes`].
//!
//! Nothing here keeps an offset, repeats a failed call, pauses between calls or reads a record.

mod connection;
mod error;
mod reads;
mod tls;
mod writes;

#[cfg(test)]
mod fake;

pub use connection::{Connection, ConnectionSettings};
pub use error::RemoteError;
pub use reads::{Client, ClientSettings};
pub use tls::{Tls, TlsError, TlsSettings};
pub use writes::Writes;
