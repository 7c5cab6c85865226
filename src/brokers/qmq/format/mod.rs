//! Formats of QMQ: the log files of a broker and of a backup, and the naming of subjects.
//!
//! Each module decodes one format from bytes the caller already holds, and can encode it again for tests, fixtures
//! and simulators. Nothing here opens a file, talks to a network, keeps state between calls or decides what a record
//! means for the history; bad bytes come back as values, never as a panic.
//!
//! All integers are big-endian, all times are milliseconds since the Unix epoch. Strings stay raw bytes in the
//! records because QMQ does not guarantee valid UTF-8.

pub mod action_log;
pub mod index_log;
pub mod message_log;
pub mod payload;
pub mod subject;

/// What a subject is for: ordinary traffic, the retry queue of a consumer group, or its dead letters.
///
/// The codes are those of `recordCode` in the query API of the QMQ backup server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum Kind {
    /// A subject that producers publish to.
    Normal = 0,
    /// `%RETRY%<subject>%<group>`: deliveries a consumer group failed on and gets again.
    Retry = 1,
    /// `%DEAD_RETRY%<subject>%<group>`: deliveries that used up their attempts.
    Dead = 2,
}

impl Kind {
    /// The stable code, 0 to 2.
    #[must_use]
    pub const fn as_i8(self) -> i8 {
        self as i8
    }

    /// The kind with this code, if there is one.
    #[must_use]
    pub const fn from_i8(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::Normal),
            1 => Some(Self::Retry),
            2 => Some(Self::Dead),
            _ => None,
        }
    }

    /// `normal`, `retry` or `dead`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Retry => "retry",
            Self::Dead => "dead",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn codes_round_trip_and_nothing_else_is_a_kind() {
        for code in i8::MIN..=i8::MAX {
            match Kind::from_i8(code) {
                Some(kind) => assert_eq!(kind.as_i8(), code),
                None => assert!(!(0..=2).contains(&code)),
            }
        }
    }

    #[test]
    fn names_and_order() {
        assert_eq!([Kind::Normal, Kind::Retry, Kind::Dead].map(Kind::name), ["normal", "retry", "dead"]);
        assert!(Kind::Normal < Kind::Retry && Kind::Retry < Kind::Dead);
    }
}
