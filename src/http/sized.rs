//! Measures the length of a text before memory is reserved for it.

use std::io::{self, Write};

use serde::Serialize;

use super::budget::SMALL_BYTES;
use crate::error::{Error, Result};

/// Counts the bytes of a text, and keeps the text only if it is short.
#[derive(Debug, Default)]
pub(super) struct Beginning {
    text: Vec<u8>,
    /// Bytes written so far.
    pub(super) length: usize,
}

impl Beginning {
    /// The text, if all of it was kept.
    pub(super) fn whole(self) -> Option<Vec<u8>> {
        (self.text.len() == self.length).then_some(self.text)
    }
}

impl Write for Beginning {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.length += bytes.len();
        match self.length <= SMALL_BYTES {
            true => self.text.extend_from_slice(bytes),
            false => self.text = Vec::new(),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counts the bytes that are written.
struct Count(usize);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes of a value as JSON.
///
/// # Errors
/// [`Error::Invariant`] if it cannot be written.
pub(super) fn json_bytes(value: &impl Serialize) -> Result<usize> {
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).map_err(|error| Error::Invariant(error.to_string()))?;
    Ok(count.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_counted_and_not_kept() {
        let mut short = Beginning::default();
        short.write_all(b"abc").unwrap();
        assert_eq!(short.whole().unwrap(), b"abc");
        let mut long = Beginning::default();
        for _ in 0..3 {
            long.write_all(&vec![b'x'; SMALL_BYTES / 2]).unwrap();
        }
        assert_eq!(long.length, SMALL_BYTES / 2 * 3);
        assert_eq!(long.whole(), None);
        assert_eq!(json_bytes(&["a\n"]).unwrap(), 7);
    }
}
