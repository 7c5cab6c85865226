//! Requests of QMQ's backup HTTP API: from the raw query string of the URL to typed values.
//!
//! The steps, one module each: take one URL parameter ([`mod@parameter`]), read its text as Gson's lenient JSON
//! ([`lenient`]), and convert the members to typed fields ([`query`], with the dates of [`date`]). Page tokens are
//! [`page_token`](crate::http::page_token)s; those of earlier servers are read by [`old_token`].
//!
//! Nothing here knows HTTP status codes, reads stored data, or decides how a refused request is answered. Every
//! function is pure and returns either a value or a reason that says what to send instead.

pub mod date;
mod fields;
pub mod lenient;
pub mod old_token;
pub mod parameter;
pub mod query;

pub use date::parse_date_ms;
pub use old_token::OldToken;
pub use parameter::{BadEncoding, parameter};
pub use query::{BackupQuery, BadQuery, RecordQuery};
