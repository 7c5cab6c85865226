//! What clients of request/response protocols have in common: a connection that many callers use at the same time.
//!
//! Nothing here knows a protocol, its frames or its errors, connects again, or repeats a request.

mod connection;

pub use connection::{Connection, End, Failure, Received, connect};
