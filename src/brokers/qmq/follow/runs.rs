//! Which index records need a second look: retries that a broker wrote itself.
//!
//! Such a retry arrives under the *real* subject with the sequence of the retry queue (`qmq-wire` 7.3), because the
//! broker copies the payload unchanged. The sequences of a queue are consecutive in the log. So a record that does not
//! continue the run of its subject is suspect, and so is one that could also continue a retry queue of its subject. The
//! caller then reads the message log itself, whose header is authoritative.
//!
//! Nothing is stored: after a restart every subject is suspect once.

use hashbrown::HashMap;

use crate::brokers::qmq::format::Kind;
use crate::brokers::qmq::format::index_log::IndexRecord;
use crate::brokers::qmq::format::subject::SubjectName;

/// Sequences by queue.
type Sequences = HashMap<Box<[u8]>, i64>;

/// The next sequence of every queue seen so far.
#[derive(Debug)]
pub(super) struct Runs {
    next: Sequences,
    /// Retry queues by real subject.
    retries: HashMap<Box<[u8]>, Vec<Box<[u8]>>>,
    /// Greatest sequence of retry queues that exist but were not seen yet, by real subject and queue.
    unseen: HashMap<Box<[u8]>, Sequences>,
    most: usize,
}

impl Runs {
    /// Remembers at most `most` queues. Beyond that all are forgotten and become suspect again.
    pub(super) fn new(most: usize) -> Runs {
        Runs { next: HashMap::new(), retries: HashMap::new(), unseen: HashMap::new(), most }
    }

    /// Whether a record certainly belongs to the queue that its subject names.
    pub(super) fn is_certain(&self, record: &IndexRecord<'_>) -> bool {
        if self.next.get(record.subject) != Some(&record.sequence) {
            return false;
        }
        // a queue that was not seen yet continues somewhere up to just behind its greatest sequence
        let unseen = self.unseen.get(record.subject);
        if unseen.is_some_and(|queues| queues.values().any(|greatest| record.sequence <= greatest + 1)) {
            return false;
        }
        let retries = self.retries.get(record.subject).map(Vec::as_slice).unwrap_or_default();
        retries.iter().all(|queue| self.next.get(queue) != Some(&record.sequence))
    }

    /// Registers a queue and its greatest sequence from the broker's own list.
    pub(super) fn expect(&mut self, queue: &str, greatest: i64) {
        let name = SubjectName::parse(queue);
        if name.kind == Kind::Retry
            && !self.next.contains_key(queue.as_bytes())
            && self.unseen.len() < self.most
        {
            let queues = self.unseen.entry(name.subject.as_bytes().into()).or_default();
            queues.insert(queue.as_bytes().into(), greatest.min(i64::MAX - 1));
        }
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
        if name.kind != Kind::Retry {
            return;
        }
        if let Some(queues) = self.unseen.get_mut(name.subject.as_bytes()) {
            queues.remove(queue);
            if queues.is_empty() {
                self.unseen.remove(name.subject.as_bytes());
            }
        }
        self.retries.entry(name.subject.as_bytes().into()).or_default().push(queue.into());
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
    fn a_retry_queue_that_exists_but_was_not_seen_yet_makes_suspect() {
        let mut runs = Runs::new(100);
        runs.note(b"order", 7);
        runs.expect("%RETRY%order%g", 57);
        runs.expect("order", 900);
        assert!(!runs.is_certain(&record("order", 8)));
        runs.note(b"order", 99);
        assert!(runs.is_certain(&record("order", 100)), "further than the queue can be");
        runs.note(b"order", 7);
        runs.note(b"%RETRY%order%g", 57);
        assert!(runs.is_certain(&record("order", 8)));
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
