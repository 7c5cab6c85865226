//! Subject names: which queue a name stands for, and of which consumer group.
//!
//! QMQ gives every consumer group a retry queue and a dead-letter queue per subject and encodes both in the subject
//! name (`RetrySubjectUtils`). This module takes such a name apart and puts it together again. It never judges
//! whether a name is allowed and never changes a name that does not have exactly the expected shape.

use super::Kind;

/// Start of the full name of a retry queue.
pub const RETRY_PREFIX: &str = "%RETRY%";
/// Start of the full name of a dead-letter queue.
pub const DEAD_PREFIX: &str = "%DEAD_RETRY%";

const RETRY: &str = "RETRY";
const DEAD: &str = "DEAD_RETRY";

/// A subject name in its parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectName {
    /// Which of the three queues of the subject.
    pub kind: Kind,
    /// The real subject, the one producers publish to.
    pub subject: String,
    /// The consumer group that owns a retry or dead-letter queue; `None` for a real subject.
    pub consumer_group: Option<String>,
}

impl SubjectName {
    /// Takes a full name apart.
    ///
    /// A name is a retry or dead-letter name only if it starts with `%RETRY` or `%DEAD_RETRY` and splitting it at `%`,
    /// trimming the parts and dropping empty ones leaves exactly three parts, of which the first is the marker itself.
    /// Anything else, for instance a subject or group that contains `%`, is a real subject as a whole and unchanged.
    #[must_use]
    pub fn parse(name: &str) -> Self {
        Self::parse_queue(name).unwrap_or_else(|| Self {
            kind: Kind::Normal,
            subject: name.to_owned(),
            consumer_group: None,
        })
    }

    fn parse_queue(name: &str) -> Option<Self> {
        // A leading blank makes a real subject although the trimmed parts would match.
        let marker = name.strip_prefix('%')?;
        if !marker.starts_with(RETRY) && !marker.starts_with(DEAD) {
            return None;
        }
        let mut parts = name.split('%').map(str::trim).filter(|part| !part.is_empty());
        let kind = match parts.next()? {
            RETRY => Kind::Retry,
            DEAD => Kind::Dead,
            _ => return None,
        };
        let (subject, group) = (parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        Some(Self { kind, subject: subject.to_owned(), consumer_group: Some(group.to_owned()) })
    }

    /// The name as it stands in a log record.
    ///
    /// Without a group, a retry or dead-letter name ends after the subject: the form that the storage keys of the QMQ
    /// backup use and that never occurs in a log. The group of a real subject is not part of its name.
    /// [`SubjectName::parse`] trims parts, so `parse(name).full_name()` is the canonical spelling, not always `name`.
    #[must_use]
    pub fn full_name(&self) -> String {
        let prefix = match self.kind {
            Kind::Normal => return self.subject.clone(),
            Kind::Retry => RETRY_PREFIX,
            Kind::Dead => DEAD_PREFIX,
        };
        match &self.consumer_group {
            Some(group) => format!("{prefix}{}%{group}", self.subject),
            None => format!("{prefix}{}", self.subject),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn queue(kind: Kind, subject: &str, group: &str) -> SubjectName {
        SubjectName { kind, subject: subject.into(), consumer_group: Some(group.into()) }
    }

    fn real(name: &str) -> SubjectName {
        SubjectName { kind: Kind::Normal, subject: name.into(), consumer_group: None }
    }

    #[test]
    fn the_three_kinds() {
        assert_eq!(SubjectName::parse("order"), real("order"));
        assert_eq!(SubjectName::parse("%RETRY%order%g"), queue(Kind::Retry, "order", "g"));
        assert_eq!(SubjectName::parse("%DEAD_RETRY%order%g"), queue(Kind::Dead, "order", "g"));
    }

    #[test]
    fn parts_are_trimmed_and_empty_ones_dropped() {
        assert_eq!(SubjectName::parse("%RETRY %% order%\tg %"), queue(Kind::Retry, "order", "g"));
        assert_eq!(SubjectName::parse("%DEAD_RETRY%%a%b"), queue(Kind::Dead, "a", "b"));
        assert_eq!(SubjectName::parse("%RETRY% a b %c").full_name(), "%RETRY%a b%c");
    }

    #[test]
    fn any_other_shape_is_a_real_subject_unchanged() {
        for name in [
            "",
            "%",
            "%RETRY",
            "%RETRY%",
            "%RETRY%order",
            "%RETRY%order% ",
            "%DEAD_RETRY%order",
            "%RETRY%100%off%g",
            "%DEAD_RETRY%a%b%c",
            "%RETRYX%order%g",
            "%DEAD_RETRY_2%order%g",
            "%retry%order%g",
            " %RETRY%order%g",
            "%%RETRY%order%g",
            "% RETRY%order%g",
            "RETRY%order%g",
            "50%",
        ] {
            assert_eq!(SubjectName::parse(name), real(name));
            assert_eq!(SubjectName::parse(name).full_name(), name);
        }
    }

    #[test]
    fn names_of_queues_may_repeat_the_markers() {
        assert_eq!(SubjectName::parse("%RETRY%DEAD_RETRY%RETRY"), queue(Kind::Retry, "DEAD_RETRY", "RETRY"));
    }

    #[test]
    fn full_name_without_group_is_the_storage_form() {
        let retry = SubjectName { consumer_group: None, ..queue(Kind::Retry, "order", "g") };
        assert_eq!(retry.full_name(), "%RETRY%order");
        let dead = SubjectName { consumer_group: None, ..queue(Kind::Dead, "order", "g") };
        assert_eq!(dead.full_name(), "%DEAD_RETRY%order");
    }

    proptest! {
        #[test]
        fn building_then_parsing_is_identity(
            subject in "[^%\\s]([^%]*[^%\\s])?",
            group in "[^%\\s]([^%]*[^%\\s])?",
            dead: bool,
        ) {
            let name = queue(if dead { Kind::Dead } else { Kind::Retry }, &subject, &group);
            prop_assert_eq!(SubjectName::parse(&name.full_name()), name);
        }

        #[test]
        fn any_text_parses_and_its_full_name_is_stable(
            name in prop_oneof![any::<String>(), "(%RETRY|%DEAD_RETRY)[%a \u{3000}中]*"],
        ) {
            let parsed = SubjectName::parse(&name);
            prop_assert_eq!(parsed.kind == Kind::Normal, parsed.consumer_group.is_none());
            prop_assert_eq!(SubjectName::parse(&parsed.full_name()), parsed);
        }
    }
}
