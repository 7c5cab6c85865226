//! Recognises logs of DLedger and of tiered storage, whose file names look like those of a commit log.
//!
//! It reads only the heads of files; everything that is not clearly one of the two is left to the walk.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};

use super::error::Error;
use super::files::LogFile;
use crate::brokers::rocketmq::format::record::{MAGIC_BLANK, Version};
use crate::codec::cursor::{Cursor, Short};

/// Bytes of the head that DLedger puts before each record.
const DLEDGER_HEAD_BYTES: usize = 48;
/// Bytes up to and including the physical offset of a record.
const RECORD_HEAD_BYTES: usize = 36;

/// Fields at the start of a record.
struct Head {
    size: i64,
    is_record: bool,
    is_blank: bool,
    position: i64,
}

impl Head {
    fn read(bytes: &[u8]) -> Result<Self, Short> {
        let mut cursor = Cursor::new(bytes);
        let size = cursor.i32()?;
        let magic = cursor.u32()?;
        cursor.bytes(20)?;
        Ok(Self {
            size: i64::from(size),
            is_record: Version::from_magic(magic).is_some(),
            is_blank: magic == MAGIC_BLANK,
            position: cursor.i64()?,
        })
    }
}

/// Refuses a log of another layout.
///
/// # Errors
/// [`Error::DLedger`] or [`Error::Tiered`], or [`Error::Io`].
pub(super) fn refuse_others(files: &[LogFile]) -> Result<(), Error> {
    let mut first_with_records = true;
    for file in files {
        let mut opened = match File::open(&file.path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::io(&file.path)(error)),
        };
        let mut head_at = |position: u64| {
            let mut head = [0; DLEDGER_HEAD_BYTES + RECORD_HEAD_BYTES];
            opened.seek(SeekFrom::Start(position))?;
            fill(&mut opened, &mut head).map(|()| head)
        };
        let head = head_at(0).map_err(Error::io(&file.path))?;
        let Ok(first) = Head::read(&head) else { continue };
        if is_dledger(&first, &head, file.start) {
            return Err(Error::DLedger { path: file.path.clone() });
        }
        if first.is_record && std::mem::take(&mut first_with_records) {
            let next = head_at(u64::try_from(first.size).unwrap_or(0)).map_err(Error::io(&file.path))?;
            if Head::read(&next).is_ok_and(|next| is_tiered(&first, &next, file.start)) {
                return Err(Error::Tiered { path: file.path.clone() });
            }
        }
    }
    Ok(())
}

fn is_dledger(first: &Head, head: &[u8], start: u64) -> bool {
    let behind = head.get(DLEDGER_HEAD_BYTES..).unwrap_or_default();
    !first.is_record
        && !first.is_blank
        && Head::read(behind).is_ok_and(|record| {
            record.is_record
                && u64::try_from(record.position) == Ok(start.saturating_add(DLEDGER_HEAD_BYTES as u64))
        })
}

/// Whether neither of the first two records belongs where it stands, and the second does not follow the first as it
/// would in a file that was only renamed.
fn is_tiered(first: &Head, next: &Head, start: u64) -> bool {
    let behind_first = |position: i64| position.checked_add(first.size);
    let start = i64::try_from(start).unwrap_or(i64::MAX);
    next.is_record
        && first.position != start
        && Some(next.position) != behind_first(start)
        && Some(next.position) != behind_first(first.position)
}

/// Reads as many bytes as there are; the rest stays zero.
fn fill(file: &mut File, mut bytes: &mut [u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match file.read(bytes)? {
            0 => break,
            read => bytes = bytes.get_mut(read..).unwrap_or_default(),
        }
    }
    Ok(())
}
