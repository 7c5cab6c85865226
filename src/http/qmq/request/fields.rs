//! Conversions from one JSON value to one typed field, with the tolerance of the original's Gson adapters.
//!
//! Each conversion returns `Ok(None)` for null, a value, or a reason that names what was sent and what to send. Which
//! member of an object is meant, and what a null does to a default, is decided by the caller; nothing here reads
//! names.

use chrono_tz::Tz;

use super::date::parse_date_ms;
use super::lenient::is_number;
use crate::codec::json::Value;

/// What a date field takes, for the reason of a refusal.
const DATE_HINT: &str =
    "not a date; use 2019-06-03T15:42:39+08:00, 2019-06-03 15:42:39 or epoch milliseconds";

/// A text field: texts as they are, numbers and booleans as their literal.
pub(super) fn text(value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Text(text) | Value::Word(text) => Ok(Some(text.clone())),
        Value::Bool(flag) => Ok(Some(flag.to_string())),
        _ => Err(format!("{} is not a text; send a text in quotes", shown(value))),
    }
}

/// A 32-bit field: a whole number, also in quotes or written as `2.0` or `1e0`.
pub(super) fn int(value: &Value) -> Result<Option<i32>, String> {
    let converted = match literal(value) {
        None => return null_or(value, "a whole number"),
        Some(literal) => literal.parse().ok().or_else(|| {
            let wide = decimal(literal)?;
            // The cast saturates and drops fractions; comparing afterwards finds both.
            let narrow = wide as i32;
            (f64::from(narrow) == wide).then_some(narrow)
        }),
    };
    let refused = || format!("{} is not a whole number from {} to {}", shown(value), i32::MIN, i32::MAX);
    converted.map(Some).ok_or_else(refused)
}

/// A 64-bit field: as [`int`]; a number that rounds to 2^63 as a double is read as the largest value.
pub(super) fn long(value: &Value) -> Result<Option<i64>, String> {
    let converted = match literal(value) {
        None => return null_or(value, "a whole number"),
        Some(literal) => literal.parse().ok().or_else(|| {
            let wide = decimal(literal)?;
            let narrow = wide as i64;
            (narrow as f64 == wide).then_some(narrow)
        }),
    };
    let refused = || format!("{} is not a whole number from {} to {}", shown(value), i64::MIN, i64::MAX);
    converted.map(Some).ok_or_else(refused)
}

/// A yes/no field: a boolean, or a text, which is true only when it is `true` in any case.
pub(super) fn boolean(value: &Value) -> Result<Option<bool>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(*flag)),
        Value::Text(text) => Ok(Some(text.eq_ignore_ascii_case("true"))),
        Value::Word(word) if !is_number(word) => Ok(Some(word.eq_ignore_ascii_case("true"))),
        _ => Err(format!("{} is not a boolean; use true or false", shown(value))),
    }
}

/// A date field in epoch milliseconds; texts without a zone are read in `zone`.
pub(super) fn date(value: &Value, zone: Tz) -> Result<Option<i64>, String> {
    match literal(value) {
        None if *value == Value::Null => Ok(None),
        None => Err(format!("{} is {DATE_HINT}", shown(value))),
        Some(literal) => match parse_date_ms(literal, zone) {
            Some(epoch_ms) => Ok(Some(epoch_ms)),
            None => Err(format!("{} is {DATE_HINT}", shown(value))),
        },
    }
}

/// The text behind a value that Gson can read as a text or a number.
fn literal(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) | Value::Word(text) => Some(text),
        _ => None,
    }
}

fn null_or<T>(value: &Value, wanted: &str) -> Result<Option<T>, String> {
    match value {
        Value::Null => Ok(None),
        _ => Err(format!("{} is not {wanted}", shown(value))),
    }
}

/// A decimal number, blanks around it allowed. Words such as `NaN` are no numbers here.
fn decimal(literal: &str) -> Option<f64> {
    let literal = literal.trim_matches(|c: char| c.is_ascii_whitespace());
    let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
    literal.bytes().all(plain).then(|| literal.parse().ok())?
}

/// The value for a reason, cut short so that a long text does not come back.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 40;
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::List(_) => "an array".to_owned(),
        Value::Map(_) => "an object".to_owned(),
        Value::Text(text) | Value::Word(text) => {
            let mut start: String = text.chars().take(LONGEST).collect();
            if start.len() < text.len() {
                start.push('…');
            }
            if matches!(value, Value::Text(_)) { format!("{start:?}") } else { start }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::qmq::request::lenient::parse;
    use proptest::prelude::*;

    /// Reads `source` and converts it; the reason is dropped.
    fn via<T>(source: &str, convert: impl Fn(&Value) -> Result<Option<T>, String>) -> Result<Option<T>, ()> {
        convert(&parse(source).map_err(|_| ())?).map_err(|_| ())
    }

    #[test]
    fn texts() {
        let cases = [
            ("null", Ok(None)),
            ("''", Ok(Some(""))),
            ("\"a\"", Ok(Some("a"))),
            ("abc", Ok(Some("abc"))),
            ("123", Ok(Some("123"))),
            ("1.50", Ok(Some("1.50"))),
            ("TRUE", Ok(Some("true"))),
            ("{}", Err(())),
            ("[]", Err(())),
        ];
        for (source, expected) in cases {
            assert_eq!(via(source, text), expected.map(|t| t.map(str::to_owned)), "{source}");
        }
    }

    type Converted = Result<Option<i64>, ()>;

    #[test]
    fn whole_numbers() {
        let max = i64::from(i32::MAX);
        // source, as 32 bits, as 64 bits
        let cases: &[(&str, Converted, Converted)] = &[
            ("null", Ok(None), Ok(None)),
            ("2", Ok(Some(2)), Ok(Some(2))),
            ("-2", Ok(Some(-2)), Ok(Some(-2))),
            ("-0", Ok(Some(0)), Ok(Some(0))),
            ("\"2\"", Ok(Some(2)), Ok(Some(2))),
            ("'2.0'", Ok(Some(2)), Ok(Some(2))),
            ("' 2 '", Ok(Some(2)), Ok(Some(2))),
            ("2.0", Ok(Some(2)), Ok(Some(2))),
            ("1e0", Ok(Some(1)), Ok(Some(1))),
            ("010", Ok(Some(10)), Ok(Some(10))),
            ("+3", Ok(Some(3)), Ok(Some(3))),
            ("'+3'", Ok(Some(3)), Ok(Some(3))),
            ("2147483647", Ok(Some(max)), Ok(Some(max))),
            ("2147483648", Err(()), Ok(Some(max + 1))),
            ("1e18", Err(()), Ok(Some(1_000_000_000_000_000_000))),
            ("9223372036854775807", Err(()), Ok(Some(i64::MAX))),
            ("9223372036854775808", Err(()), Ok(Some(i64::MAX))),
            ("'-9223372036854775808'", Err(()), Ok(Some(i64::MIN))),
            ("9223372036854779999", Err(()), Err(())),
            ("1e999", Err(()), Err(())),
            ("2.5", Err(()), Err(())),
            ("''", Err(()), Err(())),
            ("' '", Err(()), Err(())),
            ("abc", Err(()), Err(())),
            ("'0x2'", Err(()), Err(())),
            ("true", Err(()), Err(())),
            ("NaN", Err(()), Err(())),
            ("inf", Err(()), Err(())),
            ("[2]", Err(()), Err(())),
            ("{}", Err(()), Err(())),
        ];
        for (source, as_int, as_long) in cases {
            assert_eq!(via(source, int).map(|v| v.map(i64::from)), *as_int, "{source} as int");
            assert_eq!(via(source, long), *as_long, "{source} as long");
        }
    }

    #[test]
    fn booleans() {
        let cases = [
            ("null", Ok(None)),
            ("true", Ok(Some(true))),
            ("FALSE", Ok(Some(false))),
            ("\"TRUE\"", Ok(Some(true))),
            ("\"yes\"", Ok(Some(false))),
            ("yes", Ok(Some(false))),
            ("\"1\"", Ok(Some(false))),
            ("1", Err(())),
            ("0", Err(())),
            ("[]", Err(())),
        ];
        for (source, expected) in cases {
            assert_eq!(via(source, boolean), expected, "{source}");
        }
    }

    #[test]
    fn dates() {
        let cases = [
            ("null", Ok(None)),
            ("'1970-01-02'", Ok(Some(86_400_000))),
            ("19700102", Ok(Some(86_400_000))),
            ("1970-01-02", Ok(Some(86_400_000))),
            ("1716134400000", Ok(Some(1_716_134_400_000))),
            ("''", Err(())),
            ("true", Err(())),
            ("[]", Err(())),
            ("{}", Err(())),
        ];
        for (source, expected) in cases {
            assert_eq!(via(source, |value| date(value, Tz::UTC)), expected, "{source}");
        }
    }

    #[test]
    fn reasons_say_what_to_send() {
        let long_text = Value::Text("x".repeat(1000));
        let cases = [
            (
                int(&Value::Text("abc".to_owned())).err(),
                "\"abc\" is not a whole number from -2147483648 to 2147483647",
            ),
            (boolean(&Value::Word("1".to_owned())).err(), "1 is not a boolean; use true or false"),
            (text(&Value::Map(vec![])).err(), "an object is not a text; send a text in quotes"),
            (
                date(&Value::Word("now".to_owned()), Tz::UTC).err(),
                "now is not a date; use 2019-06-03T15:42:39+08:00, 2019-06-03 15:42:39 or epoch milliseconds",
            ),
        ];
        for (reason, expected) in cases {
            assert_eq!(reason.as_deref(), Some(expected));
        }
        assert!(long(&long_text).is_err_and(|reason| reason.len() < 150));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(source in any::<String>()) {
            for value in [Value::Text(source.clone()), Value::Word(source)] {
                let _ = (text(&value), int(&value), long(&value), boolean(&value), date(&value, Tz::Asia__Shanghai));
            }
        }

        #[test]
        fn numbers_keep_their_value(number in any::<i64>(), small in any::<i32>()) {
            prop_assert_eq!(long(&Value::Word(number.to_string())), Ok(Some(number)));
            prop_assert_eq!(int(&Value::Text(format!("{small}.0"))), Ok(Some(small)));
        }
    }
}
