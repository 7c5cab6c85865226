//! How far records brought each queue, by which a clock that went back is told from remains of older records: behind a
//! clock that went back the queue offsets go on.
//!
//! Only asked when times went back, since it means reading a file again. It knows no more than the records it is shown.

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

/// How far a queue is.
#[derive(Debug, Clone, Copy)]
struct End {
    next: i64,
    /// Known only from the records that are judged, which always continue one another.
    is_judged: bool,
}

/// What the queue offset of a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is the next one of its queue.
    GoesOn,
    /// It is another than the next one of its queue.
    Contradicts,
    /// The queue was not seen, begins anew, or the record has no place in one.
    TellsNothing,
}

impl QueueEnds {
    /// A record of the log follows.
    pub(super) fn note(&mut self, record: &Record<'_>) {
        self.set(record, false);
    }

    /// Whether a record that may be of the log continues its queue; the next one follows it.
    pub(super) fn judge(&mut self, record: &Record<'_>) -> Judgement {
        let end = self.next.get(record.topic).and_then(|queues| queues.get(&record.queue_id)).copied();
        self.set(record, true);
        match end.filter(|_| is_queued(record)) {
            Some(End { next, is_judged }) if next == record.queue_offset => match is_judged {
                true => Judgement::TellsNothing,
                false => Judgement::GoesOn,
            },
            // light queues have no offsets of their own, and a topic that is made anew begins at 0
            Some(_) if record.queue_offset != 0 => Judgement::Contradicts,
            _ => Judgement::TellsNothing,
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

/// Whether the record has a place in a queue: half and rolled back ones of the oldest transactions have none.
fn is_queued(record: &Record<'_>) -> bool {
    !matches!(record.sys_flag.transaction(), Transaction::Prepared | Transaction::Rollback)
}

/// Queue offsets that the record takes.
fn messages(record: &Record<'_>) -> i64 {
    let number =
        record.sys_flag.is_inner_batch().then(|| record.properties.number(names::INNER_NUM)).flatten();
    number.unwrap_or(1).max(1)
}
