//! The bit field `sysFlag` of a record: compression, transaction state, address kinds, inner batch.
//!
//! Unknown bits are kept and have no meaning here.

const COMPRESSED: i32 = 0x1;
const TRANSACTION: i32 = 0xC;
const BORN_HOST_V6: i32 = 0x10;
const STORE_HOST_V6: i32 = 0x20;
const NEEDS_UNWRAPPING: i32 = 0x40;
const INNER_BATCH: i32 = 0x80;
const COMPRESSION_TYPE: i32 = 0x700;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// RFC 1950. Also the meaning of type 0, which old writers without type bits leave.
    Zlib,
    /// The LZ4 frame format.
    Lz4,
    /// Standard Zstandard frames.
    Zstd,
    /// A type (4 to 7) that no known writer uses.
    Unknown(u8),
}

/// Transaction state of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Transaction {
    /// Not part of a transaction, or one whose half record current brokers store with the bits cleared.
    None = 0,
    /// A half message of the old scheme.
    Prepared = 1,
    /// A committed message.
    Commit = 2,
    /// A roll-back mark of the old scheme.
    Rollback = 3,
}

/// The bit field as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SysFlag(pub i32);

impl SysFlag {
    /// Whether the body is compressed.
    #[must_use]
    pub const fn is_compressed(self) -> bool {
        self.0 & COMPRESSED != 0
    }

    /// How the body is compressed; `None` if it is not, whatever the type bits say.
    #[must_use]
    pub const fn compression(self) -> Option<Compression> {
        if !self.is_compressed() {
            return None;
        }
        Some(match (self.0 & COMPRESSION_TYPE) >> 8 {
            0 | 3 => Compression::Zlib,
            1 => Compression::Lz4,
            2 => Compression::Zstd,
            other => Compression::Unknown(other as u8),
        })
    }

    /// The transaction state.
    #[must_use]
    pub const fn transaction(self) -> Transaction {
        match (self.0 & TRANSACTION) >> 2 {
            0 => Transaction::None,
            1 => Transaction::Prepared,
            2 => Transaction::Commit,
            _ => Transaction::Rollback,
        }
    }

    /// Whether the born host is stored as IPv6.
    #[must_use]
    pub const fn born_host_is_v6(self) -> bool {
        self.0 & BORN_HOST_V6 != 0
    }

    /// Whether the store host is stored as IPv6.
    #[must_use]
    pub const fn store_host_is_v6(self) -> bool {
        self.0 & STORE_HOST_V6 != 0
    }

    /// Whether the record stands for several messages and its body is a sequence of them, see
    /// [`super::inner_batch`].
    #[must_use]
    pub const fn is_inner_batch(self) -> bool {
        const BOTH: i32 = NEEDS_UNWRAPPING | INNER_BATCH;
        self.0 & BOTH == BOTH
    }

    /// The field as a Java client shows it after decompressing the body: the type bits stay.
    #[must_use]
    pub const fn decompressed(self) -> Self {
        Self(self.0 & !COMPRESSED)
    }

    /// The field with the address bits set as these hosts need it.
    #[must_use]
    pub const fn with_hosts(self, born_is_v6: bool, store_is_v6: bool) -> Self {
        let mut bits = self.0 & !(BORN_HOST_V6 | STORE_HOST_V6);
        if born_is_v6 {
            bits |= BORN_HOST_V6;
        }
        if store_is_v6 {
            bits |= STORE_HOST_V6;
        }
        Self(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_types() {
        let types = [0x1, 0x101, 0x201, 0x301, 0x401, 0x701].map(|bits| SysFlag(bits).compression());
        let expected = [
            Compression::Zlib,
            Compression::Lz4,
            Compression::Zstd,
            Compression::Zlib,
            Compression::Unknown(4),
            Compression::Unknown(7),
        ];
        assert_eq!(types, expected.map(Some));
        assert_eq!(SysFlag(0x300).compression(), None);
        assert_eq!(SysFlag(0x301).decompressed(), SysFlag(0x300));
    }

    #[test]
    fn transactions_hosts_and_batches() {
        let states = [0x0, 0x4, 0x8, 0xC, -1].map(|bits| SysFlag(bits).transaction() as u8);
        assert_eq!(states, [0, 1, 2, 3, 3]);
        let flag = SysFlag(0x331);
        assert!(flag.born_host_is_v6() && flag.store_host_is_v6() && !flag.is_inner_batch());
        assert_eq!(flag.with_hosts(false, true), SysFlag(0x321));
        assert_eq!(SysFlag(0x301).with_hosts(true, false), SysFlag(0x311));
        assert_eq!([0xC0, 0x80, 0x40].map(|bits| SysFlag(bits).is_inner_batch()), [true, false, false]);
    }
}
