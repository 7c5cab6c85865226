//! A commit log built for tests, file by file as a broker writes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::commit_log::CommitLog;
use super::error::Error;
use super::item::{Event, Item};
use super::walk_options::WalkOptions;
use crate::brokers::rocketmq::format::record::Record;
use crate::brokers::rocketmq::format::record_encode::{encode, encode_blank};

/// Bytes of a file unless a test chooses others.
pub(super) const FILE_BYTES: usize = 1000;
/// Store timestamp of the first record.
pub(super) const STORED: i64 = 1_700_000_000_000;

/// The log in memory. `files` holds what was written, without the zeros behind it.
pub(super) struct MadeLog {
    pub(super) file_bytes: usize,
    pub(super) files: BTreeMap<u64, Vec<u8>>,
    /// Physical offsets of the records.
    pub(super) offsets: Vec<u64>,
    pub(super) stored: i64,
    folder: tempfile::TempDir,
}

/// What a walk saw.
#[derive(Debug, PartialEq)]
pub(super) enum Seen {
    Record(u64),
    Event(Event),
}

impl MadeLog {
    pub(super) fn new(start: u64, file_bytes: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = BTreeMap::from([(start, Vec::new())]);
        Self { file_bytes, files, offsets: Vec::new(), stored: STORED, folder }
    }

    /// A log of `records` records, each of 191 bytes (five to a file of usual size), one second apart.
    pub(super) fn with_records(start: u64, records: usize) -> Self {
        let mut log = Self::new(start, FILE_BYTES);
        log.push_all(records);
        log
    }

    pub(super) fn push_all(&mut self, records: usize) {
        for _ in 0..records {
            self.push(99);
        }
    }

    /// Appends a record with a body of `body_bytes` bytes, in a new file if need be; gives its offset.
    pub(super) fn push(&mut self, body_bytes: usize) -> u64 {
        let last = self.files.last_entry().unwrap();
        let start = *last.key();
        let size = 92 + body_bytes;
        if last.get().len() + size + 8 > self.file_bytes {
            let bytes = last.into_mut();
            encode_blank(bytes, self.file_bytes - bytes.len());
            self.files.insert(start + self.file_bytes as u64, Vec::new());
            return self.push(body_bytes);
        }
        let bytes = last.into_mut();
        let offset = start + bytes.len() as u64;
        let body: Vec<u8> = (0..body_bytes).map(|at| (at as u8) ^ (offset as u8) | 1).collect();
        let record = Record {
            position: offset as i64,
            store_timestamp: self.stored,
            body: &body,
            topic: b"T",
            ..Record::default()
        };
        encode(bytes, &record);
        self.stored += 1000;
        self.offsets.push(offset);
        offset
    }

    /// The bytes of the file that starts here.
    pub(super) fn file(&mut self, start: u64) -> &mut Vec<u8> {
        self.files.get_mut(&start).unwrap()
    }

    pub(super) fn path(&self, start: u64) -> PathBuf {
        self.folder().join(format!("{start:020}"))
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes all files at full size.
    pub(super) fn save(&self) -> &Self {
        for (start, bytes) in &self.files {
            let mut bytes = bytes.clone();
            bytes.resize(self.file_bytes.max(bytes.len()), 0);
            std::fs::write(self.path(*start), bytes).unwrap();
        }
        self
    }

    pub(super) fn walk(&self) -> Vec<Seen> {
        self.walk_with(WalkOptions::default()).unwrap()
    }

    pub(super) fn walk_from(&self, from: u64) -> Result<Vec<Seen>, Error> {
        self.walk_with(WalkOptions { from: Some(from), ..WalkOptions::default() })
    }

    pub(super) fn walk_with(&self, options: WalkOptions) -> Result<Vec<Seen>, Error> {
        walk(&[self.folder().to_owned()], options)
    }
}

pub(super) fn walk(folders: &[PathBuf], options: WalkOptions) -> Result<Vec<Seen>, Error> {
    let mut walker = CommitLog::open(folders)?.walk(options)?;
    let mut seen = Vec::new();
    while let Some(item) = walker.next()? {
        seen.push(match item {
            Item::Record { position, record } => {
                assert_eq!(i64::try_from(position), Ok(record.position));
                assert!(record.check_body_crc().is_ok());
                Seen::Record(position)
            }
            Item::Event(event) => Seen::Event(event),
        });
    }
    assert!(matches!(seen.last(), Some(Seen::Event(Event::End { .. }))));
    assert!(walker.next()?.is_none());
    Ok(seen)
}

/// The offsets of the records in what a walk saw.
pub(super) fn records(seen: &[Seen]) -> Vec<u64> {
    let offset = |seen: &Seen| if let Seen::Record(offset) = seen { Some(*offset) } else { None };
    seen.iter().filter_map(offset).collect()
}

/// The events in what a walk saw, apart from ends of files without a warning.
pub(super) fn events(seen: Vec<Seen>) -> Vec<Event> {
    seen.into_iter()
        .filter_map(|seen| if let Seen::Event(event) = seen { Some(event) } else { None })
        .filter(|event| !matches!(event, Event::EndOfFile { wrong_marker: None, .. }))
        .collect()
}
