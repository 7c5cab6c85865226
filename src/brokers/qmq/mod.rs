//! TODO brokers::qmq

pub mod follow;
pub mod format;
pub mod import;
pub mod replay;
pub mod store;
pub mod wire;
