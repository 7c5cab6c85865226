//! Tests of what each rule of a dialect does, and that no text makes the reader panic, whatever the dialect.

use proptest::prelude::*;

use super::*;

/// Nothing beyond strict JSON but words and single quotes.
const STRICT: Dialect = Dialect {
    prefixes: &[],
    blanks: b" \n",
    comments: false,
    separators: b",",
    colons: &[":"],
    gaps_are_null: false,
    escapes: &[],
    ends_word: |c| b" \t\n,;:={}[]#/".contains(&c),
    word: |word| if word == "bad" { None } else { Some(Value::Word(word.to_owned())) },
    name: |word| Value::Text(word.to_owned()),
    object_names: false,
    reference: None,
    max_depth: 3,
    max_values: 8,
};

const LENIENT: Dialect = Dialect {
    prefixes: &["é", "!"],
    blanks: b" \t",
    comments: true,
    separators: b",;",
    colons: &[":", "=>"],
    gaps_are_null: true,
    escapes: &[('é', 'e'), ('0', '\0')],
    object_names: true,
    reference: Some("at"),
    ..STRICT
};

fn word(word: &str) -> Value {
    Value::Word(word.to_owned())
}

fn map(name: &str, value: Value) -> Value {
    Value::Map(vec![(Value::Text(name.to_owned()), value)])
}

#[test]
fn each_rule_is_taken_by_its_dialect_alone() {
    let list = |items: &[Value]| Value::List(items.to_vec());
    let cases = [
        ("é ! 1", word("1"), (3, Reason::TextAfter)),
        ("\t1", word("1"), (0, Reason::NoValue)),
        ("/*\n*/1#x", word("1"), (0, Reason::NoValue)),
        ("[1;2]", list(&[word("1"), word("2")]), (2, Reason::NoElementEnd)),
        ("{a=>1}", map("a", word("1")), (2, Reason::NoColon)),
        ("[,1,]", list(&[Value::Null, word("1"), Value::Null]), (1, Reason::NoValue)),
        ("'\\é'", Value::Text("e".to_owned()), (2, Reason::UnknownEscape)),
        ("{{}:1}", Value::Map(vec![(Value::Map(vec![]), word("1"))]), (1, Reason::NoName)),
    ];
    for (text, expected, (offset, reason)) in cases {
        assert_eq!(read(text, &LENIENT), Ok(expected), "{text}");
        assert_eq!(read(text, &STRICT), Err(Malformed { offset, reason }), "{text}");
    }
    assert_eq!(read("{'at':1}", &LENIENT), Ok(Value::Null));
    assert_eq!(read("{'at':1}", &STRICT), Ok(map("at", word("1"))));
    assert_eq!(read("bad", &STRICT).unwrap_err().to_string(), "not valid JSON at byte 0: expected a value");
}

#[test]
fn limits() {
    let refused = |text: &str| read(text, &LENIENT).unwrap_err();
    assert!(read("[[{}]]", &LENIENT).is_ok());
    for (text, offset) in [("[[[[]]]]", 3), ("{{{{", 3), ("{a:[{b:[", 7)] {
        assert_eq!(refused(text), Malformed { offset, reason: Reason::TooDeep }, "{text}");
    }
    assert!(read("[1,2,3,4,5,6,7]", &LENIENT).is_ok());
    for text in ["[1,2,3,4,5,6,7,8]", "[,,,,,,,]", "{a:1,b:2,c:3,d:4}"] {
        assert_eq!(refused(text).reason, Reason::TooManyValues, "{text}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_answered(
        noise in prop::collection::vec(any::<u8>(), 0..60),
        near in "[{}\\[\\]:,;=>'\"#/*!\\\\u0adé \t\n-]{0,60}",
    ) {
        for text in [&*String::from_utf8_lossy(&noise), &near] {
            for dialect in [STRICT, LENIENT] {
                let generous = Dialect { max_depth: 20, max_values: usize::MAX, ..dialect };
                for dialect in [dialect, generous] {
                    if let Err(malformed) = read(text, &dialect) {
                        prop_assert!(text.is_char_boundary(malformed.offset), "{malformed} in {text:?}");
                    }
                }
            }
        }
    }
}
