//! The documented API over HTTP.

mod errors;
pub mod golden;
mod operations;
mod requests;
