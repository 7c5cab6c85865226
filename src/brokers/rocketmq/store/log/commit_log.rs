//! The commit log of a broker: its files, and walks over them.

use std::path::PathBuf;

use super::error::Error;
use super::files::LogFile;
use super::item::{Event, Item};
use super::walk_options::WalkOptions;
use super::walker::Walker;
use super::{files, layout};

/// The files of a commit log as they were when it was opened.
///
/// Opening reads only the heads of the files. Reopen it for each walk over the log of a running broker.
#[derive(Debug, Clone)]
pub struct CommitLog {
    files: Vec<LogFile>,
}

impl CommitLog {
    /// Finds the files in all folders of a log (brokers can spread it) and checks that they belong to one log.
    ///
    /// # Errors
    /// [`Error`] if a folder cannot be read, or holds files of another log or layout. No file at all is no error.
    pub fn open(folders: &[PathBuf]) -> Result<Self, Error> {
        let files = files::find(folders)?;
        layout::refuse_others(&files)?;
        Ok(Self { files })
    }

    /// The files by their start.
    #[must_use]
    pub fn files(&self) -> &[LogFile] {
        &self.files
    }

    /// Physical offset of the first byte, if there is a file.
    #[must_use]
    pub fn start_of_log(&self) -> Option<u64> {
        self.files.first().map(|file| file.start)
    }

    /// Physical offset behind the last byte of the last file, written or not.
    #[must_use]
    pub fn end_of_files(&self) -> Option<u64> {
        self.files.last().map(|file| file.start.saturating_add(file.bytes))
    }

    /// Physical offset behind the last file that has anything but zeros, if there is one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn end_of_data(&self) -> Result<Option<u64>, Error> {
        for file in self.files.iter().rev() {
            if files::has_data(file)? {
                return Ok(Some(files::end_of_data(file)?));
            }
        }
        Ok(None)
    }

    /// Store timestamp of the first record. The same start with another timestamp means another log.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn first_store_timestamp(&self) -> Result<Option<i64>, Error> {
        let mut walker = self.walk(WalkOptions::default())?;
        loop {
            match walker.next()? {
                Some(Item::Record { record, .. }) => return Ok(Some(record.store_timestamp)),
                Some(Item::Event(Event::End { .. })) | None => return Ok(None),
                Some(Item::Event(_)) => {}
            }
        }
    }

    /// Starts a walk.
    ///
    /// # Errors
    /// [`Error::BeyondEnd`].
    pub fn walk(&self, options: WalkOptions) -> Result<Walker, Error> {
        Walker::new(self.files.clone(), options)
    }
}
