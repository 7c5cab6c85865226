//! Subjects that are not stored, as operators list them.
//!
//! As in the original server, a listed real subject is left out together with its retries, pulls and acks. Dead letters
//! are always stored.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use crate::brokers::qmq::format::Kind;
use crate::brokers::qmq::format::subject::SubjectName;
use crate::config::SkipFile;

/// How often the file is checked for changes.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Most answers remembered.
const MOST_KNOWN: usize = 100_000;

/// The list in force.
#[derive(Default)]
pub(super) struct Skip {
    fixed: BTreeSet<String>,
    file: Option<SkipFile>,
    listed: BTreeSet<String>,
    looked: Option<Instant>,
    /// By queue: whether its messages and its actions are left out.
    known: HashMap<Box<[u8]>, (bool, bool)>,
}

impl Skip {
    pub(super) fn new(fixed: &[String], file: Option<SkipFile>) -> Skip {
        Skip { fixed: fixed.iter().cloned().collect(), file, ..Skip::default() }
    }

    /// Reads the file again if it changed; a file that cannot be read leaves the last list in force.
    pub(super) fn reload(&mut self) {
        let Some(file) = &mut self.file else { return };
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
            return;
        }
        self.looked = Some(Instant::now());
        match file.poll() {
            Ok(Some(listed)) => {
                tracing::info!(subjects = listed.len(), "subjects to skip were read");
                self.listed = listed;
                self.known.clear();
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the subjects to skip stay as they were"),
        }
    }

    pub(super) fn message(&mut self, queue: &[u8]) -> bool {
        self.answer(queue).0
    }

    pub(super) fn action(&mut self, queue: &[u8]) -> bool {
        self.answer(queue).1
    }

    fn answer(&mut self, queue: &[u8]) -> (bool, bool) {
        if self.fixed.is_empty() && self.listed.is_empty() {
            return (false, false);
        }
        if let Some(known) = self.known.get(queue) {
            return *known;
        }
        let name = SubjectName::parse(&String::from_utf8_lossy(queue));
        let is_listed = self.fixed.contains(&*name.subject) || self.listed.contains(&*name.subject);
        let answer = (is_listed && name.kind != Kind::Dead, is_listed);
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(queue.into(), answer);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_subject_is_left_out_with_its_retries_but_not_its_dead_letters() {
        let mut skip = Skip::new(&["order".to_owned()], None);
        for (queue, message, action) in [
            ("order", true, true),
            ("%RETRY%order%g", true, true),
            ("%DEAD_RETRY%order%g", false, true),
            ("orders", false, false),
        ] {
            assert_eq!(
                (skip.message(queue.as_bytes()), skip.action(queue.as_bytes())),
                (message, action),
                "{queue}"
            );
        }
    }
}
