//! RocketMQ's remoting protocol: frames, both header types, the signature, the requests and answers in use, and the
//! client that sends them ([`client`]).
//!
//! Outside of [`client`], everything works on bytes the caller holds. Nothing keeps an offset, repeats a failed call or
//! decides when to ask what. Requests that change something in a cluster are separate, in [`writes`]; nothing that
//! follows a cluster uses them. There is no heart-beat, so no group or client is ever registered.
//!
//! All integers are big-endian, all times are milliseconds since the Unix epoch.

pub mod acl;
pub mod client;
pub mod codes;
mod command;
mod compact_header;
pub mod frame;
pub mod header_error;
mod json_header;
pub mod requests;
pub mod writes;

pub use command::{CLIENT_VERSION, Command, FLAG_ONE_WAY, FLAG_RESPONSE, Language};
