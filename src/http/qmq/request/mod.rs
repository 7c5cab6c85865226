//! Requests of QMQ's backup HTTP API: from the raw query string of the URL to typed values.
//!
//! The steps, one module each: take one URL parameter ([`mod@parameter`]), read its text as Gson's lenient JSON
//! ([`lenient`]), convert the members to typed fields ([`query`], with the dates of [`date`]), and unpack the page
//! token of a follow-up request ([`token`]).
//!
//! Nothing here knows HTTP status codes, reads stored data, or decides how a refused request is answered. Every
//! function is pure and returns either a value or a reason that says what to send instead.

pub mod date;
mod fields;
pub mod lenient;
pub mod parameter;
pub mod query;
pub mod token;

pub use date::parse_date_ms;
pub use lenient::{Json, Malformed};
pub use parameter::{BadEncoding, parameter};
pub use query::{BackupQuery, BadQuery, RecordQuery};
pub use token::{BadToken, PageKey, scope};
