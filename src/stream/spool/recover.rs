//! Recovery: restores a sound spool from the files of a folder after a crash or damage.
//!
//! It keeps all frames up to the first that is not sound, and discards the rest. A file that cannot be read is an error
//! and never a reason to discard.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use super::frame::{FRAME_HEADER_BYTES, FRAME_MAGIC, FrameHeader};
use super::segment::{Cursor, Decoded, SEGMENT_HEADER_BYTES, SegmentHeader, Step, failed};
use super::{Damage, Recovered, segment};
use crate::error::{Error, Result};

/// Maximum bytes of frames checked in the search for a sound frame behind a bad one, since a payload can look like many
/// frames. The search only decides how the loss is reported.
const SEARCH_BYTES: usize = 256 << 20;

/// A segment whose bytes are all sound.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) start: u64,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

/// The content of a folder after recovery.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) generation: u64,
    pub(super) segments: Vec<Kept>,
    pub(super) end: Option<u64>,
    pub(super) recovered: Recovered,
}

/// A segment file before its frames are checked.
struct Candidate {
    start: u64,
    path: PathBuf,
    bytes: u64,
    /// `None` if it is damaged.
    header: Option<SegmentHeader>,
}

/// The end of the sound part of a segment, and the reason if that is before its last byte.
struct Walk {
    sound_bytes: u64,
    end: u64,
    bad: Option<String>,
}

/// Checks all segments of `folder` and discards everything from the first unsound byte.
pub(super) fn recover(folder: &Path) -> Result<Found> {
    segment::clear(folder)?;
    let mut files = candidates(folder)?;
    let generation = files.iter().filter_map(|file| file.header).map(|h| h.generation).max().unwrap_or(0);
    let mut found = Found { generation, ..Found::default() };
    drop_older_generations(&mut files, generation)?;
    let last = files.len().saturating_sub(1);
    for (index, file) in files.iter().enumerate() {
        let walk = walk(file, found.end)?;
        if let Some(reason) = walk.bad {
            // a crash can only truncate the newest segment; anything else is damage
            let torn = index == last && !sound_frame_follows(file, walk.sound_bytes)?;
            let later = files.get(index + 1..).unwrap_or_default();
            let rest = file.bytes.saturating_sub(walk.sound_bytes);
            let discarded = rest + later.iter().map(|file| file.bytes).sum::<u64>();
            report(&mut found.recovered, file, walk.sound_bytes, discarded, reason, torn);
            discard(folder, file, walk.sound_bytes, later)?;
            if walk.sound_bytes > 0 {
                found.keep(file, walk.sound_bytes, walk.end);
            }
            break;
        }
        found.keep(file, walk.sound_bytes, walk.end);
    }
    Ok(found)
}

impl Found {
    fn keep(&mut self, file: &Candidate, bytes: u64, end: u64) {
        self.segments.push(Kept { start: file.start, path: file.path.clone(), bytes });
        self.end = Some(end);
    }
}

fn candidates(folder: &Path) -> Result<Vec<Candidate>> {
    let listing = |source: &std::io::Error| failed(folder, "list the folder", source);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|source| listing(&source))? {
        let name = entry.map_err(|source| listing(&source))?.file_name();
        if let Some(start) = name.to_str().and_then(segment::start_of) {
            files.push(candidate(start, folder.join(name))?);
        }
    }
    files.sort_by_key(|file| file.start);
    Ok(files)
}

fn candidate(start: u64, path: PathBuf) -> Result<Candidate> {
    let bytes = fs::metadata(&path).map_err(|source| failed(&path, "look at the segment", &source))?.len();
    let header = match SegmentHeader::decode(Cursor::open(&path, 0)?.bytes(32, SEGMENT_HEADER_BYTES)?) {
        Decoded::Sound(header) => Some(header).filter(|header| header.start == start),
        Decoded::Damaged => None,
        Decoded::Unknown(version) => {
            return Err(Error::input(
                &path,
                format!(
                    "a spool of version {version}, this program knows version 1; run the program that wrote it"
                ),
            ));
        }
    };
    Ok(Candidate { start, path, bytes, header })
}

/// Finishes a reset that was interrupted after its new segment was installed.
fn drop_older_generations(files: &mut Vec<Candidate>, newest: u64) -> Result<()> {
    let is_older = |file: &Candidate| file.header.is_some_and(|header| header.generation < newest);
    for file in files.iter().filter(|file| is_older(file)) {
        fs::remove_file(&file.path).map_err(|source| failed(&file.path, "delete the segment", &source))?;
    }
    files.retain(|file| !is_older(file));
    Ok(())
}

fn walk(file: &Candidate, expected: Option<u64>) -> Result<Walk> {
    let bad = |reason: &str| Walk { sound_bytes: 0, end: file.start, bad: Some(reason.to_owned()) };
    if file.header.is_none() {
        return Ok(bad("the segment header is damaged"));
    }
    if expected.is_some_and(|expected| expected != file.start) {
        return Ok(bad("the segment does not begin where the one before ends"));
    }
    let mut end = file.start;
    let mut cursor = Cursor::open(&file.path, SEGMENT_HEADER_BYTES)?;
    let bad = loop {
        let header = match cursor.peek(file.bytes)? {
            Step::Frame(header, _) => header,
            Step::End => break None,
            Step::Bad(reason) => break Some(reason),
        };
        if header.from != end {
            break Some(format!("a frame begins at {}, the one before ends at {end}", header.from));
        }
        end = header.to;
        cursor.advance(header.frame_bytes());
    };
    Ok(Walk { sound_bytes: cursor.position(), end, bad })
}

/// Whether any sound frame lies behind the bad byte at `position`.
fn sound_frame_follows(file: &Candidate, position: u64) -> Result<bool> {
    let mut cursor = Cursor::open(&file.path, position)?;
    let mut budget = SEARCH_BYTES;
    loop {
        let bytes = cursor.bytes(FRAME_HEADER_BYTES, file.bytes)?;
        if bytes.len() < FRAME_HEADER_BYTES {
            return Ok(false);
        }
        let Some(at) = bytes.windows(FRAME_MAGIC.len()).position(|window| window == FRAME_MAGIC) else {
            // the magic may begin in the last bytes of this chunk
            let done = bytes.len() - (FRAME_MAGIC.len() - 1);
            cursor.advance(done);
            continue;
        };
        cursor.advance(at);
        let cost =
            FrameHeader::decode(cursor.bytes(FRAME_HEADER_BYTES, file.bytes)?).map_or(0, |h| h.frame_bytes());
        let Some(left) = budget.checked_sub(cost) else { return Ok(false) };
        budget = left;
        if matches!(cursor.peek(file.bytes)?, Step::Frame(..)) {
            return Ok(true);
        }
        cursor.advance(1);
    }
}

fn report(
    recovered: &mut Recovered,
    file: &Candidate,
    position: u64,
    discarded_bytes: u64,
    reason: String,
    torn: bool,
) {
    let path = file.path.display();
    if torn {
        tracing::warn!(%path, position, torn_bytes = discarded_bytes, reason, "cut off the torn tail of a spool");
        recovered.torn_bytes = discarded_bytes;
        return;
    }
    tracing::error!(%path, position, discarded_bytes, reason, "a spool is damaged: discarded all from there on");
    recovered.damage = Some(Damage { path: file.path.clone(), position, discarded_bytes, reason });
}

/// Deletes from the newest segment backwards, so that after a crash in between the damage is found again.
fn discard(folder: &Path, file: &Candidate, keep: u64, later: &[Candidate]) -> Result<()> {
    for file in later.iter().rev() {
        segment::delete(folder, &file.path)?;
    }
    if keep == 0 {
        return segment::delete(folder, &file.path);
    }
    let opened = OpenOptions::new().write(true).open(&file.path);
    let opened = opened.map_err(|source| failed(&file.path, "open the segment", &source))?;
    segment::cut(&opened, &file.path, keep)
}
