//! A local, bounded, checksummed spool of the raw records of one stream of one broker group.
//!
//! Answers of a broker are appended here before they count as received. A worker in the same process
//! tails the spool from any kept position, also after a crash. Whole segments are deleted once their rows are
//! committed to the tables. The spool never looks into a payload, never returns a frame whose checksum fails,
//! never grows above its limit, and only deletes segments that [`Spool::remove_below`] covers (except in
//! [`Spool::reset`], and for damage that [`Spool::open`] finds).
//!
//! # Files
//!
//! One folder holds one spool: a `lock` file, segments `<start position, 20 digits>.spool`, and while a segment
//! is created a `.tmp` file, which a rename makes a segment. All numbers are big-endian.
//!
//! | segment header, 32 bytes | |
//! |---|---|
//! | magic `MQLSPOOL` | 8 bytes |
//! | version, 1 | u32 |
//! | generation, one higher after each reset | u64 |
//! | start position | u64 |
//! | CRC-32 of the fields above | u32 |
//!
//! | frame header, 29 bytes, then the payload | |
//! |---|---|
//! | magic `FRM1` | 4 bytes |
//! | payload length, at most 64 MiB | u32 |
//! | kind, defined by the caller | u8 |
//! | from, first log offset of the range | u64 |
//! | to, first log offset after the range | u64 |
//! | CRC-32 of the fields above and the payload | u32 |
//!
//! The first frame of a segment starts at the segment's start position, and each further frame where the previous
//! one ended, across segments too. So the header alone keeps the position of a spool without frames.
//! The spool ends at the first bytes that are no sound frame: in the last segment they are a torn tail, unless a
//! sound frame follows them. All versions share the layout of the segment header. A segment of an unknown version
//! is an error; it is not discarded.
//!
//! # SPOOL-DURABLE
//!
//! * A frame survives a killed process as soon as [`Spool::append`] returned.
//! * A frame survives a power loss as soon as [`Spool::sync`] returned after it was appended. A segment is
//!   synced before the next one begins, so only the newest segment can hold unsynced frames.
//! * A new segment's header and its directory entry are synced before its first frame is written, and a
//!   deletion before the next one starts: no crash leaves a gap between kept segments.
//! * After a failed sync the content of the disk is unknown. The spool then cuts off the frames that were not
//!   synced and accepts no more until it is opened again. Whether they can be received again depends on the broker.

mod frame;
mod reader;
mod recover;
mod segment;
mod shared;
mod view;
mod writer;

use std::path::PathBuf;

pub use frame::MAX_PAYLOAD_BYTES;
pub use reader::SpoolReader;
pub use view::SpoolView;
pub use writer::Spool;

/// Sizes of a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolSettings {
    /// Bytes at which a new segment begins. A larger frame gets a segment of its own.
    pub segment_bytes: u64,
    /// Maximum bytes of all segments together, headers included.
    pub max_bytes: u64,
}

/// Kind of a frame without records: a range that the broker no longer has, or that was skipped. The engine knows no
/// other kind.
pub const GAP: u8 = 4;

/// One range of a stream: the log offsets `[from, to)` and the bytes received for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Kind of the payload; the spool does not interpret it.
    pub kind: u8,
    /// First log offset of the range.
    pub from: u64,
    /// First log offset after the range, not below `from`.
    pub to: u64,
    /// The bytes received, at most [`MAX_PAYLOAD_BYTES`]. Empty for a skipped range.
    pub payload: &'a [u8],
}

/// A [`Frame`] read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedFrame {
    /// Kind of the payload, as it was appended.
    pub kind: u8,
    /// First log offset of the range.
    pub from: u64,
    /// First log offset after the range.
    pub to: u64,
    /// The received bytes.
    pub payload: bytes::Bytes,
}

/// What [`Spool::open`] cut off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Bytes of an unfinished write at the end of the last segment. Normal after a crash.
    pub torn_bytes: u64,
    /// Damage before the end. Not normal: a bad disk or another program has changed the files.
    pub damage: Option<Damage>,
}

/// Damage inside a spool; everything from there on was discarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment with the first damaged byte.
    pub path: PathBuf,
    /// That byte's position in the file.
    pub position: u64,
    /// Discarded bytes of this segment and all later ones.
    pub discarded_bytes: u64,
    /// What is wrong with it.
    pub reason: String,
}

#[cfg(test)]
#[path = "spool_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "damage_tests.rs"]
mod damage_tests;
