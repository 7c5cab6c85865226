//! Which index records need a second look: retries that a broker wrote itself.
//!
//! Such a retry arrives under the *real* subject with the sequence of the retry queue (`qmq-wire` 7.3), because
//! the broker copies the payload unchanged. The sequences of a queue are consecutive in the log, so a record
//! that does not continue the run of its subject is suspect, and so is one that would as well continue a retry
//! queue of its subject. Whoever asks then reads the message log itself, whose header is authoritative.
//!
//! Nothing is stored: after a restart every subject is suspect once.

use std::collections::HashMap;

use crate::qmq::Kind;
use crate::qmq::index_log::IndexRecord;
use crate::qmq::subject::SubjectName;

/// The next sequence of every queue seen so far.
#[derive(Debug)]
pub(super) struct Runs {
    next: HashMap<Box<[u8]>, i64>,
    /// Retry queues by real subject.
    retries: HashMap<Box<[u8]>, Vec<Box<[u8]>>>,
    most: usize,
}

impl Runs {
    /// Remembers at most `most` queues; beyond it all are forgotten and suspect again.
    pub(super) fn new(most: usize) -> Runs {
        Runs { next: HashMap::new(), retries: HashMap::new(), most }
    }

    /// Whether a record certainly belongs to the queue that its subject names.
    pub(super) fn is_certain(&self, record: &IndexRecord<'_>) -> bool {
        if self.next.get(record.subject) != Some(&record.sequence) {
            return false;
        }
        let retries = self.retries.get(record.subject).map(Vec::as_slice).unwrap_or_default();
        retries.iter().all(|queue| self.next.get(queue) != Some(&record.sequence))
    }

    /// Notes a record of a queue, named as in the header of the message log.
    pub(super) fn note(&mut self, queue: &[u8], sequence: i64) {
        let following = sequence.saturating_add(1);
        if let Some(next) = self.next.get_mut(queue) {
            *next = following;
            return;
        }
        if self.next.len() >= self.most {
            self.next.clear();
            self.retries.clear();
        }
        self.next.insert(queue.into(), following);
        let name = SubjectName::parse(&String::from_utf8_lossy(queue));
        if name.kind == Kind::Retry {
            self.retries.entry(name.subject.as_bytes().into()).or_default().push(queue.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(subject: &'static str, sequence: i64) -> IndexRecord<'static> {
        IndexRecord {
            sequence,
            create_time_ms: 1,
            subject: subject.as_bytes(),
            message_id: b"m",
            size: 20 + subject.len() + 1,
        }
    }

    #[test]
    fn a_record_that_continues_its_run_is_certain() {
        let mut runs = Runs::new(100);
        assert!(!runs.is_certain(&record("order", 7)), "first sight");
        runs.note(b"order", 7);
        assert!(runs.is_certain(&record("order", 8)));
        assert!(!runs.is_certain(&record("order", 9)));
        assert!(!runs.is_certain(&record("order", 7)));
    }

    #[test]
    fn a_record_that_would_continue_a_retry_queue_too_is_suspect() {
        let mut runs = Runs::new(100);
        runs.note(b"order", 7);
        runs.note(b"%RETRY%order%g", 7);
        runs.note(b"%RETRY%other%g", 8);
        assert!(!runs.is_certain(&record("order", 8)));
        runs.note(b"order", 8);
        assert!(runs.is_certain(&record("order", 9)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut runs = Runs::new(2);
        for subject in [b"a", b"b", b"c"] {
            runs.note(subject, 0);
        }
        assert_eq!(runs.next.len(), 1);
        assert!(runs.is_certain(&record("c", 1)));
    }
}
