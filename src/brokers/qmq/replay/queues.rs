//! Queues of messages, parsed from their subjects once per batch, since almost every row repeats a subject.

use hashbrown::HashMap;

use crate::brokers::qmq::format::Kind;
use crate::brokers::qmq::format::subject::SubjectName;
use crate::rows::{NO_NAME, Names};

/// The queue of a message, parsed from its subject.
#[derive(Debug, Clone, Copy)]
pub struct Queue {
    /// Kind of queue.
    pub kind: Kind,
    /// Name id of the real subject (see [`Names`]).
    pub subject: u32,
    /// Name id of the consumer group, or [`NO_NAME`].
    pub consumer_group: u32,
}

/// The queues met in a batch, by subject as written in the log.
#[derive(Debug, Default)]
pub(super) struct Queues(HashMap<Box<[u8]>, Queue>);

impl Queues {
    /// The queue that a subject, as written in a log, names.
    pub(super) fn of(&mut self, subject: &[u8], names: &mut Names) -> Queue {
        if let Some(queue) = self.0.get(subject) {
            return *queue;
        }
        let name = SubjectName::parse(&String::from_utf8_lossy(subject));
        let queue = Queue {
            kind: name.kind,
            subject: names.id(name.subject.as_bytes()),
            consumer_group: name.consumer_group.map_or(NO_NAME, |group| names.id(group.as_bytes())),
        };
        self.0.insert(subject.into(), queue);
        queue
    }
}
