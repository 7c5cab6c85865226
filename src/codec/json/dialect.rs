//! The rules in which dialects differ.

use super::value::Value;

/// The rules of one dialect.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// What can stand before the value: each at most once, in this order, with blanks after it.
    pub prefixes: &'static [&'static str],
    /// ASCII characters without meaning between all others.
    pub blanks: &'static [u8],
    /// Whether `/* */`, `//` and `#` begin comments, which count as blanks.
    pub comments: bool,
    /// ASCII characters that separate the elements of a list and the members of an object.
    pub separators: &'static [u8],
    /// What separates a name from its value. The first that fits is taken.
    pub colons: &'static [&'static str],
    /// Whether nothing where an element of a list is expected is a null, also after the last separator.
    pub gaps_are_null: bool,
    /// What can follow a backslash, and its meaning, beyond strict JSON and `'`.
    pub escapes: &'static [(char, char)],
    /// Whether an ASCII character ends an unquoted word; others never do.
    pub ends_word: fn(u8) -> bool,
    /// What an unquoted word means as a value; `None` if it is none. Keywords and numbers are such words.
    pub word: fn(&str) -> Option<Value>,
    /// What an unquoted word means as a name.
    pub name: fn(&str) -> Value,
    /// Whether a whole object can be a name.
    pub object_names: bool,
    /// An object whose only member has this name refers to another place of the text, and is read as null.
    pub reference: Option<&'static str>,
    /// The deepest nesting of lists and objects, those in names included. It protects the stack.
    pub max_depth: usize,
    /// Most values, names included. It limits the memory of a tree made from many tiny values.
    pub max_values: usize,
}
