//! The stored messages of a broker's queues, for comparison where a queue is read again.
//!
//! A broker that lost the end of its log, or all of it, writes other records at offsets that were read before, and may
//! show records again that it seemed to have lost. Each record that is read again is compared with those stored at its
//! offset: the same record is stored once, and another one is stored beside it. Nothing here changes anything.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashSet;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::brokers::rocketmq::format::record::Record;
use crate::error::{Error, Result};
use crate::lake::schema::{MESSAGE, SYSTEM_ROCKETMQ};
use crate::query::Catalog;
use crate::query::lookup::{Mark, marks};

/// Most lookups at the same time: a broker that was recreated sends all its queues here at once.
const MOST_AT_ONCE: usize = 4;
/// How often to check whether what was received is visible.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The stored messages of one broker.
pub(super) struct Stored {
    catalog: Arc<Catalog>,
    broker: String,
    permits: Semaphore,
}

/// What is stored at some offsets of a queue.
pub(super) struct Known {
    marks: HashSet<Mark>,
    offsets: HashSet<i64>,
}

impl Stored {
    pub(super) fn new(catalog: Arc<Catalog>, broker: String) -> Stored {
        Stored { catalog, broker, permits: Semaphore::new(MOST_AT_ONCE) }
    }

    /// The records stored at these offsets, as far as queries can see them.
    pub(super) async fn at(&self, topic: &str, queue_id: i32, offsets: Vec<i64>) -> Result<Known> {
        let _permit = self
            .permits
            .acquire()
            .await
            .map_err(|_| Error::Invariant("the semaphore is closed".to_owned()))?;
        let pinned = self.catalog.pin();
        let table = pinned.table(&MESSAGE)?;
        let queue = (self.broker.as_str(), topic, queue_id);
        let marks = marks(&self.catalog.files, table, SYSTEM_ROCKETMQ, queue, offsets).await?;
        let offsets = marks.iter().map(|mark| mark.sequence).collect();
        Ok(Known { marks, offsets })
    }

    /// Waits until queries see a position; `false` if a stop came first.
    pub(super) async fn wait_for(
        &self,
        position: u64,
        visible: impl Fn() -> Option<u64>,
        stop: &CancellationToken,
    ) -> bool {
        while visible().is_none_or(|visible| visible < position) {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => return false,
            }
        }
        true
    }
}

impl Known {
    /// Whether exactly this record is stored.
    pub(super) fn has(&self, record: &Record<'_>) -> bool {
        self.marks.contains(&Mark {
            sequence: record.queue_offset,
            physical_offset: record.position,
            store_time: record.store_timestamp,
            body_crc: i64::from(record.body_crc),
        })
    }

    /// Whether any record is stored at an offset.
    pub(super) fn has_offset(&self, offset: i64) -> bool {
        self.offsets.contains(&offset)
    }
}
