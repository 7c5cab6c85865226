//! Types of trace events.

/// The type of a trace event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A send that the broker answered.
    Pub,
    /// A message about to be given to the listener of a consumer.
    SubBefore,
    /// A message that the listener of a consumer is done with.
    SubAfter,
    /// An answer of a producer about its transaction.
    EndTransaction,
    /// A timer message that was recalled.
    Recall,
}

impl Kind {
    /// All types.
    pub const ALL: [Self; 5] =
        [Self::Pub, Self::SubBefore, Self::SubAfter, Self::EndTransaction, Self::Recall];

    /// The word that a record of this type starts with.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pub => "Pub",
            Self::SubBefore => "SubBefore",
            Self::SubAfter => "SubAfter",
            Self::EndTransaction => "EndTransaction",
            Self::Recall => "Recall",
        }
    }

    /// The type with this word, in the same case.
    #[must_use]
    pub fn from_word(word: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word().as_bytes() == word)
    }
}
