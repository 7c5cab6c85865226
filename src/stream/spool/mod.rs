//! A local, bounded, checksummed spool of the raw records of one stream of one broker group.
//!
//! What a broker answers is appended here before it counts as received. A replayer in the same process
//! tails the spool from any kept position, also after a crash, and whole segments are deleted once their
//! rows are committed to the tables. The spool never looks into a payload, never hands out a frame whose
//! checksum fails, never grows above its limit, and never deletes a segment that was not declared covered
//! (only [`Spool::reset`] and damage found by [`Spool::open`] drop more).
//!
//! # Files
//!
//! One folder holds one spool: a `lock` file, segments `<start position, 20 digits>.spool`, and for a
//! moment a `.tmp` file that becomes a segment by a rename. All numbers are big-endian.
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
//! | kind, a number of the caller | u8 |
//! | from, first log offset of the stretch | u64 |
//! | to, first log offset after the stretch | u64 |
//! | CRC-32 of the fields above and the payload | u32 |
//!
//! The first frame of a segment starts at the segment's start position and each further one where the one
//! before ended, across segments too. So the header alone keeps the position of a spool without frames.
//! The first bytes that do not fit end the spool: in the last segment they are a torn tail, unless a sound
//! frame follows them. All versions keep the layout of the segment header; a version this program does not
//! know is refused, not discarded.
//!
//! # SPOOL-DURABLE
//!
//! * A frame survives a killed process as soon as [`Spool::append`] returned.
//! * A frame survives a power loss as soon as [`Spool::sync`] returned after it was appended. A segment is
//!   synced before the next one begins, so only the newest segment can hold unsynced frames.
//! * A new segment's header and its directory entry are synced before its first frame is written, and a
//!   deletion before the next one starts: no crash leaves a gap between kept segments.
//! * After a failed sync nobody can tell what the disk holds. The spool then cuts off what was not synced
//!   and takes nothing more until it is opened again; the broker still has what was cut off.

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
    /// Bytes after which a new segment begins. A larger single frame gets a segment of its own.
    pub segment_bytes: u64,
    /// Bytes of all segments together, headers included, that are never exceeded.
    pub max_bytes: u64,
}

/// Kind of a frame without records: a stretch that the broker no longer has, or that was stepped over. The engine knows
/// no other kind.
pub const GAP: u8 = 4;

/// One stretch of a stream: the log offsets `[from, to)` and the bytes received for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the payload is; the spool only keeps it.
    pub kind: u8,
    /// First log offset of the stretch.
    pub from: u64,
    /// First log offset after the stretch, not below `from`.
    pub to: u64,
    /// The bytes received, at most [`MAX_PAYLOAD_BYTES`]. Empty for a skipped stretch.
    pub payload: &'a [u8],
}

/// A [`Frame`] read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedFrame {
    /// What the payload is, as it was appended.
    pub kind: u8,
    /// First log offset of the stretch.
    pub from: u64,
    /// First log offset after the stretch.
    pub to: u64,
    /// The bytes received, in memory of their own.
    pub payload: bytes::Bytes,
}

/// What [`Spool::open`] had to cut off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Bytes of an unfinished write at the end of the last segment. Normal after a crash.
    pub torn_bytes: u64,
    /// Damage before the end. Not normal: the disk or somebody changed the files.
    pub damage: Option<Damage>,
}

/// Damage inside a spool, from which on everything was discarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment with the first byte that does not fit.
    pub path: PathBuf,
    /// That byte's position in the file.
    pub position: u64,
    /// Bytes that were discarded, of this segment and all later ones.
    pub discarded_bytes: u64,
    /// What does not fit.
    pub reason: String,
}

#[cfg(test)]
#[path = "spool_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "damage_tests.rs"]
mod damage_tests;
