//! A reader for JSON as lenient as Gson's, the parser behind the original API.
//!
//! Beyond standard JSON it accepts unquoted names and values, single quotes, `=` or `=>` for `:`, `;` for `,`,
//! comments (`/* */`, `//`, `#`), keywords in any case, gaps in arrays (read as null), and a leading `)]}'` guard.
//! It rejects what the original rejects: a trailing comma in an object, text after the first complete value, cut-off
//! or empty text.
//!
//! It never converts numbers (their literal is kept), never merges repeated members, and never nests deeper than
//! [`MAX_DEPTH`]. Bounding the length of the text is the caller's job.

/// The deepest nesting of arrays and objects that is read; deeper text is malformed.
///
/// Requests are flat objects. The bound keeps hostile text from exhausting the stack.
pub const MAX_DEPTH: usize = 64;

/// One value as written; numbers and unquoted texts keep their literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`, in any case, or a gap in an array.
    Null,
    /// `true` or `false`, in any case.
    Bool(bool),
    /// The literal of a number in standard JSON notation.
    Number(String),
    /// A text in double or single quotes, escapes resolved.
    Text(String),
    /// An unquoted literal that is neither a keyword nor a standard number, such as `abc`, `010` or `NaN`.
    Bare(String),
    /// The elements of an array.
    Array(Vec<Json>),
    /// The members of an object in the order written, repeated names included.
    Object(Vec<(String, Json)>),
}

/// Why a text is not even lenient JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not valid JSON at byte {offset}: {reason}")]
pub struct Malformed {
    /// Where reading stopped, in bytes from the start of the text.
    pub offset: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

/// Reads `text` as exactly one value.
///
/// # Errors
/// [`Malformed`] with the place and the reason when the text is empty, cut off, nested too deeply, followed by further
/// text, or breaks the lenient grammar.
pub fn parse(text: &str) -> Result<Json, Malformed> {
    let mut reader = Reader { text, at: 0 };
    reader.eat("\u{feff}");
    reader.skip_blanks()?;
    // The guard keeps a browser from running the text as a script; Gson expects a line feed after it, which is blank
    // here and therefore optional.
    reader.eat(")]}'");
    let value = reader.value(0)?;
    reader.skip_blanks()?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => reader.fail("text after the end of the value"),
    }
}

/// A position in the text. It only ever stops next to an ASCII byte or at an end, so slices fall on character borders.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn fail<T>(&self, reason: &'static str) -> Result<T, Malformed> {
        Err(Malformed { offset: self.at, reason })
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, wanted: &str) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    /// Skips blanks and comments. A lone `/` stays, and no rule accepts it.
    fn skip_blanks(&mut self) -> Result<(), Malformed> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                Some(b'#') => self.skip_line(),
                Some(b'/') if self.rest().starts_with("//") => self.skip_line(),
                Some(b'/') if self.rest().starts_with("/*") => {
                    let body = self.rest().get(2..).unwrap_or_default();
                    match body.find("*/") {
                        Some(length) => self.at += length + 4,
                        None => return self.fail("the comment is not closed"),
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    fn skip_line(&mut self) {
        let rest = self.rest();
        self.at += rest.find(['\n', '\r']).unwrap_or(rest.len());
    }

    fn value(&mut self, depth: usize) -> Result<Json, Malformed> {
        self.skip_blanks()?;
        match self.peek() {
            None => self.fail("the text ends where a value is expected"),
            Some(quote @ (b'"' | b'\'')) => Ok(Json::Text(self.quoted(quote)?)),
            Some(b'{' | b'[') if depth >= MAX_DEPTH => self.fail("nested too deeply"),
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(_) => match self.literal() {
                "" => self.fail("expected a value"),
                word if word.eq_ignore_ascii_case("null") => Ok(Json::Null),
                word if word.eq_ignore_ascii_case("true") => Ok(Json::Bool(true)),
                word if word.eq_ignore_ascii_case("false") => Ok(Json::Bool(false)),
                word if is_number(word) => Ok(Json::Number(word.to_owned())),
                word => Ok(Json::Bare(word.to_owned())),
            },
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, Malformed> {
        self.at += 1;
        let mut members = Vec::new();
        self.skip_blanks()?;
        if self.eat("}") {
            return Ok(Json::Object(members));
        }
        loop {
            // After a separator a name must follow, so a trailing comma fails here.
            self.skip_blanks()?;
            let name = match self.peek() {
                None => return self.fail("the object is not closed"),
                Some(quote @ (b'"' | b'\'')) => self.quoted(quote)?,
                Some(_) => match self.literal() {
                    "" => return self.fail("expected a member name"),
                    word => word.to_owned(),
                },
            };
            self.skip_blanks()?;
            if !self.eat(":") && !self.eat("=>") && !self.eat("=") {
                return self.fail("expected ':' after a member name");
            }
            let value = self.value(depth)?;
            members.push((name, value));
            self.skip_blanks()?;
            match self.peek() {
                None => return self.fail("the object is not closed"),
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Json::Object(members));
                }
                Some(b',' | b';') => self.at += 1,
                Some(_) => return self.fail("expected ',' or '}'"),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, Malformed> {
        self.at += 1;
        let mut elements = Vec::new();
        self.skip_blanks()?;
        if self.eat("]") {
            return Ok(Json::Array(elements));
        }
        loop {
            self.skip_blanks()?;
            // Unlike in an object, a missing element is a null, also after the last comma.
            elements.push(match self.peek() {
                Some(b',' | b';' | b']') => Json::Null,
                _ => self.value(depth)?,
            });
            self.skip_blanks()?;
            match self.peek() {
                None => return self.fail("the array is not closed"),
                Some(b']') => {
                    self.at += 1;
                    return Ok(Json::Array(elements));
                }
                Some(b',' | b';') => self.at += 1,
                Some(_) => return self.fail("expected ',' or ']'"),
            }
        }
    }

    /// Takes the unquoted text up to the next byte with a meaning of its own; quotes inside have none.
    fn literal(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(ends_literal).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// Takes a quoted text. Raw line breaks and control characters in it are accepted.
    fn quoted(&mut self, quote: u8) -> Result<String, Malformed> {
        self.at += 1;
        let quote = char::from(quote);
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let Some(plain) = rest.find([quote, '\\']) else {
                return self.fail("the text in quotes is not closed");
            };
            text.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain + 1;
            if !rest.get(plain..).unwrap_or_default().starts_with('\\') {
                return Ok(text);
            }
            text.push(self.escape()?);
        }
    }

    /// Takes what follows a backslash.
    fn escape(&mut self) -> Result<char, Malformed> {
        let plain = match self.peek() {
            Some(b'u') => {
                self.at += 1;
                return self.unicode();
            }
            Some(b't') => '\t',
            Some(b'b') => '\u{8}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b'f') => '\u{c}',
            Some(same @ (b'\n' | b'\'' | b'"' | b'\\' | b'/')) => char::from(same),
            _ => return self.fail("unknown escape after a backslash"),
        };
        self.at += 1;
        Ok(plain)
    }

    /// Takes the digits of a `\u` escape, and a second escape when the two form one character.
    ///
    /// Half a pair has no meaning in UTF-8 and becomes U+FFFD, so such a text matches no stored name.
    fn unicode(&mut self) -> Result<char, Malformed> {
        let first = self.hex4()?;
        let before_second = self.at;
        if (0xD800..0xDC00).contains(&first) && self.eat("\\u") {
            let second = self.hex4()?;
            if (0xDC00..0xE000).contains(&second) {
                let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = before_second;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&mut self) -> Result<u32, Malformed> {
        let digits = self.rest().get(..4).unwrap_or_default();
        // The digits are checked one by one because from_str_radix would also take a sign.
        if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return self.fail("expected four hexadecimal digits after \\u");
        }
        let code = u32::from_str_radix(digits, 16).unwrap_or(0xFFFD);
        self.at += 4;
        Ok(code)
    }
}

fn ends_literal(c: char) -> bool {
    matches!(c, '/' | '\\' | ';' | '#' | '=' | '{' | '}' | '[' | ']' | ':' | ',')
        || matches!(c, ' ' | '\t' | '\u{c}' | '\r' | '\n')
}

/// Whether the literal is a number of standard JSON: no leading zeros, no plus sign, digits around the point.
fn is_number(literal: &str) -> bool {
    let rest = literal.strip_prefix('-').unwrap_or(literal);
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (rest, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = |text: &str| digits(text.strip_prefix(['+', '-']).unwrap_or(text));
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(unsigned)
}

#[cfg(test)]
#[path = "lenient_tests.rs"]
#[allow(clippy::unwrap_used)]
mod tests;
