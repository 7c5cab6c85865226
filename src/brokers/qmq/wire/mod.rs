//! The network protocol of a QMQ cluster, as a backup speaks it.
//!
//! [`Metaserver`] says which group a backup belongs to and where to sync from, [`SyncClient`] asks a broker for its
//! streams over a [`Connection`], and [`detail`] fetches whole messages over HTTP. Every call has a time limit and a
//! size limit and fails with a [`PeerError`].
//!
//! Nothing here keeps an offset, repeats a failed call, pauses between calls or decides what an answer means for the
//! history. Nothing here registers as anything but a backup.

mod connection;
pub mod detail;
mod error;
mod http;
pub mod meta;
mod metaserver;
pub mod remoting;
pub mod sync;
mod sync_client;

#[cfg(test)]
mod fake;

pub use connection::{Connection, ConnectionSettings, MAX_IN_FLIGHT};
pub use error::PeerError;
pub use metaserver::{Identity, Meta, Metaserver, MetaserverTimeouts, slave_http_address};
pub use sync_client::{SyncAnswer, SyncClient};
