//! RocketMQ: brokers of Apache RocketMQ 4.x and 5.x.
//!
//! A broker has one commit log for all its topics. It is read from the files of a store directory ([`import`]), or queue by
//! queue from the running broker ([`follow`]); both lead to the same rows, and each goes on where the other ended. Message
//! traces lie in a topic of the broker's own, in a format of the clients ([`trace`]).

mod conventions;
pub mod follow;
pub mod format;
pub mod import;
pub mod logs;
pub mod replay;
pub mod store;
pub mod trace;
pub mod wire;

pub use import::{RocketMqImport, RocketMqSummary, check_rocketmq_store};
pub use replay::{
    ProgressSample, RocketMqBatch, RocketMqCounts, RocketMqReplay, RocketMqSettings, TableFloor,
    TraceCarrier, lost_key_text,
};

use crate::config::Config;
use crate::error::Result;
use crate::lake::schema::SYSTEM_ROCKETMQ;
use crate::lake::{StreamId, StreamInfo};
use crate::stream::{Conventions, Follower, System};

/// The system.
pub(crate) struct RocketMq;

impl System for RocketMq {
    fn name(&self) -> &'static str {
        SYSTEM_ROCKETMQ
    }

    fn streams_of(&self, info: &StreamInfo) -> Vec<StreamId> {
        [logs::COMMIT_LOG, logs::PULLED].map(|log| logs::stream(&info.broker_group, log)).to_vec()
    }

    fn conventions(&self) -> &dyn Conventions {
        self
    }

    fn follower(&self, config: &Config) -> Result<Option<Box<dyn Follower>>> {
        if config.rocketmq.is_empty() {
            return Ok(None);
        }
        Ok(Some(Box::new(follow::Clusters::new(config)?)))
    }
}
