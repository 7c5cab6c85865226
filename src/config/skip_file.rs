//! The subjects that are not stored, from a file that operators may change while the server runs. It is only read by
//! [`SkipFile::poll`]; nothing here watches or writes.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::properties::{Properties, read_bytes};
use crate::error::{Error, Result};

/// A `.properties` file whose keys with the value `true` are real subjects that are not stored.
#[derive(Debug)]
pub struct SkipFile {
    path: PathBuf,
    last: Option<Seen>,
    good: Option<BTreeSet<String>>,
}

/// Result of the last poll. Contents are compared, since two versions can have the same time and size.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Missing,
    Unreadable(String),
    Bytes(Vec<u8>),
}

impl SkipFile {
    /// A file that may not exist yet. Nothing is read before the first [`SkipFile::poll`].
    pub fn open(path: impl Into<PathBuf>) -> SkipFile {
        SkipFile { path: path.into(), last: None, good: None }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file. Returns all subjects if they have changed or this is the first poll, else `None`. A missing
    /// file has no subjects. Blocks on the file system.
    ///
    /// # Errors
    /// [`Error::Input`] if the file cannot be read, [`Error::Config`] if it cannot be parsed. The caller keeps the
    /// previous subjects. The same failure is returned only once.
    pub fn poll(&mut self) -> Result<Option<BTreeSet<String>>> {
        let seen = match read_bytes(&self.path) {
            Ok(bytes) => Seen::Bytes(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => Seen::Missing,
            Err(error) => Seen::Unreadable(error.to_string()),
        };
        if self.last.as_ref() == Some(&seen) {
            return Ok(None);
        }
        let subjects = self.subjects_of(&seen);
        self.last = Some(seen);
        let subjects = subjects?;
        if self.good.as_ref() == Some(&subjects) {
            return Ok(None);
        }
        self.good = Some(subjects.clone());
        Ok(Some(subjects))
    }

    fn subjects_of(&self, seen: &Seen) -> Result<BTreeSet<String>> {
        match seen {
            Seen::Missing => Ok(BTreeSet::new()),
            Seen::Unreadable(reason) => Err(Error::input(&self.path, reason.as_str())),
            Seen::Bytes(bytes) => {
                Properties::parse(&self.path.display().to_string(), bytes).map(|all| skipped(&all))
            }
        }
    }
}

/// The keys whose last value is `true`.
fn skipped(properties: &Properties) -> BTreeSet<String> {
    let mut subjects = BTreeSet::new();
    for entry in properties.iter() {
        let subject = entry.key.trim();
        if entry.value.trim().eq_ignore_ascii_case("true") && !subject.is_empty() {
            subjects.insert(subject.to_owned());
        } else {
            subjects.remove(subject);
        }
    }
    subjects
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(subjects: &[&str]) -> Option<BTreeSet<String>> {
        Some(subjects.iter().map(|s| s.to_string()).collect())
    }

    #[test]
    fn subjects_are_returned_when_they_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("skip_backup.properties");
        let mut file = SkipFile::open(&path);
        assert_eq!(file.poll().unwrap(), set(&[]), "missing is empty");
        assert_eq!(file.poll().unwrap(), None);

        std::fs::write(&path, "a=true\nb = TRUE \nc=false\nd=1\ne\nf=true\nf=no\n=true\n").unwrap();
        assert_eq!(file.poll().unwrap(), set(&["a", "b"]));
        assert_eq!(file.poll().unwrap(), None);

        std::fs::write(&path, "# the same\nb=true\na=true\n").unwrap();
        assert_eq!(file.poll().unwrap(), None, "the same set is no change");

        std::fs::write(&path, "# the same\nb=true\nz=true\n").unwrap();
        assert_eq!(file.poll().unwrap(), set(&["b", "z"]), "same size, written at once");

        std::fs::remove_file(&path).unwrap();
        assert_eq!(file.poll().unwrap(), set(&[]));
    }

    #[test]
    fn a_broken_file_is_reported_once_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("skip_backup.properties");
        std::fs::write(&path, "a=true\n").unwrap();
        let mut file = SkipFile::open(&path);
        assert_eq!(file.poll().unwrap(), set(&["a"]));

        std::fs::write(&path, "a=false\nb=\\uzzzz\n").unwrap();
        assert!(file.poll().unwrap_err().to_string().contains("skip_backup.properties, line 2"));
        assert_eq!(file.poll().unwrap(), None);

        std::fs::write(&path, "a=true\n").unwrap();
        assert_eq!(file.poll().unwrap(), None, "the good set was in force all the time");

        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(file.poll(), Err(Error::Input { .. })));
        assert_eq!(file.poll().unwrap(), None);
    }
}
