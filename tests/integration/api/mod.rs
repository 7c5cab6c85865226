//! The documented API over HTTP.

mod errors;
mod golden;
mod operations;
mod requests;
