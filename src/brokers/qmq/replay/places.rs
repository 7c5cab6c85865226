//! Where messages belong, told by their subject: parsed once a batch, since subjects repeat in almost every row.

use hashbrown::HashMap;

use crate::brokers::qmq::format::Kind;
use crate::brokers::qmq::format::subject::SubjectName;
use crate::rows::{NO_NAME, Names};

/// Where a message belongs, parsed from its subject once per batch.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Kind.
    pub kind: Kind,
    /// Number of the real subject.
    pub subject: u32,
    /// Number of the consumer group, or [`NO_NAME`].
    pub consumer_group: u32,
}

/// Subjects, as written in a log, that were met in a batch.
#[derive(Debug, Default)]
pub(super) struct Places(HashMap<Box<[u8]>, Place>);

impl Places {
    /// Where a subject, as written in a log, belongs.
    pub(super) fn of(&mut self, subject: &[u8], names: &mut Names) -> Place {
        if let Some(place) = self.0.get(subject) {
            return *place;
        }
        let name = SubjectName::parse(&String::from_utf8_lossy(subject));
        let place = Place {
            kind: name.kind,
            subject: names.id(name.subject.as_bytes()),
            consumer_group: name.consumer_group.map_or(NO_NAME, |group| names.id(group.as_bytes())),
        };
        self.0.insert(subject.into(), place);
        place
    }
}
