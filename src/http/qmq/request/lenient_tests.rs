//! Tests of the lenient grammar, and that it keeps every standard document as it is.

use proptest::prelude::*;

use super::*;
use crate::codec::json::Reason;

fn object(members: &[(&str, Value)]) -> Value {
    Value::Map(members.iter().map(|(n, v)| (text(n), v.clone())).collect())
}

/// A word that is a number.
fn number(literal: &str) -> Value {
    assert!(is_number(literal), "{literal}");
    Value::Word(literal.to_owned())
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

/// A word that is no number.
fn bare(word: &str) -> Value {
    assert!(!is_number(word), "{word}");
    Value::Word(word.to_owned())
}

#[test]
fn accepts_what_gson_accepts() {
    let one = object(&[("a", number("1"))]);
    let two = object(&[("a", number("1")), ("b", bare("x"))]);
    let cases: Vec<(&str, Value)> = vec![
        ("{}", object(&[])),
        (" \t\r\n{ } ", object(&[])),
        ("{\"a\":1}", one.clone()),
        ("{'a':1}", one.clone()),
        ("{a:1}", one.clone()),
        ("{a=1}", one.clone()),
        ("{a=>1}", one.clone()),
        ("{a = 1;b=>x}", two.clone()),
        ("{a:1,b:x}", two),
        ("/* c */{// d\n a # e\r :1}#end", one.clone()),
        ("{a:1}//", one.clone()),
        (")]}'\n{a:1}", one.clone()),
        (" )]}'{a:1}", one.clone()),
        ("\u{feff}{a:1}", one),
        ("{a:1,a:2}", object(&[("a", number("1")), ("a", number("2"))])),
        ("{\"\":NULL}", object(&[("", Value::Null)])),
        ("[TRUE,False,null]", Value::List(vec![Value::Bool(true), Value::Bool(false), Value::Null])),
        ("[]", Value::List(vec![])),
        ("[1,]", Value::List(vec![number("1"), Value::Null])),
        ("[;]", Value::List(vec![Value::Null, Value::Null])),
        ("-0", number("-0")),
        ("1.50E-3", number("1.50E-3")),
        ("010", bare("010")),
        ("+1", bare("+1")),
        ("1.", bare("1.")),
        ("1e", bare("1e")),
        ("--1", bare("--1")),
        ("NaN", bare("NaN")),
        ("2024-05-20", bare("2024-05-20")),
        ("a\"b'c", bare("a\"b'c")),
        ("nullx", bare("nullx")),
        ("'a\"b\\'c'", text("a\"b'c")),
        ("\"l1\nl2\\\nl3\"", text("l1\nl2\nl3")),
        ("\"\\t\\b\\n\\r\\f\\/\\\\\\u4e3b\"", text("\t\u{8}\n\r\u{c}/\\主")),
        ("\"\\ud83d\\ude00\"", text("😀")),
        ("\"\\ud83dx\\ude00\"", text("\u{fffd}x\u{fffd}")),
        ("\"\\ud83d\\u0041\"", text("\u{fffd}A")),
        ("主题", bare("主题")),
    ];
    for (source, expected) in cases {
        assert_eq!(parse(source), Ok(expected), "{source}");
    }
}

#[test]
fn rejects_what_gson_rejects() {
    let cases = [
        ("", 0, "the text ends where a value is expected"),
        (" \n", 2, "the text ends where a value is expected"),
        ("{", 1, "the object is not closed"),
        ("{a", 2, "expected ':' after a member name"),
        ("{\"subject\":", 11, "the text ends where a value is expected"),
        ("{a:1", 4, "the object is not closed"),
        ("{a:1,}", 5, "expected a member name"),
        ("{a:1;}", 5, "expected a member name"),
        ("{,}", 1, "expected a member name"),
        ("{a:,b:1}", 3, "expected a value"),
        ("{a:1 b:2}", 5, "expected ',' or '}'"),
        ("{a:1}x", 5, "text after the end of the value"),
        ("{}{}", 2, "text after the end of the value"),
        ("[1", 2, "the array is not closed"),
        ("[1 2]", 3, "expected ',' or ']'"),
        ("\"abc", 1, "the text in quotes is not closed"),
        ("\"\\x\"", 2, "unknown escape after a backslash"),
        ("\"\\u12g4\"", 3, "expected four hexadecimal digits after \\u"),
        ("\"\\u+123\"", 3, "expected four hexadecimal digits after \\u"),
        ("/* x", 0, "the comment is not closed"),
        ("/", 0, "expected a value"),
        ("a/b", 1, "text after the end of the value"),
    ];
    for (source, offset, reason) in cases {
        let Malformed { offset: at, reason: why } = parse(source).unwrap_err();
        assert_eq!((at, why.to_string().as_str()), (offset, reason), "{source}");
    }
}

#[test]
fn bounds_the_depth() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(parse(&nested(MAX_DEPTH + 1)).unwrap_err().reason, Reason::TooDeep);
    assert!(parse(&"{a:[".repeat(100_000)).is_err());
}

fn standard() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::vec((any::<String>(), inner), 0..5)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

fn same(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(value) => number(&value.to_string()),
        serde_json::Value::String(value) => text(value),
        serde_json::Value::Array(values) => Value::List(values.iter().map(same).collect()),
        serde_json::Value::Object(members) => {
            Value::Map(members.iter().map(|(n, v)| (text(n), same(v))).collect())
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_answered(source in any::<String>(), noise in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = parse(&source);
        let _ = parse(&String::from_utf8_lossy(&noise));
    }

    #[test]
    fn any_almost_json_is_answered(source in "[{}\\[\\]:,;='\"#/*\\\\abu0-9 .eE+主\n-]{0,60}") {
        if let Err(malformed) = parse(&source) {
            prop_assert!(source.is_char_boundary(malformed.offset));
        }
    }

    #[test]
    fn standard_json_keeps_its_value(value in standard(), pretty in any::<bool>()) {
        let source = if pretty { format!("{value:#}") } else { value.to_string() };
        prop_assert_eq!(parse(&source), Ok(same(&value)));
    }
}
