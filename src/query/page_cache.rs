//! Reads from local files of what the system has in memory.
//!
//! A look-up makes a few reads of a few kilobytes. Handing each to another thread and waking up again takes longer than
//! the read, if the data is in the system's page cache. Linux can be asked for just that (`RWF_NOWAIT`): what is not in
//! memory, or too much, is left to the object store and its threads. So a read here never waits for a disk.

use std::ops::Range;
use std::path::Path;

use bytes::Bytes;

/// Most bytes read at once: copying more would hold up other work of the thread.
const MAX_BYTES: u64 = 1 << 20;

/// Parts of a file, if all of them are in memory.
#[cfg(target_os = "linux")]
pub(super) fn read(path: &Path, ranges: &[Range<u64>]) -> Option<Vec<Bytes>> {
    let bytes: u64 = ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum();
    if bytes > MAX_BYTES {
        return None;
    }
    let file = std::fs::File::open(path).ok()?;
    ranges.iter().map(|range| read_part(&file, range)).collect()
}

/// Other systems cannot be asked.
#[cfg(not(target_os = "linux"))]
pub(super) fn read(_path: &Path, _ranges: &[Range<u64>]) -> Option<Vec<Bytes>> {
    None
}

#[cfg(target_os = "linux")]
fn read_part(file: &std::fs::File, range: &Range<u64>) -> Option<Bytes> {
    use rustix::io::{ReadWriteFlags, preadv2};

    let mut part = vec![0; usize::try_from(range.end.checked_sub(range.start)?).ok()?];
    let mut done = 0;
    while done < part.len() {
        let rest = part.get_mut(done..)?;
        let at = range.start + done as u64;
        match preadv2(file, &mut [std::io::IoSliceMut::new(rest)], at, ReadWriteFlags::NOWAIT).ok()? {
            // the file ends early; the object store tells it better
            0 => return None,
            read => done += read,
        }
    }
    Some(Bytes::from(part))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn parts_in_memory_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"0123456789").unwrap();
        // some file systems cannot tell what is in memory; then nothing is read here
        if let Some(parts) = read(&path, &[2..4, 9..10, 5..5]) {
            assert_eq!(parts, [Bytes::from("23"), Bytes::from("9"), Bytes::new()]);
        }
        assert_eq!(read(&path, &[0..1, 8..12]), None, "beyond the end");
        assert_eq!(read(&path, &[0..1, 0..MAX_BYTES]), None, "too much");
        assert_eq!(read(&folder.path().join("none"), &[0..1, 1..2]), None, "no file");
    }
}
