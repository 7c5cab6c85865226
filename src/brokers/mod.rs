//! TODO brokers

pub mod qmq;
pub mod rocketmq;
