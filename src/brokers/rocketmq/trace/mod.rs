//! Message trace: what RocketMQ clients with trace enabled report about sends, deliveries and transactions.
//!
//! Clients write the reports as text into ordinary messages of a trace topic ("RocketMQ formats: message trace").
//! [`decode`] reads such a body, [`event`] is what it returns, [`identity`] recognises repeated reports, [`encode`]
//! writes bodies for tests and simulators, and [`graph`] assembles the events and copies of one message. Nothing here
//! finds trace messages, decompresses bodies, reads a table or keeps state.

pub mod decode;
pub mod encode;
pub mod event;
pub mod graph;
pub mod identity;
pub mod kind;

/// Separator of the fields of a record.
pub const FIELD_SEPARATOR: u8 = 0x01;
/// End of a record.
pub const RECORD_SEPARATOR: u8 = 0x02;
