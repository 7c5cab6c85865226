//! What can be wrong with a record of the commit log.

use thiserror::Error;

/// Why bytes are not a sound record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RecordError {
    /// The bytes end before the record does.
    #[error("the bytes end {left} bytes into a commit log record of at least {needs}")]
    Short {
        /// Bytes the record needs, as far as its length is known.
        needs: usize,
        /// Bytes there are.
        left: usize,
    },
    /// A total size that no record has.
    #[error("bad total size {0} of a commit log record")]
    BadSize(i32),
    /// Not the magic of a record.
    #[error("unknown commit log record magic {0:#010x}")]
    BadMagic(u32),
    /// A length that is negative, too large or runs beyond the record.
    #[error("bad {field} length {length} in a commit log record")]
    BadLength {
        /// `body`, `topic` or `properties`.
        field: &'static str,
        /// The length as stored.
        length: i64,
    },
    /// The parts do not add up to the total size.
    #[error("a commit log record states a size of {stated} bytes, its parts have {computed}")]
    SizeMismatch {
        /// The total size as stored.
        stated: usize,
        /// What the lengths add up to.
        computed: usize,
    },
    /// The record was written for another place.
    #[error("a commit log record states physical offset {stated}, but stands at {expected}")]
    WrongPosition {
        /// The physical offset as stored.
        stated: i64,
        /// Where the record was read.
        expected: u64,
    },
    /// The body is not the one that was written.
    #[error("a commit log record states body CRC {stated:#010x}, its body has {computed:#010x}")]
    BodyCrc {
        /// The checksum as stored.
        stated: u32,
        /// The checksum of the body.
        computed: u32,
    },
    /// The record is not the one that was written.
    #[error("a commit log record states record CRC {stated}, its bytes have {computed}")]
    RecordCrc {
        /// The checksum as stored.
        stated: u64,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// Nothing follows the record, and zeros stand where its topic or its properties end: they are not written yet.
    #[error("the topic or the properties of a commit log record are not written yet")]
    Unfinished,
}
