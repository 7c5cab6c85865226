//! Tests of the tolerant JSON reader: what brokers write, each refusal, and properties over made values and noise.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn read(json: &str) -> Value {
    parse(json.as_bytes()).unwrap()
}

#[test]
fn unquoted_numeric_keys() {
    let value = read("{\"brokerAddrs\":{0:\"127.0.0.1:10911\",1:\"127.0.0.1:10921\"}}");
    let addresses = value.get("brokerAddrs").unwrap();
    assert_eq!(addresses.get("0").and_then(Value::as_str), Some("127.0.0.1:10911"));
    assert_eq!(addresses.entries()[1].0, Value::Integer(1));
    assert_eq!(read("{\"0\":3}").get("0").and_then(Value::as_i64), Some(3));
    assert_eq!(read("{-1:3}").entries()[0].0.as_i64(), Some(-1));
}

#[test]
fn objects_as_keys_also_inside_a_text() {
    let plain =
        read(r#"{"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"T"}:{"brokerOffset":5}}}"#);
    let quoted = read(
        r#"{"offsetTable":{"{\"topic\":\"T\",\"brokerName\":\"broker-a\",\"queueId\":0}":{"brokerOffset":5}}}"#,
    );
    for value in [plain, quoted] {
        let (key, progress) = &value.get("offsetTable").unwrap().entries()[0];
        let queue = reparsed(key);
        assert_eq!(queue.get("topic").and_then(Value::as_str), Some("T"));
        assert_eq!(queue.get("queueId").and_then(Value::as_i64), Some(0));
        assert_eq!(progress.get("brokerOffset").and_then(Value::as_i64), Some(5));
    }
    assert_eq!(*reparsed(&text("{half")), text("{half"));
    assert_eq!(*reparsed(&Value::Null), Value::Null);
}

#[test]
fn white_space_anywhere_and_single_quotes() {
    let value =
        read("\u{feff}\n{\t'it''s' :\r\n[ 1 ,\t2\n] , b_1.$ : { } }\n\n".replace("''", "\\'").as_str());
    assert_eq!(value.get("it's").unwrap().items(), [Value::Integer(1), Value::Integer(2)]);
    assert_eq!(value.get("b_1.$"), Some(&Value::Map(Vec::new())));
}

#[test]
fn numbers_truths_and_nothing() {
    let value = read("[0,-7,9223372036854775807,9223372036854775808,1.5,-2e3,true,false,null,NaN]");
    let expected = [
        Value::Integer(0),
        Value::Integer(-7),
        Value::Integer(i64::MAX),
        Value::Float(9_223_372_036_854_775_808.0),
        Value::Float(1.5),
        Value::Float(-2000.0),
        Value::Bool(true),
        Value::Bool(false),
        Value::Null,
        Value::Null,
    ];
    assert_eq!(value.items(), expected);
    assert_eq!(
        (text(" 12 ").as_i64(), text("x").as_i64(), Value::Float(1.0).as_i64()),
        (Some(12), None, None)
    );
    assert_eq!(
        (text("true").as_bool(), Value::Bool(false).as_bool(), text("1").as_bool()),
        (Some(true), Some(false), None)
    );
    assert_eq!(
        (Value::Null.get("a"), Value::Null.items().len(), Value::Integer(1).as_str()),
        (None, 0, None)
    );
}

#[test]
fn escapes_and_surrogates() {
    let value = read(r#""\b\f\n\r\t\v\0\"\'\\\/\u652f\ud83d\ude00\ud83dx\ud83d\u0041\ude00é""#);
    let expected = "\u{8}\u{c}\n\r\t\u{b}\0\"'\\/支\u{1f600}\u{fffd}x\u{fffd}A\u{fffd}é";
    assert_eq!(value.as_str(), Some(expected));
    assert_eq!(read("'tab\there'").as_str(), Some("tab\there"));
}

#[test]
fn references_read_as_nothing() {
    let value = read(r#"{"a":{"$ref":"$.b"},"b":{"$ref":"x","c":1}}"#);
    assert_eq!(value.get("a"), Some(&Value::Null));
    assert_eq!(value.get("b").unwrap().get("c"), Some(&Value::Integer(1)));
}

#[test]
fn the_last_of_equal_keys_counts() {
    let value = read(r#"{"a":1,0:2,"a":3,"0":4}"#);
    assert_eq!((value.get("a"), value.get("0")), (Some(&Value::Integer(3)), Some(&Value::Integer(4))));
    assert_eq!(value.entries().len(), 4);
}

#[test]
fn invalid_utf8_is_replaced() {
    assert_eq!(parse(b"{\"a\xff\":'\xe6'}").unwrap().entries(), [(text("a\u{fffd}"), text("\u{fffd}"))]);
}

#[test]
fn what_is_no_json_is_refused_with_its_place() {
    let missing = |expected, offset| Err(JsonError::Missing { expected, offset });
    for (json, error) in [
        ("", missing("value", 0)),
        ("\0\0\0", missing("value", 0)),
        ("{", missing("key", 1)),
        ("{\"a\"", missing("colon", 4)),
        ("{\"a\":}", missing("value", 5)),
        ("{\"a\":1 2", missing("comma or closing brace", 7)),
        ("{\"a\":1,}", missing("key", 7)),
        ("[1", missing("comma or closing bracket", 2)),
        ("[1,]", missing("value", 3)),
        ("\"abc", missing("closing quote", 4)),
        ("\"a\\q\"", missing("known escape", 2)),
        ("\"\\u12g4\"", missing("known escape", 1)),
        ("\"\\u+123\"", missing("known escape", 1)),
        ("1 1", missing("end of the text", 2)),
        ("inf", missing("value", 0)),
        ("1-2", missing("value", 0)),
    ] {
        assert_eq!(parse(json.as_bytes()), error, "{json}");
    }
}

#[test]
fn limits() {
    let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    assert!(parse(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(parse(&nested(MAX_DEPTH + 1)), Err(JsonError::TooDeep { offset: MAX_DEPTH }));
    let keys = "{".repeat(100_000);
    assert_eq!(parse(keys.as_bytes()), Err(JsonError::TooDeep { offset: MAX_DEPTH }));
    assert_eq!(parse(&vec![b' '; MAX_BYTES + 1]), Err(JsonError::TooLong(MAX_BYTES + 1)));
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Integer),
        (-1e6..1e6).prop_map(|number: f64| Value::Float(number.trunc() + 0.5)),
        ".{0,12}".prop_map(Value::Text),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let key =
            prop_oneof![".{0,8}".prop_map(Value::Text), any::<i64>().prop_map(Value::Integer), inner.clone()];
        let key = key.prop_map(|key| match key {
            Value::Map(_) | Value::Text(_) | Value::Integer(_) => key,
            _ => Value::Integer(0),
        });
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
            proptest::collection::vec((key, inner), 0..5).prop_map(Value::Map),
        ]
    })
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => out.push_str(&truth.to_string()),
        Value::Integer(number) => out.push_str(&number.to_string()),
        Value::Float(number) => out.push_str(&number.to_string()),
        Value::Word(word) => out.push_str(word),
        Value::Text(text) => {
            out.push('"');
            out.push_str(&text.replace('\\', "\\\\").replace('"', "\\\""));
            out.push('"');
        }
        Value::List(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                out.push_str(if n > 0 { "," } else { "" });
                write(item, out);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (n, (key, value)) in entries.iter().enumerate() {
                out.push_str(if n > 0 { " ,\n" } else { "" });
                write(key, out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(value in any_value()) {
        let mut json = String::new();
        write(&value, &mut json);
        prop_assert_eq!(parse(json.as_bytes()), Ok(value));
    }

    #[test]
    fn noise_never_panics(
        noise in proptest::collection::vec(any::<u8>(), 0..60),
        near in r#"[{}\[\]:,"'\\ud0a-f1é.$-]{0,60}"#,
    ) {
        let _ = parse(&noise);
        let _ = parse(near.as_bytes());
    }
}
