//! The one writer of a spool: appending, syncing, rotating, deleting.
//!
//! It never leaves a partial frame before a whole one, and never lets the spool grow above its limit.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::{FRAME_HEADER_BYTES, MAX_PAYLOAD_BYTES, encode_header};
use super::reader::SpoolReader;
use super::recover::{Found, recover};
use super::segment::{SEGMENT_HEADER_BYTES, SegmentHeader, failed};
use super::shared::{Segment, Shared, State};
use super::view::SpoolView;
use super::{Frame, Recovered, SpoolSettings, segment};
use crate::error::{Error, Result};

/// A bounded spool of one stream. See the [module](super) for its files and **SPOOL-DURABLE**.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    settings: SpoolSettings,
    view: SpoolView,
    pub(super) active: Option<Active>,
    next_id: u64,
    recovered: Recovered,
    /// Set after a failed sync: the content of the disk is unknown, and no frame is accepted.
    failed: bool,
    /// Locked against other processes while the spool is open.
    _lock: File,
}

/// The newest segment, the only one written to.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) file: File,
    segment: Arc<Segment>,
    synced_bytes: u64,
    /// Whether the file may have a partial frame behind the published bytes.
    torn: bool,
}

impl Spool {
    /// Opens the spool in `folder`, which is created if missing, and recovers it after a crash.
    ///
    /// It reads the whole spool. See [`recovered`](Self::recovered) for what was cut off.
    ///
    /// # Errors
    ///
    /// `Error::Config` for settings that cannot work, `Error::Usage` if the spool is already open, here or
    /// in another process, `Error::Input` if the folder cannot be read and written or holds segments of an
    /// unknown version.
    pub fn open(folder: &Path, settings: SpoolSettings) -> Result<Self> {
        if settings.segment_bytes == 0 || settings.max_bytes < settings.segment_bytes {
            return Err(Error::Config(format!(
                "a spool of at most {} bytes with segments of {} bytes; give it room for one segment at least",
                settings.max_bytes, settings.segment_bytes
            )));
        }
        create_folder(folder)?;
        let lock = lock(folder)?;
        let Found { generation, segments, end, recovered } = recover(folder)?;
        // a process may have been killed before it synced these
        segment::sync_folder(folder)?;
        let mut state = State { end, ..State::default() };
        for kept in segments {
            let id = state.segments.len() as u64;
            state.bytes += kept.bytes;
            state.segments.push(Arc::new(Segment::new(id, kept.start, kept.path, kept.bytes)));
        }
        let active = state.segments.last().map(|newest| Active::reopen(Arc::clone(newest))).transpose()?;
        Ok(Self {
            folder: folder.to_owned(),
            settings,
            next_id: state.segments.len() as u64,
            view: SpoolView(Arc::new(Shared::new(generation, state))),
            active,
            recovered,
            failed: false,
            _lock: lock,
        })
    }

    /// Appends a frame. Readers see it at once. It survives a killed process, but not yet a power loss.
    ///
    /// # Errors
    ///
    /// `Error::Invariant` if the frame does not begin at [`end`](Self::end), `Error::Usage` if its payload
    /// is too large for a frame, `Error::Config` if it is too large for the limit of this spool even when
    /// that is empty, `Error::Limit` if there is no room now (wait for [`remove_below`](Self::remove_below)),
    /// `Error::Input` if it cannot be written. None of them changes the spool, except that after a failed sync
    /// of a full segment it accepts no more frames, see [`sync`](Self::sync).
    pub fn append(&mut self, frame: &Frame<'_>) -> Result<()> {
        self.check_usable()?;
        self.check(frame)?;
        let bytes = frame_bytes(frame.payload.len() as u64);
        self.repair()?;
        if self.needs_segment(bytes, frame.from) {
            self.begin_segment(frame.from)?;
        }
        let Some(active) = &mut self.active else { return Err(no_segment()) };
        active.write(frame)?;
        self.view.0.publish(&active.segment, bytes, frame.to);
        Ok(())
    }

    /// Syncs all appended frames, so that they survive a power loss. Does nothing if they are synced.
    ///
    /// # Errors
    ///
    /// `Error::Input` if the disk fails. The spool then accepts no more frames: open it again, and receive
    /// again from its [`end`](Self::end).
    pub fn sync(&mut self) -> Result<()> {
        self.check_usable()?;
        let Some(active) = &mut self.active else { return Ok(()) };
        let synced = active.sync();
        self.failed = synced.is_err();
        synced
    }

    /// Whether a frame with `payload_bytes` of payload can be appended now.
    #[must_use]
    pub fn has_room(&self, payload_bytes: u64) -> bool {
        self.fits(self.bytes(), payload_bytes)
    }

    /// Position at which the next frame has to begin; `None` if the spool never had one.
    #[must_use]
    pub fn end(&self) -> Option<u64> {
        self.view.end()
    }

    /// `from` of the oldest kept frame; equal to [`end`](Self::end) if no frame is kept.
    #[must_use]
    pub fn start(&self) -> Option<u64> {
        self.view.start()
    }

    /// Bytes of all segments together, headers included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.view.bytes()
    }

    /// What [`open`](Self::open) cut off.
    #[must_use]
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    /// A view of this spool for other threads. It does not keep the spool open.
    #[must_use]
    pub fn shared(&self) -> SpoolView {
        self.view.clone()
    }

    /// A reader that begins with the first frame with `to > from`, which may be appended later.
    ///
    /// # Errors
    ///
    /// See [`SpoolView::reader`].
    pub fn reader(&self, from: u64) -> Result<SpoolReader> {
        self.view.reader(from)
    }

    /// Deletes the segments whose frames all end at or before `position`; returns how many.
    ///
    /// If the newest segment is covered, too, an empty one replaces it and keeps [`end`](Self::end).
    ///
    /// # Errors
    ///
    /// `Error::Input` if a file cannot be created or deleted. Call again later.
    pub fn remove_below(&mut self, position: u64) -> Result<usize> {
        self.check_usable()?;
        let Some(end) = self.end() else { return Ok(0) };
        let mut removed = 0;
        if end <= position && self.active.as_ref().is_some_and(Active::has_frames) {
            removed += self.begin_segment(end)?;
        }
        loop {
            let mut state = self.view.0.lock();
            let Some(oldest) = state.pop_below(position) else { return Ok(removed) };
            if let Err(error) = segment::delete(&self.folder, &oldest.path) {
                // back onto the list if the file still exists, so that the next call tries again
                if oldest.path.exists() {
                    state.bytes += oldest.bytes();
                    state.segments.insert(0, oldest);
                }
                return Err(error);
            }
            removed += 1;
        }
    }

    /// Drops all frames; the next one has to begin at `position`. The reset is atomic, also in a crash. Readers
    /// that were created before it fail afterwards.
    ///
    /// # Errors
    ///
    /// `Error::Input` if the new segment cannot be created.
    pub fn reset(&mut self, position: u64) -> Result<()> {
        self.check_usable()?;
        let generation = self.view.0.generation() + 1;
        let file = segment::prepare(&self.folder, SegmentHeader { generation, start: position })?;
        let mut state = self.view.0.lock();
        let path = segment::install(&self.folder, position)?;
        segment::sync_folder(&self.folder).inspect_err(|_| self.failed = true)?;
        let segment = Segment::new(self.next_id, position, path, SEGMENT_HEADER_BYTES);
        let before = self.view.0.replace(&mut state, generation, segment);
        self.active = state.segments.last().map(|newest| Active::new(file, Arc::clone(newest)));
        self.next_id += 1;
        let now = state.segments.last().map(|newest| newest.path.clone());
        drop(state);
        for old in before.iter().filter(|old| Some(&old.path) != now.as_ref()) {
            // the next open deletes files of older generations
            if let Err(error) = fs::remove_file(&old.path) {
                tracing::warn!(path = %old.path.display(), %error, "a segment from before a reset is left over");
            }
        }
        Ok(())
    }

    fn check_usable(&self) -> Result<()> {
        if self.failed {
            let reason =
                "an earlier write to this spool did not reach the disk; check the disk, open it again";
            return Err(Error::input(&self.folder, reason));
        }
        Ok(())
    }

    fn check(&self, frame: &Frame<'_>) -> Result<()> {
        let Frame { from, to, payload, .. } = frame;
        if from > to {
            return Err(Error::Invariant(format!("a frame from {from} to {to} runs backwards")));
        }
        if let Some(end) = self.end().filter(|end| end != from) {
            return Err(Error::Invariant(format!(
                "a frame from {from} cannot follow the end {end} of the spool"
            )));
        }
        if payload.len() > MAX_PAYLOAD_BYTES {
            let bytes = payload.len();
            return Err(Error::Usage(format!(
                "a frame of {bytes} bytes, at most {MAX_PAYLOAD_BYTES} are possible"
            )));
        }
        let (bytes, max) = (payload.len() as u64, self.settings.max_bytes);
        if !self.fits(SEGMENT_HEADER_BYTES, bytes) {
            return Err(Error::Config(format!(
                "a frame of {bytes} bytes can never fit a spool of {max}; raise it"
            )));
        }
        if !self.has_room(bytes) {
            let used = self.bytes();
            return Err(Error::Limit(format!(
                "the spool in {} holds {used} of at most {max} bytes, no room for {bytes} more; wait for a commit",
                self.folder.display()
            )));
        }
        Ok(())
    }

    /// Always counts a new segment header, so that the answer does not depend on rotation.
    fn fits(&self, used: u64, payload_bytes: u64) -> bool {
        let more = frame_bytes(payload_bytes).saturating_add(SEGMENT_HEADER_BYTES);
        used.saturating_add(more) <= self.settings.max_bytes
    }

    fn needs_segment(&self, bytes: u64, from: u64) -> bool {
        let Some(active) = &self.active else { return true };
        // two segments cannot start at the same position: they would have the same name
        let full = active.segment.bytes().saturating_add(bytes) > self.settings.segment_bytes;
        full && active.has_frames() && active.segment.start < from
    }

    /// Begins the next segment; returns how many segments of the same name it replaced.
    fn begin_segment(&mut self, start: u64) -> Result<usize> {
        self.repair()?;
        self.sync()?;
        let generation = self.view.0.generation();
        let file = segment::prepare(&self.folder, SegmentHeader { generation, start })?;
        let mut state = self.view.0.lock();
        let path = segment::install(&self.folder, start)?;
        // after an error here it is unknown which of the two segments is the newest after a power loss
        segment::sync_folder(&self.folder).inspect_err(|_| self.failed = true)?;
        let segment = Arc::new(Segment::new(self.next_id, start, path, SEGMENT_HEADER_BYTES));
        let replaced = state.add(Arc::clone(&segment));
        self.active = Some(Active::new(file, segment));
        self.next_id += 1;
        Ok(replaced)
    }

    fn repair(&mut self) -> Result<()> {
        self.active.as_mut().map_or(Ok(()), Active::repair)
    }
}

impl Active {
    fn new(file: File, segment: Arc<Segment>) -> Self {
        Self { file, synced_bytes: segment.bytes(), segment, torn: false }
    }

    fn reopen(segment: Arc<Segment>) -> Result<Self> {
        let path = &segment.path;
        let open = || {
            let file = OpenOptions::new().append(true).open(path)?;
            file.sync_all()?;
            Ok(file)
        };
        let file = open().map_err(|source| failed(path, "open the segment", &source))?;
        Ok(Self::new(file, segment))
    }

    fn has_frames(&self) -> bool {
        self.segment.bytes() > SEGMENT_HEADER_BYTES
    }

    fn write(&mut self, frame: &Frame<'_>) -> Result<()> {
        self.torn = true;
        let header = encode_header(frame);
        let written = self.file.write_all(&header).and_then(|()| self.file.write_all(frame.payload));
        let Err(source) = written else {
            self.torn = false;
            return Ok(());
        };
        if let Err(error) = self.repair() {
            tracing::warn!(%error, "a half written frame is left in the spool until the next write");
        }
        Err(failed(&self.segment.path, "append to the segment", &source))
    }

    /// Cuts off the partial frame that a failed write left.
    fn repair(&mut self) -> Result<()> {
        if self.torn {
            let cut = self.file.set_len(self.segment.bytes());
            cut.map_err(|source| failed(&self.segment.path, "cut off a half written frame", &source))?;
            self.torn = false;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        let bytes = self.segment.bytes();
        if bytes == self.synced_bytes {
            return Ok(());
        }
        let Err(source) = self.file.sync_data() else {
            self.synced_bytes = bytes;
            return Ok(());
        };
        // a second sync could succeed although the bytes are lost, so they must not be found again
        if let Err(error) = segment::cut(&self.file, &self.segment.path, self.synced_bytes) {
            tracing::warn!(%error, "frames that were not synced are left in the spool");
        }
        Err(failed(&self.segment.path, "sync the segment", &source))
    }
}

fn frame_bytes(payload_bytes: u64) -> u64 {
    payload_bytes.saturating_add(FRAME_HEADER_BYTES as u64)
}

fn no_segment() -> Error {
    Error::Invariant("a spool has no segment to append to".to_owned())
}

/// Creates the folder and syncs the directories that got a new entry.
fn create_folder(folder: &Path) -> Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|path| !path.exists()).collect();
    fs::create_dir_all(folder).map_err(|source| failed(folder, "make the folder", &source))?;
    for parent in missing.iter().filter_map(|path| path.parent()) {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        segment::sync_folder(parent)?;
    }
    Ok(())
}

fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = opened.map_err(|source| failed(&path, "open the lock", &source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Usage(format!(
            "the spool in {} is in use by another process; stop that one or give this one a folder of its own",
            folder.display()
        ))),
        Err(TryLockError::Error(source)) => Err(failed(&path, "lock", &source)),
    }
}
