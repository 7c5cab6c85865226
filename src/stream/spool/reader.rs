//! Tailing a spool: frame after frame from a position, across segments, while the writer appends.
//!
//! A reader never sees unpublished bytes, never returns a frame whose checksum fails, and never silently skips
//! deleted frames.

use std::sync::Arc;

use bytes::Bytes;

use super::OwnedFrame;
use super::segment::{Cursor, SEGMENT_HEADER_BYTES, Step};
use super::shared::{Segment, Shared};
use crate::error::{Error, Result};

/// Reads the frames of a spool in their order. Made by [`Spool::reader`](super::writer::Spool::reader).
///
/// It keeps its segment open, so it can finish a segment that is deleted in the meantime.
#[derive(Debug)]
pub struct SpoolReader {
    shared: Arc<Shared>,
    generation: u64,
    /// Frames that end at or before this position are skipped.
    from: u64,
    /// End of the last frame that was read.
    position: Option<u64>,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    segment: Arc<Segment>,
    cursor: Cursor,
}

impl SpoolReader {
    pub(super) fn new(shared: Arc<Shared>, from: u64) -> Result<Self> {
        let generation = shared.generation();
        let mut reader = Self { shared, generation, from, position: None, current: None };
        reader.enter_first()?;
        Ok(reader)
    }

    /// The next frame, or `None` if all frames appended so far are read: call again later.
    ///
    /// A frame may be handed out before it is synced. After an error the reader stays where it is.
    ///
    /// # Errors
    ///
    /// `Error::Invariant` if the spool was reset or frames not yet read were deleted (make a new reader),
    /// `Error::Corrupt` if the file changed since it was written (open the spool again), `Error::Input` if
    /// it cannot be read.
    #[expect(clippy::should_implement_trait, reason = "a `None` is not the end, so this is no iterator")]
    pub fn next(&mut self) -> Result<Option<OwnedFrame>> {
        loop {
            if self.shared.generation() != self.generation {
                let reason = "the spool was reset while it was read; read on from its new start";
                return Err(Error::Invariant(reason.to_owned()));
            }
            let Some(Current { segment, cursor }) = &mut self.current else {
                if self.enter_first()? {
                    continue;
                }
                return Ok(None);
            };
            let at = cursor.position();
            let position = self.position;
            let corrupt = |reason: String| Error::Corrupt {
                path: segment.path.display().to_string(),
                offset: position.unwrap_or(segment.start),
                position: at,
                reason,
                next: None,
            };
            let (header, payload) = match cursor.peek(segment.bytes())? {
                Step::Frame(header, payload) => (header, payload),
                Step::Bad(reason) => return Err(corrupt(reason)),
                Step::End => {
                    if self.enter_next()? {
                        continue;
                    }
                    return Ok(None);
                }
            };
            if header.from != position.unwrap_or(segment.start) {
                return Err(corrupt(format!("a frame begins at {} here", header.from)));
            }
            let payload = (header.to > self.from).then(|| Bytes::copy_from_slice(payload));
            cursor.advance(header.frame_bytes());
            self.position = Some(header.to);
            if let Some(payload) = payload {
                return Ok(Some(OwnedFrame { kind: header.kind, from: header.from, to: header.to, payload }));
            }
        }
    }

    /// Opens the segment that holds `from`; false if there is no segment yet.
    fn enter_first(&mut self) -> Result<bool> {
        let shared = Arc::clone(&self.shared);
        // held until the file is open: files are only renamed or deleted under this lock
        let state = shared.lock();
        let Some(first) = state.segments.first() else { return Ok(false) };
        let Some(segment) = state.segments.iter().rfind(|segment| segment.start <= self.from) else {
            return Err(Error::Invariant(format!(
                "position {} is not in the spool, which begins at {}; start from what the tables hold",
                self.from, first.start
            )));
        };
        // all frames appended so far end at or before `from`: begin at the end instead of skipping each of them
        let caught_up = state.end.filter(|end| *end <= self.from);
        let at = if caught_up.is_some() { segment.bytes() } else { SEGMENT_HEADER_BYTES };
        let cursor = Cursor::open(&segment.path, at)?;
        self.position = caught_up;
        self.current = Some(Current { segment: Arc::clone(segment), cursor });
        Ok(true)
    }

    /// Opens the segment after the current one; false if the current one is still the newest.
    fn enter_next(&mut self) -> Result<bool> {
        let Some(Current { segment, cursor }) = &self.current else { return Ok(false) };
        let shared = Arc::clone(&self.shared);
        let state = shared.lock();
        let Some(next) = state.segments.iter().find(|other| other.id > segment.id) else {
            return Ok(false);
        };
        if cursor.position() < segment.bytes() {
            // frames were appended since the last read; now that a next segment exists, they are the last
            return Ok(true);
        }
        let position = self.position.unwrap_or(segment.start);
        if next.start != position {
            return Err(Error::Invariant(format!(
                "frames from {position} to {} were deleted before they were read; read on from {}",
                next.start, next.start
            )));
        }
        let cursor = Cursor::open(&next.path, SEGMENT_HEADER_BYTES)?;
        self.current = Some(Current { segment: Arc::clone(next), cursor });
        Ok(true)
    }
}
