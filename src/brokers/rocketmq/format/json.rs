//! A tolerant reader of the JSON that RocketMQ brokers write with fastjson (RocketMQ remoting: JSON bodies; RocketMQ
//! formats: JSON files).
//!
//! That JSON is not strict: keys can be bare numbers or whole objects, texts can stand in single quotes. [`parse`] makes
//! a [`Value`] tree that keeps such keys. It never maps a tree to a structure, never follows a `$ref` (such a value
//! reads as [`Value::Null`]) and never writes JSON.

use std::borrow::Cow;

use thiserror::Error;

/// Longest input taken, in bytes. The offsets of a large broker are some megabytes.
pub const MAX_BYTES: usize = 64 << 20;
/// Most values taken, keys included. It bounds the memory of a tree made from many tiny values.
pub const MAX_VALUES: usize = 8 << 20;
/// Deepest nesting of objects and lists, object keys included.
pub const MAX_DEPTH: usize = 64;

/// Why bytes are not JSON. Offsets count bytes of the text after invalid UTF-8 was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JsonError {
    /// Longer than [`MAX_BYTES`].
    #[error("JSON of {0} bytes is too long")]
    TooLong(usize),
    /// More than [`MAX_VALUES`] values.
    #[error("JSON has too many values")]
    TooManyValues,
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("JSON is nested too deeply at byte {offset}")]
    TooDeep {
        /// Where the level that is too deep begins.
        offset: usize,
    },
    /// Something else stands where a certain thing has to be.
    #[error("no {expected} at byte {offset} of the JSON")]
    Missing {
        /// What has to be there.
        expected: &'static str,
        /// Where; the length of the text if it ends too early.
        offset: usize,
    },
}

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, a number that is none (`NaN`), or a `$ref`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that fits.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// A text, or a bare key that is no whole number.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// An object: keys and values as they stand. A key is a text, a whole number or an object, and can occur twice.
    Map(Vec<(Value, Value)>),
}

impl Value {
    /// The member `name` of an object; the last one if there are several. A number as key is found by its digits.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let number = name.parse::<i64>().ok();
        let is_named = |key: &Value| match key {
            Value::Text(text) => text == name,
            Value::Integer(key) => number == Some(*key),
            _ => false,
        };
        self.entries().iter().rev().find(|(key, _)| is_named(key)).map(|(_, value)| value)
    }

    /// A whole number, also one written as text.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Integer(number) => Some(*number),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// A text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A truth value, also one written as text.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(truth) => Some(*truth),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// Keys and values of an object in their order; none of anything else.
    #[must_use]
    pub fn entries(&self) -> &[(Value, Value)] {
        match self {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Values of a list in their order; none of anything else.
    #[must_use]
    pub fn items(&self) -> &[Value] {
        match self {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The object written in this text, as some servers do with object keys; anything else as it is.
    #[must_use]
    pub fn reparsed(&self) -> Cow<'_, Value> {
        if let Value::Text(text) = self
            && text.trim_start().starts_with('{')
            && let Ok(value) = parse(text.as_bytes())
        {
            return Cow::Owned(value);
        }
        Cow::Borrowed(self)
    }
}

/// Reads one JSON value with nothing but white space around it. Invalid UTF-8 is replaced.
///
/// # Errors
/// [`JsonError`] if it is none, or beyond one of the limits.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    if bytes.len() > MAX_BYTES {
        return Err(JsonError::TooLong(bytes.len()));
    }
    let text = String::from_utf8_lossy(bytes);
    let mut reader = Reader { text: text.strip_prefix('\u{feff}').unwrap_or(&text), at: 0, values: 0 };
    let value = reader.value(0)?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.missing("end of the text")),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    values: usize,
}

impl<'a> Reader<'a> {
    fn missing(&self, expected: &'static str) -> JsonError {
        JsonError::Missing { expected, offset: self.at }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next byte that is not white space, which is not taken yet.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_ascii_start().len();
        self.rest().as_bytes().first().copied()
    }

    /// Takes `byte` if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn count_value(&mut self) -> Result<(), JsonError> {
        self.values += 1;
        if self.values > MAX_VALUES { Err(JsonError::TooManyValues) } else { Ok(()) }
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.count_value()?;
        match self.peek() {
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.list(depth + 1),
            Some(quote @ (b'"' | b'\'')) => self.quoted(quote).map(Value::Text),
            _ => self.bare_value(),
        }
    }

    fn key(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.count_value()?;
        match self.peek() {
            Some(b'{') => self.object(depth + 1),
            Some(quote @ (b'"' | b'\'')) => self.quoted(quote).map(Value::Text),
            _ => match self.bare_word() {
                "" => Err(self.missing("key")),
                word => Ok(word.parse().map_or_else(|_| Value::Text(word.to_owned()), Value::Integer)),
            },
        }
    }

    fn open(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth > MAX_DEPTH {
            return Err(JsonError::TooDeep { offset: self.at });
        }
        self.at += 1;
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.open(depth)?;
        let mut entries = Vec::new();
        if self.take(b'}') {
            return Ok(Value::Map(entries));
        }
        loop {
            let key = self.key(depth)?;
            if !self.take(b':') {
                return Err(self.missing("colon"));
            }
            entries.push((key, self.value(depth)?));
            if self.take(b'}') {
                break;
            }
            if !self.take(b',') {
                return Err(self.missing("comma or closing brace"));
            }
        }
        // A reference to another place of the same text; what it stands for is not needed anywhere.
        match entries.as_slice() {
            [(Value::Text(key), _)] if key == "$ref" => Ok(Value::Null),
            _ => Ok(Value::Map(entries)),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.open(depth)?;
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth)?);
            if self.take(b']') {
                return Ok(Value::List(items));
            }
            if !self.take(b',') {
                return Err(self.missing("comma or closing bracket"));
            }
        }
    }

    /// Takes a run of bytes that need no quotes.
    fn bare_word(&mut self) -> &'a str {
        let rest = self.rest();
        let ends = |c: char| c.is_ascii_whitespace() || c.is_ascii_control() || "{}[]:,\"'".contains(c);
        let word = rest.get(..rest.find(ends).unwrap_or(rest.len())).unwrap_or_default();
        self.at += word.len();
        word
    }

    fn bare_value(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        let word = self.bare_word();
        let value = match word {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "null" | "NaN" | "Infinity" | "-Infinity" => Some(Value::Null),
            _ => number(word),
        };
        value.ok_or(JsonError::Missing { expected: "value", offset: start })
    }

    fn quoted(&mut self, quote: u8) -> Result<String, JsonError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let special = |c: char| c == '\\' || c == char::from(quote);
            let Some(plain) = rest.find(special) else {
                self.at = self.text.len();
                return Err(self.missing("closing quote"));
            };
            text.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            if self.rest().starts_with('\\') {
                text.push(self.escape()?);
            } else {
                self.at += 1;
                return Ok(text);
            }
        }
    }

    /// Takes a backslash and what belongs to it.
    fn escape(&mut self) -> Result<char, JsonError> {
        let code = self.rest().as_bytes().get(1).copied();
        let plain = match code {
            Some(b'u') => return self.unicode(),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'v') => '\u{b}',
            Some(b'0') => '\0',
            Some(code @ (b'"' | b'\'' | b'\\' | b'/')) => char::from(code),
            _ => return Err(self.missing("known escape")),
        };
        self.at += 2;
        Ok(plain)
    }

    /// Takes `\uXXXX`, or two of them that make up a surrogate pair. A lone surrogate is replaced.
    fn unicode(&mut self) -> Result<char, JsonError> {
        let high = self.code_unit().ok_or_else(|| self.missing("known escape"))?;
        self.at += 6;
        if let Some(low) = self.code_unit()
            && let Some(Ok(pair)) = char::decode_utf16([high, low]).next()
            && pair > '\u{ffff}'
        {
            self.at += 6;
            return Ok(pair);
        }
        Ok(char::from_u32(u32::from(high)).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    /// The code unit of the `\uXXXX` that comes next, which is not taken yet.
    fn code_unit(&self) -> Option<u16> {
        let digits = self.rest().strip_prefix("\\u")?.get(..4)?;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if is_hex { u16::from_str_radix(digits, 16).ok() } else { None }
    }
}

/// A number as JSON writes it. Rust's own readers also take words such as `inf`, hence the look at the bytes.
fn number(word: &str) -> Option<Value> {
    if !word.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) {
        return None;
    }
    if let Ok(integer) = word.parse() {
        return Some(Value::Integer(integer));
    }
    word.parse().ok().map(Value::Float)
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
