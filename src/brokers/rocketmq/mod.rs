//! RocketMQ: brokers of Apache RocketMQ 4.x and 5.x.
//!
//! A broker has one commit log for all its topics. It is read from the files of a store directory ([`import`]), or
//! queue by queue from the running broker ([`follow`]). Both lead to the same rows, and each resumes where the other
//! ended. Message traces lie in a topic of the broker, in a format of the clients ([`trace`]). [`mod@format`] decodes
//! bytes, [`wire`] speaks with the cluster, [`store`] walks files, [`replay`] turns records into rows. Nothing here
//! knows HTTP, the command line or another system.

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

/// RocketMQ as a system.
pub(super) struct RocketMq;

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
