//! Taking one parameter out of the query string of a URL, decoded as a form would encode it.
//!
//! Only the wanted parameter is decoded strictly: what other parameters contain is not this API's concern. Nothing is
//! ever replaced or guessed: a value is either exactly the UTF-8 text that was sent, or refused.

use std::borrow::Cow;

/// A value that is not form-encoded UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parameter `{name}`: `{text}` is not URL-encoded UTF-8; encode the value, and a percent sign as %25")]
pub struct BadEncoding {
    /// The wanted parameter.
    pub name: String,
    /// The bad escape as written, or the bytes that are not UTF-8 as escapes.
    pub text: String,
}

/// The value of the first parameter called `name`, or `None` when there is none.
///
/// `raw_query` is what follows the `?`, still encoded. Names are compared decoded and case-sensitively. A parameter
/// with nothing after its name, or with no `=`, is the empty text.
///
/// # Errors
/// [`BadEncoding`] when the value has a bad percent escape or is not UTF-8.
pub fn parameter(raw_query: Option<&str>, name: &str) -> Result<Option<String>, BadEncoding> {
    for pair in raw_query.unwrap_or_default().split('&') {
        let (written, value) = pair.split_once('=').unwrap_or((pair, ""));
        // An empty pair is no parameter, and a name that cannot be decoded is not the wanted one.
        if pair.is_empty() || decode(written).ok().as_deref() != Some(name) {
            continue;
        }
        return match decode(value) {
            Ok(value) => Ok(Some(value)),
            Err(text) => Err(BadEncoding { name: name.to_owned(), text }),
        };
    }
    Ok(None)
}

/// Decodes `+` and percent escapes; the error is the offending text.
fn decode(encoded: &str) -> Result<String, String> {
    let plus_free: Cow<'_, str> =
        if encoded.contains('+') { encoded.replace('+', " ").into() } else { encoded.into() };
    let mut pieces = plus_free.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    // Counts through the text as sent, to quote a bad escape from there.
    let mut at = bytes.len();
    for piece in pieces {
        let Some(byte) = piece.get(..2).and_then(hex_byte) else {
            let quoted = encoded.get(at..).unwrap_or_default();
            return Err(quoted.chars().take(3).collect());
        };
        bytes.push(byte);
        bytes.extend_from_slice(piece.as_bytes().get(2..).unwrap_or_default());
        at += 1 + piece.len();
    }
    String::from_utf8(bytes).map_err(|error| {
        let problem = error.utf8_error();
        let bad = error.as_bytes().get(problem.valid_up_to()..).unwrap_or_default();
        // Without a length the text ends inside a character, which has four bytes at most.
        let length = problem.error_len().unwrap_or(bad.len());
        bad.iter().take(length).map(|byte| format!("%{byte:02X}")).collect()
    })
}

fn hex_byte(digits: &str) -> Option<u8> {
    // The digits are checked because from_str_radix would also take a sign.
    let hex = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    hex.then(|| u8::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn takes_the_first_of_the_name() {
        let cases = [
            ("", None),
            ("&&", None),
            ("q=a", Some("a")),
            ("x=1&q=a&q=b", Some("a")),
            ("q", Some("")),
            ("q=", Some("")),
            ("q=&q=b", Some("")),
            ("Q=a", None),
            ("%71=a", Some("a")),
            ("%zz=1&x=%zz&q=a", Some("a")),
            ("q=a=b", Some("a=b")),
            ("q=a;b", Some("a;b")),
            ("q=a&x=%zz", Some("a")),
            ("q={\"len\":+1}", Some("{\"len\": 1}")),
            ("q=%25RETRY%25a%2Bb%26%23", Some("%RETRY%a+b&#")),
            ("q=%7b%7D", Some("{}")),
            ("q=主%E9%A2%98", Some("主题")),
            ("q=%00", Some("\0")),
        ];
        for (query, expected) in cases {
            assert_eq!(parameter(Some(query), "q"), Ok(expected.map(str::to_owned)), "{query}");
        }
        assert_eq!(parameter(None, "q"), Ok(None));
    }

    #[test]
    fn quotes_what_is_bad() {
        let cases = [
            ("q=%zz", "%zz"),
            ("q=a+b%7", "%7"),
            ("q=%", "%"),
            ("q=%%41", "%%4"),
            ("q=%41%RETRY%25", "%RE"),
            ("q=%+1", "%+1"),
            ("q=%-1", "%-1"),
            ("q=%a题", "%a题"),
            ("q=%ff%fe", "%FF"),
            ("q=a%e4%b8", "%E4%B8"),
            ("q=%C3(", "%C3"),
            ("q=%ED%A0%80", "%ED"),
        ];
        for (query, text) in cases {
            let expected = BadEncoding { name: "q".to_owned(), text: text.to_owned() };
            assert_eq!(parameter(Some(query), "q"), Err(expected), "{query}");
        }
    }

    #[test]
    fn the_error_says_what_to_send() {
        let message = parameter(Some("backupQuery=%zz"), "backupQuery").err().map(|bad| bad.to_string());
        let expected = "parameter `backupQuery`: `%zz` is not URL-encoded UTF-8; encode the value, and a percent sign as %25";
        assert_eq!(message.as_deref(), Some(expected));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(query in any::<String>(), escapes in "[q=&%+0-9a-f主]{0,40}") {
            let _ = (parameter(Some(&query), "q"), parameter(Some(&escapes), "q"));
        }

        #[test]
        fn any_value_survives_encoding(name in ".+", value in any::<String>()) {
            let encode = |text: &str| text.bytes().map(|b| format!("%{b:02x}")).collect::<String>();
            let query = format!("x=1&{}={}&y", encode(&name), encode(&value));
            prop_assume!(name != "x");
            prop_assert_eq!(parameter(Some(&query), &name), Ok(Some(value)));
        }
    }
}
