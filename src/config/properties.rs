//! Java `.properties` files: comments, separators, escapes, `\uXXXX` and continued lines.
//!
//! Text is UTF-8; a file that is not valid UTF-8 is read as ISO 8859-1, the older encoding. Values keep trailing blanks,
//! as in Java. This module knows no key and writes no file.

use std::fs::File;
use std::io::Read;
use std::iter::Peekable;
use std::path::Path;
use std::str::Chars;

use crate::error::{Error, Result};

/// Maximum bytes of one file.
pub const MAX_BYTES: usize = 4 << 20;

/// Maximum entries of one file.
pub const MAX_ENTRIES: usize = 65_536;

/// Maximum bytes of one line with its continuations.
pub const MAX_LINE: usize = 64 << 10;

/// One key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key, without escapes.
    pub key: String,
    /// The value, without escapes; empty if the key stands alone.
    pub value: String,
    /// Line on which the entry begins, from 1.
    pub line: usize,
}

/// The entries of one file in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    entries: Vec<Entry>,
}

impl Properties {
    /// Reads a file of at most [`MAX_BYTES`].
    ///
    /// # Errors
    /// [`Error::Input`] if the file cannot be read, and those of [`Properties::parse`].
    pub fn read(path: &Path) -> Result<Properties> {
        let bytes = read_bytes(path).map_err(|error| Error::input(path, error.to_string()))?;
        Properties::parse(&path.display().to_string(), &bytes)
    }

    /// Parses the bytes of the file called `name`.
    ///
    /// # Errors
    /// [`Error::Config`] with name and line, for a `\u` without four hexadecimal digits, for half of a surrogate
    /// pair, and beyond [`MAX_BYTES`], [`MAX_ENTRIES`] or [`MAX_LINE`].
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Properties> {
        if bytes.len() > MAX_BYTES {
            return Err(Error::Config(format!("{name}: larger than {MAX_BYTES} bytes")));
        }
        let latin: String;
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
            Err(_) => {
                latin = bytes.iter().map(|&byte| char::from(byte)).collect();
                &latin
            }
        };
        let mut entries = Vec::new();
        for line in LogicalLines::new(text) {
            let fail = |reason: &str| Error::Config(format!("{name}, line {}: {reason}", line.number));
            if line.text.len() > MAX_LINE {
                return Err(fail(&format!("longer than {MAX_LINE} bytes")));
            }
            if entries.len() == MAX_ENTRIES {
                return Err(fail(&format!("more than {MAX_ENTRIES} entries")));
            }
            let (key, value) = split(&line.text).map_err(fail)?;
            entries.push(Entry { key, value, line: line.number });
        }
        Ok(Properties { entries })
    }

    /// The entry of `key`. If there are several, the last one counts.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.key == key)
    }

    /// All entries in the order of the file, also those that a later one replaces.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }
}

/// The bytes of a file, at most one more than [`MAX_BYTES`], so that a longer file is noticed.
pub(super) fn read_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

struct Line {
    number: usize,
    text: String,
}

/// Lines that hold an entry: without comments, with continuations joined.
struct LogicalLines<'a> {
    rest: &'a str,
    number: usize,
}

impl<'a> LogicalLines<'a> {
    fn new(text: &'a str) -> Self {
        LogicalLines { rest: text, number: 0 }
    }

    /// The next line of the file without its line end and leading blanks.
    fn natural(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let (line, rest) = match self.rest.split_once(['\r', '\n']) {
            Some((line, rest)) => {
                let windows = self.rest.as_bytes().get(line.len()) == Some(&b'\r');
                (line, if windows { rest.strip_prefix('\n').unwrap_or(rest) } else { rest })
            }
            None => (self.rest, ""),
        };
        self.rest = rest;
        Some(line.trim_start_matches(is_blank))
    }

    /// `first` with the lines that continue it, each after a final backslash.
    fn joined(&mut self, first: &str) -> String {
        let mut text = String::new();
        let mut line = first;
        loop {
            let backslashes = line.len() - line.trim_end_matches('\\').len();
            if backslashes.is_multiple_of(2) {
                text.push_str(line);
                return text;
            }
            text.push_str(line.strip_suffix('\\').unwrap_or(line));
            match self.natural() {
                Some(next) => line = next,
                None => return text,
            }
        }
    }
}

impl Iterator for LogicalLines<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        loop {
            let first = self.natural()?;
            if first.starts_with(['#', '!']) {
                continue;
            }
            let number = self.number;
            let text = self.joined(first);
            // a lone backslash before a blank line gives an empty text, too
            if !text.is_empty() {
                return Some(Line { number, text });
            }
        }
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

/// Key and value of a logical line: the key ends at the first `=`, `:` or blank without a backslash.
fn split(line: &str) -> Result<(String, String), &'static str> {
    let mut chars = line.chars().peekable();
    let mut key = String::new();
    while let Some(c) = chars.next_if(|&c| !is_blank(c) && c != '=' && c != ':') {
        key.push(unescape(c, &mut chars)?);
    }
    while chars.next_if(|&c| is_blank(c)).is_some() {}
    if chars.next_if(|&c| c == '=' || c == ':').is_some() {
        while chars.next_if(|&c| is_blank(c)).is_some() {}
    }
    let mut value = String::new();
    while let Some(c) = chars.next() {
        value.push(unescape(c, &mut chars)?);
    }
    Ok((key, value))
}

/// The character that `first` means; after a backslash, together with what follows it.
fn unescape(first: char, rest: &mut Peekable<Chars<'_>>) -> Result<char, &'static str> {
    if first != '\\' {
        return Ok(first);
    }
    match rest.next() {
        Some('t') => Ok('\t'),
        Some('n') => Ok('\n'),
        Some('r') => Ok('\r'),
        Some('f') => Ok('\u{c}'),
        Some('u') => unicode(rest),
        Some(other) => Ok(other),
        None => Err("ends in a backslash"),
    }
}

/// The character of a `\u`, or of two that are a surrogate pair.
fn unicode(rest: &mut Peekable<Chars<'_>>) -> Result<char, &'static str> {
    const HALF: &str = "\\u that is one half of a surrogate pair";
    let high = hex4(rest)?;
    if let Some(c) = char::from_u32(high) {
        return Ok(c);
    }
    if rest.next() != Some('\\') || rest.next() != Some('u') {
        return Err(HALF);
    }
    let low = hex4(rest)?;
    if !(0xd800..0xdc00).contains(&high) || !(0xdc00..0xe000).contains(&low) {
        return Err(HALF);
    }
    char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)).ok_or(HALF)
}

fn hex4(rest: &mut Peekable<Chars<'_>>) -> Result<u32, &'static str> {
    let mut code = 0;
    for _ in 0..4 {
        let digit = rest.next().and_then(|c| c.to_digit(16));
        code = code << 4 | digit.ok_or("\\u must be followed by four hexadecimal digits")?;
    }
    Ok(code)
}

#[cfg(test)]
#[path = "properties_tests.rs"]
mod tests;
