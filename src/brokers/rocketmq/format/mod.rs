//! RocketMQ formats: the records of the commit log and their parts, and the other files of a broker.
//!
//! Each module decodes one format from bytes the caller already holds, and can encode it again where tests, fixtures
//! and simulators need that. Nothing here opens a file, talks to a network, keeps state between calls or decides what a
//! record means for the history; bad bytes come back as values, never as a panic.
//!
//! All integers are big-endian and signed unless stated, all times are milliseconds since the Unix epoch. Text stays
//! raw bytes in the records because clients in some languages do not send valid UTF-8.

pub mod body;
pub mod broker_config;
pub mod checkpoint;
pub mod consume_queue;
mod fixed;
pub mod index_file;
pub mod inner_batch;
mod java_hash;
pub mod json;
mod lz4_frame;
pub mod message_id;
pub mod pop;
pub mod properties;
pub mod record;
pub mod record_encode;
mod record_error;
mod stream_output;
pub mod sys_flag;
pub mod topics;

pub use record_error::RecordError;
