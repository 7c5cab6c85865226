//! JSON as lenient as Gson's, the parser behind the original API.
//!
//! Beyond standard JSON it accepts unquoted names and values, single quotes, `=` or `=>` for `:`, `;` for `,`,
//! comments (`/* */`, `//`, `#`), keywords in any case, gaps in arrays (read as null), and a leading `)]}'` guard.
//! It rejects what the original rejects: a trailing comma in an object, text after the first complete value, cut-off
//! or empty text.
//!
//! It never converts numbers (their literal is kept) and never merges repeated members. Bounding the length of the text
//! is the caller's job.

use crate::codec::json::{Dialect, Malformed, Value, read};

/// The deepest nesting of arrays and objects that is read; deeper text is malformed.
///
/// Requests are flat objects. The bound keeps hostile text from exhausting the stack.
pub const MAX_DEPTH: usize = 64;

/// What `Gson.fromJson` takes, as the original calls it: a `JsonReader` in lenient mode (Gson 2.8, and 2.10 in the
/// recorded answers). Names are always texts.
const GSON: Dialect = Dialect {
    // The guard keeps a browser from running the text as a script; Gson expects a line feed after it, which is blank
    // here and therefore optional.
    prefixes: &["\u{feff}", ")]}'"],
    blanks: b" \t\r\n",
    comments: true,
    separators: b",;",
    colons: &[":", "=>", "="],
    gaps_are_null: true,
    escapes: &[('\n', '\n')],
    ends_word: |c| b"/\\;#={}[]:, \t\x0c\r\n".contains(&c),
    word: |word| Some(value(word)),
    name: |word| Value::Text(word.to_owned()),
    object_names: false,
    reference: None,
    max_depth: MAX_DEPTH,
    // The length of a request bounds them.
    max_values: usize::MAX,
};

/// Reads `text` as exactly one value. Half a surrogate pair becomes U+FFFD, so such a text matches no stored name.
///
/// # Errors
/// [`Malformed`] with the place and the reason when the text is empty, cut off, nested too deeply, followed by further
/// text, or breaks the lenient grammar.
pub fn parse(text: &str) -> Result<Value, Malformed> {
    read(text, &GSON)
}

fn value(word: &str) -> Value {
    match word {
        _ if word.eq_ignore_ascii_case("null") => Value::Null,
        _ if word.eq_ignore_ascii_case("true") => Value::Bool(true),
        _ if word.eq_ignore_ascii_case("false") => Value::Bool(false),
        _ => Value::Word(word.to_owned()),
    }
}

/// Whether a word is a number of standard JSON: no leading zeros, no plus sign, digits around the point.
pub(super) fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        && serde_json::from_str::<serde::de::IgnoredAny>(word).is_ok()
}

#[cfg(test)]
#[path = "lenient_tests.rs"]
#[allow(clippy::unwrap_used)]
mod tests;
