//! The tree that the reader makes.

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, and what else the dialect reads as nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that fits.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// An unquoted word whose characters matter, numbers included: as written.
    Word(String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// An object: names and values as they stand. A name is a text, a whole number or an object, and can occur twice.
    Map(Vec<(Value, Value)>),
}

impl Value {
    /// The member `name` of an object; the last one if there are several. A number as name is found by its digits.
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

    /// Names and values of an object in their order; none of anything else.
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
}
