//! Replay of actions: pulls and acks become one row per message.

use super::acks::{AckState, Covered};
use super::queues::Queues;
use super::record_rows::RecordRows;
use super::unresolved_rows::UnresolvedRows;
use super::{ACTION_ACK, ACTION_PULL};
use crate::brokers::qmq::format::action_log::{Action, ActionKind};
use crate::lake::schema::SYSTEM_QMQ;
use crate::rows::{BatchContext, Names, Rows};
use crate::stream::{Batch, Pending};

/// How many actions and rows there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct ActionCounts {
    /// Pulls, empty ones included.
    pub pulls: u64,
    /// Range acks.
    pub acks: u64,
    /// Consumers declared gone.
    pub forever_offline: u64,
    /// Rows of `record` made of pulls and acks.
    pub records: u64,
    /// Stretches of pull sequences that no known pull covers: rows of `unresolved_ack`.
    pub unresolved_acks: u64,
}

/// Rows made from a stretch of the action stream.
#[derive(Debug, Default)]
pub struct ActionBatch {
    /// Names the rows refer to.
    pub names: Names,
    queues: Queues,
    /// `record`.
    pub records: RecordRows,
    /// `unresolved_ack`.
    pub unresolved: UnresolvedRows,
}

impl ActionBatch {
    fn pending(&self) -> Pending {
        // rows of actions hold no text of their own
        Pending { rows: self.records.len() + self.unresolved.len(), bytes: 0 }
    }
}

impl Batch for ActionBatch {
    fn tables(&self) -> Vec<Box<dyn Rows + '_>> {
        vec![Box::new(&self.unresolved), Box::new(&self.records)]
    }

    fn context<'a>(&'a self, broker_group: &'a str) -> BatchContext<'a> {
        BatchContext::new(SYSTEM_QMQ, broker_group, &self.names)
    }
}

/// Turns actions into rows.
#[derive(Debug)]
pub struct ActionReplay {
    /// Pull ranges, to resolve acks.
    pub acks: AckState,
    record_floor: u64,
    unresolved_floor: u64,
    batch: ActionBatch,
    /// Actions read so far.
    pub counts: ActionCounts,
}

impl ActionReplay {
    /// A replay that continues from an ack state and drops rows that the tables already have.
    #[must_use]
    pub fn new(acks: AckState, record_floor: u64, unresolved_floor: u64) -> ActionReplay {
        ActionReplay {
            acks,
            record_floor,
            unresolved_floor,
            batch: ActionBatch::default(),
            counts: ActionCounts::default(),
        }
    }

    /// Adds an action.
    pub fn action(&mut self, offset: u64, action: &Action<'_>) {
        let ActionReplay { acks, record_floor, unresolved_floor, batch, counts } = self;
        let ActionBatch { names, queues, records, unresolved } = batch;
        let (subject, group, consumer) = (action.subject, action.consumer_group, action.consumer_id);
        let queue = queues.of(subject, names);
        let (group_number, consumer_number) = (names.id(group), names.id(consumer));
        let time = action.timestamp_ms;
        let mut record = |code: i8, messages: (i64, i64)| {
            if offset >= *record_floor {
                counts.records += (messages.1 - messages.0 + 1).unsigned_abs();
                records.push(queue, messages, group_number, code, time, consumer_number);
            }
        };
        match action.kind {
            ActionKind::Pull {
                broadcast,
                first_sequence,
                last_sequence,
                first_message_sequence,
                last_message_sequence,
            } => {
                counts.pulls += 1;
                let pulled = (first_sequence, last_sequence);
                acks.pull(subject, group, consumer, broadcast, pulled, first_message_sequence, time);
                if last_message_sequence >= first_message_sequence {
                    record(ACTION_PULL, (first_message_sequence, last_message_sequence));
                }
            }
            ActionKind::RangeAck { first_sequence, last_sequence } => {
                counts.acks += 1;
                acks.ack(
                    subject,
                    group,
                    consumer,
                    (first_sequence, last_sequence),
                    |covered| match covered {
                        Covered::Messages { first, last } => record(ACTION_ACK, (first, last)),
                        Covered::Unknown { first, last } => {
                            if offset >= *unresolved_floor {
                                counts.unresolved_acks += 1;
                                unresolved.push(queue, group_number, consumer_number, time, (first, last));
                            }
                        }
                    },
                );
            }
            ActionKind::ForeverOffline => {
                counts.forever_offline += 1;
                acks.forever_offline(subject, group, consumer);
            }
        }
    }

    /// What was replayed since the last call of [`ActionReplay::take`].
    pub(in super::super) fn pending(&self) -> Pending {
        self.batch.pending()
    }

    /// Returns the rows and begins a new batch.
    pub fn take(&mut self) -> ActionBatch {
        std::mem::take(&mut self.batch)
    }
}
