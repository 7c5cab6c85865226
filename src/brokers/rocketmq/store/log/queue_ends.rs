//! How far records advanced each queue. This distinguishes a clock that was set back from remains of older records:
//! behind a clock that was set back, the queue offsets continue.
//!
//! It is used only where store times went back, since it means reading a file again. It knows only the records it is
//! shown.

use std::collections::HashMap;

use crate::brokers::rocketmq::format::properties::names;
use crate::brokers::rocketmq::format::record::Record;
use crate::brokers::rocketmq::format::sys_flag::Transaction;

/// The next offset of each queue that was seen.
#[derive(Debug, Default)]
pub(super) struct QueueEnds {
    /// By topic, then by queue.
    next: HashMap<Vec<u8>, HashMap<i32, End>>,
}

/// The next offset of a queue.
#[derive(Debug, Clone, Copy)]
struct End {
    next: i64,
    /// Known only from the records being judged, which always continue one another.
    is_judged: bool,
}

/// What the queue offset of a record shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is the next one of its queue.
    GoesOn,
    /// It is not the next one of its queue.
    Contradicts,
    /// Nothing: the queue was not seen or begins again, or the record has no queue offset.
    Unknown,
}

impl QueueEnds {
    /// Notes a record of the log.
    pub(super) fn note(&mut self, record: &Record<'_>) {
        self.set(record, false);
    }

    /// Whether a record that may belong to the log continues its queue. The next one is expected behind it.
    pub(super) fn judge(&mut self, record: &Record<'_>) -> Judgement {
        let end = self.next.get(record.topic).and_then(|queues| queues.get(&record.queue_id)).copied();
        self.set(record, true);
        match end.filter(|_| is_queued(record)) {
            Some(End { next, is_judged }) if next == record.queue_offset => match is_judged {
                true => Judgement::Unknown,
                false => Judgement::GoesOn,
            },
            // light queues have no offsets of their own, and a topic that is recreated begins at 0
            Some(_) if record.queue_offset != 0 => Judgement::Contradicts,
            _ => Judgement::Unknown,
        }
    }

    fn set(&mut self, record: &Record<'_>, is_judged: bool) {
        if !is_queued(record) {
            return;
        }
        let end = End { next: record.queue_offset.saturating_add(messages(record)), is_judged };
        match self.next.get_mut(record.topic) {
            Some(queues) => {
                queues.insert(record.queue_id, end);
            }
            None => {
                self.next.insert(record.topic.to_vec(), HashMap::from([(record.queue_id, end)]));
            }
        }
    }
}

/// Whether the record has a queue offset: half and rolled back records of the oldest transactions have none.
fn is_queued(record: &Record<'_>) -> bool {
    !matches!(record.sys_flag.transaction(), Transaction::Prepared | Transaction::Rollback)
}

/// Number of queue offsets that the record takes.
fn messages(record: &Record<'_>) -> i64 {
    let number =
        record.sys_flag.is_inner_batch().then(|| record.properties.number(names::INNER_NUM)).flatten();
    number.unwrap_or(1).max(1)
}
