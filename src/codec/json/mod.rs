//! Lenient JSON: one reader, and a [`Dialect`] for each writer whose JSON is not strict.
//!
//! All dialects have in common: strict JSON keeps its meaning; texts and names can stand in single quotes, names also
//! without quotes; line breaks and control characters can stand inside of quotes; half a surrogate pair becomes
//! U+FFFD; an object keeps its members in the order written, repeated names included; a separator before the end of an
//! object is refused, and so is text after the value. Everything else is a field of the dialect.
//!
//! Nothing here maps a value to a structure, limits the length of the text (the caller does) or writes JSON.

mod dialect;
mod reader;
mod value;

pub use dialect::Dialect;
pub use reader::{Malformed, Reason, read};
pub use value::Value;
