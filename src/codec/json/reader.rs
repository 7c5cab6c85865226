//! Reads a text by the rules of a dialect, or says where and why it cannot be read.

use thiserror::Error;

use super::dialect::Dialect;
use super::value::Value;

/// Why a text is not JSON, not even of the dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not valid JSON at byte {offset}: {reason}")]
pub struct Malformed {
    /// Where reading stopped, in bytes from the start of the text.
    pub offset: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "the message of each says it")]
pub enum Reason {
    #[error("the text ends where a value is expected")]
    ValueCutOff,
    #[error("expected a value")]
    NoValue,
    #[error("the object is not closed")]
    NameCutOff,
    #[error("expected a member name")]
    NoName,
    #[error("expected ':' after a member name")]
    NoColon,
    #[error("the object is not closed")]
    ObjectCutOff,
    #[error("expected ',' or '}}'")]
    NoMemberEnd,
    #[error("the array is not closed")]
    ListCutOff,
    #[error("expected ',' or ']'")]
    NoElementEnd,
    #[error("the text in quotes is not closed")]
    QuoteCutOff,
    #[error("unknown escape after a backslash")]
    UnknownEscape,
    #[error("expected four hexadecimal digits after \\u")]
    NoHexDigits,
    #[error("the comment is not closed")]
    CommentCutOff,
    #[error("nested too deeply")]
    TooDeep,
    #[error("too many values")]
    TooManyValues,
    #[error("text after the end of the value")]
    TextAfter,
}

/// Reads `text` as exactly one value.
///
/// # Errors
/// [`Malformed`] if it is empty, cut off, beyond a limit of the dialect, followed by further text, or breaks its rules.
pub fn read(text: &str, dialect: &Dialect) -> Result<Value, Malformed> {
    let mut reader = Reader { text, dialect, at: 0, values: 0 };
    for prefix in dialect.prefixes {
        reader.eat(prefix);
        reader.skip_blanks()?;
    }
    let value = reader.value(0)?;
    match reader.peek()? {
        None => Ok(value),
        Some(_) => reader.fail(Reason::TextAfter),
    }
}

/// A position in the text, always on a character border.
struct Reader<'a> {
    text: &'a str,
    dialect: &'a Dialect,
    at: usize,
    values: usize,
}

impl<'a> Reader<'a> {
    fn fail<T>(&self, reason: Reason) -> Result<T, Malformed> {
        Err(Malformed { offset: self.at, reason })
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Takes `wanted` if it comes next.
    fn eat(&mut self, wanted: &str) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    /// The next byte that is no blank, which is not taken yet.
    fn peek(&mut self) -> Result<Option<u8>, Malformed> {
        self.skip_blanks()?;
        Ok(self.byte())
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn skip_blanks(&mut self) -> Result<(), Malformed> {
        loop {
            while self.byte().is_some_and(|byte| self.dialect.blanks.contains(&byte)) {
                self.at += 1;
            }
            if !self.dialect.comments {
                return Ok(());
            }
            let rest = self.rest();
            self.at += if rest.starts_with('#') || rest.starts_with("//") {
                rest.find(['\n', '\r']).unwrap_or(rest.len())
            } else if let Some(comment) = rest.strip_prefix("/*") {
                let Some(length) = comment.find("*/") else { return self.fail(Reason::CommentCutOff) };
                length + 4
            } else {
                return Ok(());
            };
        }
    }

    fn count_value(&mut self) -> Result<(), Malformed> {
        self.values += 1;
        if self.values > self.dialect.max_values { self.fail(Reason::TooManyValues) } else { Ok(()) }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Malformed> {
        self.count_value()?;
        match self.peek()? {
            None => self.fail(Reason::ValueCutOff),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(quote @ (b'"' | b'\'')) => self.quoted(quote).map(Value::Text),
            Some(_) => {
                let offset = self.at;
                let value = self.word().and_then(self.dialect.word);
                value.ok_or(Malformed { offset, reason: Reason::NoValue })
            }
        }
    }

    fn name(&mut self, depth: usize) -> Result<Value, Malformed> {
        self.count_value()?;
        match self.peek()? {
            None => self.fail(Reason::NameCutOff),
            Some(b'{') if self.dialect.object_names => self.object(depth),
            Some(quote @ (b'"' | b'\'')) => self.quoted(quote).map(Value::Text),
            Some(_) => match self.word() {
                None => self.fail(Reason::NoName),
                Some(word) => Ok((self.dialect.name)(word)),
            },
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, Malformed> {
        let reasons = (Reason::ObjectCutOff, Reason::NoMemberEnd);
        let members = self.enclosed(b'}', reasons, depth, |reader| {
            let name = reader.name(depth + 1)?;
            reader.skip_blanks()?;
            if !reader.dialect.colons.iter().any(|colon| reader.eat(colon)) {
                return reader.fail(Reason::NoColon);
            }
            Ok((name, reader.value(depth + 1)?))
        })?;
        match (members.as_slice(), self.dialect.reference) {
            ([(Value::Text(name), _)], Some(reference)) if name == reference => Ok(Value::Null),
            _ => Ok(Value::Map(members)),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, Malformed> {
        let reasons = (Reason::ListCutOff, Reason::NoElementEnd);
        let items = self.enclosed(b']', reasons, depth, |reader| match reader.peek()? {
            Some(next) if reader.dialect.gaps_are_null && reader.ends_element(next) => {
                reader.count_value()?;
                Ok(Value::Null)
            }
            _ => reader.value(depth + 1),
        })?;
        Ok(Value::List(items))
    }

    fn ends_element(&self, next: u8) -> bool {
        next == b']' || self.dialect.separators.contains(&next)
    }

    /// Takes an opening bracket, what `item` takes between separators, and the closing bracket. The reasons are for a
    /// text that ends before that, and for something else where a separator has to be.
    fn enclosed<T>(
        &mut self,
        closing: u8,
        (cut_off, no_separator): (Reason, Reason),
        depth: usize,
        item: impl Fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        if depth >= self.dialect.max_depth {
            return self.fail(Reason::TooDeep);
        }
        self.at += 1;
        let mut items = Vec::new();
        if self.peek()? == Some(closing) {
            self.at += 1;
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            match self.peek()? {
                None => return self.fail(cut_off),
                Some(next) if next == closing => {
                    self.at += 1;
                    return Ok(items);
                }
                Some(next) if self.dialect.separators.contains(&next) => self.at += 1,
                Some(_) => return self.fail(no_separator),
            }
        }
    }

    /// Takes an unquoted word, if one comes next.
    fn word(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let word = rest.get(..rest.bytes().position(self.dialect.ends_word).unwrap_or(rest.len()))?;
        self.at += word.len();
        if word.is_empty() { None } else { Some(word) }
    }

    /// Takes a text in quotes.
    fn quoted(&mut self, quote: u8) -> Result<String, Malformed> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let Some(plain) = rest.bytes().position(|byte| byte == quote || byte == b'\\') else {
                return self.fail(Reason::QuoteCutOff);
            };
            text.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain + 1;
            if rest.as_bytes().get(plain) != Some(&b'\\') {
                return Ok(text);
            }
            text.push(self.escape()?);
        }
    }

    /// Takes what follows a backslash.
    fn escape(&mut self) -> Result<char, Malformed> {
        let Some(code) = self.rest().chars().next() else { return self.fail(Reason::UnknownEscape) };
        let plain = match code {
            'u' => {
                self.at += 1;
                return self.unicode();
            }
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '"' | '\'' | '\\' | '/' => code,
            _ => match self.dialect.escapes.iter().find(|(escaped, _)| *escaped == code) {
                Some((_, plain)) => *plain,
                None => return self.fail(Reason::UnknownEscape),
            },
        };
        self.at += code.len_utf8();
        Ok(plain)
    }

    /// Takes the digits of a `\u` escape, and a second escape when the two form one character.
    fn unicode(&mut self) -> Result<char, Malformed> {
        let Some(high) = code_unit(self.rest()) else { return self.fail(Reason::NoHexDigits) };
        self.at += 4;
        if let Some(low) = self.rest().strip_prefix("\\u").and_then(code_unit)
            && let Some(Ok(pair)) = char::decode_utf16([high, low]).next()
            && pair > '\u{ffff}'
        {
            self.at += 6;
            return Ok(pair);
        }
        Ok(char::from_u32(u32::from(high)).unwrap_or(char::REPLACEMENT_CHARACTER))
    }
}

/// The code unit in the next four digits. They are looked at because `from_str_radix` would also take a sign.
fn code_unit(text: &str) -> Option<u16> {
    let digits = text.get(..4)?;
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_hex { u16::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
#[allow(clippy::unwrap_used)]
mod tests;
