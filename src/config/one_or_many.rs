//! Lists of sources that may also be a single source, so that variables of the usual form can set one. The sections
//! check the values themselves.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};

/// A list of sources, or one source alone. Errors never quote other texts, since they may contain a secret.
pub(super) fn one_or_many<'de, T, D>(from: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    from.deserialize_any(Sources(PhantomData))
}

struct Sources<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Sources<T> {
    type Value = Vec<T>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("one source or a list of them, such as [{name=\"east\", …}, {name=\"west\", …}]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, one: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(one)).map(|source| vec![source])
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Err(E::invalid_type(Unexpected::Other("a text (are all brackets and quotes closed?)"), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct One {
        port: u16,
    }

    fn read(text: &str) -> Result<Vec<One>, serde_json::Error> {
        one_or_many(&mut serde_json::Deserializer::from_str(text))
    }

    #[test]
    fn one_alone_is_a_list_of_one() {
        assert_eq!(read(r#"{"port": 1}"#).unwrap(), [One { port: 1 }]);
        assert_eq!(read(r#"[{"port": 1}, {"port": 2}]"#).unwrap(), [One { port: 1 }, One { port: 2 }]);
        assert_eq!(read("[]").unwrap(), []);
    }

    #[test]
    fn anything_else_is_an_error_that_does_not_repeat_a_text() {
        for wrong in ["5", "[5]", "true", "null", r#"{"port": 70000}"#] {
            read(wrong).unwrap_err();
        }
        let error = read(r#""[{port=1, secret=hidden}""#).unwrap_err().to_string();
        assert!(error.contains("brackets") && !error.contains("hidden"), "{error}");
    }
}
