//! QMQ: brokers, slaves and Java backups of qunarcorp/qmq.
//!
//! A broker group has two logs: messages (or the index derived from them), and actions, which are pulls and acks. Both
//! are read from a store directory ([`import`]) or from the group's running slave ([`follow`]). [`mod@format`] decodes
//! bytes, [`wire`] speaks with the cluster, [`store`] walks log files, [`replay`] turns records into rows. Nothing here
//! knows HTTP, the command line or another system.

mod conventions;
pub mod follow;
pub mod format;
pub mod import;
pub mod logs;
pub mod replay;
mod resume;
pub mod store;
pub mod wire;

use crate::config::Config;
use crate::error::Result;
use crate::lake::schema::SYSTEM_QMQ;
use crate::lake::{StreamId, StreamInfo};
use crate::stream::{Conventions, Follower, System};

/// QMQ as a system.
pub(super) struct Qmq;

impl System for Qmq {
    fn name(&self) -> &'static str {
        SYSTEM_QMQ
    }

    fn streams_of(&self, info: &StreamInfo) -> Vec<StreamId> {
        vec![logs::messages_of(info), logs::stream(&info.broker_group, logs::ACTION)]
    }

    fn conventions(&self) -> &dyn Conventions {
        self
    }

    fn follower(&self, config: &Config) -> Result<Option<Box<dyn Follower>>> {
        if config.qmq.is_empty() {
            return Ok(None);
        }
        Ok(Some(Box::new(follow::Sources::new(config)?)))
    }
}
