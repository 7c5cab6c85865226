//! A text that is never shown: not by `Debug`, not when it is serialized, not in errors of parsing it. Its memory is not
//! protected.

use std::fmt;

use serde::de::{self, Deserializer, Unexpected, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// Replaces a secret in every output.
pub(crate) const MASK: &str = "***";

/// A secret. It is serialized as `***`, so printed settings do not contain it.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// A secret with this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, only for signing.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(MASK)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        from.deserialize_any(Text)
    }
}

/// Accepts only texts. A number is refused, since its leading zeros are lost already. Errors do not contain the value,
/// unlike the library's own.
struct Text;

impl Text {
    fn refuse<E: de::Error>(&self, what: &str) -> Result<Secret, E> {
        Err(E::invalid_type(Unexpected::Other(what), self))
    }
}

impl Visitor<'_> for Text {
    type Value = Secret;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a text in quotes (in a variable: '\"…\"')")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Secret, E> {
        self.refuse("a boolean")
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Secret, E> {
        self.refuse("a number")
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<Secret, E> {
        self.refuse("a number")
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Secret, E> {
        self.refuse("a number")
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<Secret, E> {
        self.refuse("a number")
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Secret, E> {
        self.refuse("a number")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new("hidden");
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)), "*** Some(\n    ***,\n)");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"***\"");
        assert_eq!(secret.expose(), "hidden");
    }

    #[test]
    fn only_a_text_is_a_secret_and_errors_do_not_show_it() {
        assert_eq!(serde_json::from_str::<Secret>("\"007\"").unwrap().expose(), "007");
        for wrong in
            ["12345", "-12345", "1.2345", "1234567890123456789012345", "true", "[12345]", "{}", "null"]
        {
            let error = serde_json::from_str::<Secret>(wrong).unwrap_err().to_string();
            assert!(error.contains("a text in quotes") && !error.contains("2345"), "{wrong}: {error}");
        }
    }
}
