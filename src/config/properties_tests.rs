use proptest::prelude::*;

use super::*;

fn pairs(text: &str) -> Vec<(String, String)> {
    let properties = Properties::parse("x.properties", text.as_bytes()).unwrap();
    properties.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect()
}

fn error(bytes: &[u8]) -> String {
    Properties::parse("x.properties", bytes).unwrap_err().to_string()
}

#[test]
fn a_line_is_split_and_unescaped_as_java_does() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("", &[]),
        ("a=1\nb:2\nc 3", &[("a", "1"), ("b", "2"), ("c", "3")]),
        ("a = 1\r\nb\t:\t2\rc  3", &[("a", "1"), ("b", "2"), ("c", "3")]),
        ("  \t# no\n ! no \\\n\n \u{c} a=1", &[("a", "1")]),
        ("a", &[("a", "")]),
        ("a=", &[("a", "")]),
        ("=v", &[("", "v")]),
        ("a==1", &[("a", "=1")]),
        ("a : = 1", &[("a", "= 1")]),
        ("a=1 # kept  ", &[("a", "1 # kept  ")]),
        ("u=http://h:80/p", &[("u", "http://h:80/p")]),
        ("a\\ b\\=c\\:d=1", &[("a b=c:d", "1")]),
        ("a=\\t\\n\\r\\f\\\\\\q", &[("a", "\t\n\r\u{c}\\q")]),
        ("a=x\\\n   y\\\r\n\tz", &[("a", "xyz")]),
        ("a=x\\\\\nb=1", &[("a", "x\\"), ("b", "1")]),
        ("a=x\\\\\\\nb=1", &[("a", "x\\b=1")]),
        ("a=x\\\n\nb=1", &[("a", "x"), ("b", "1")]),
        ("a=x\\\n#y", &[("a", "x#y")]),
        ("a=x\\", &[("a", "x")]),
        ("\\\n\na=1", &[("a", "1")]),
        ("\\u0061=\\u4E2d\\uD83D\\uDE00", &[("a", "中😀")]),
        ("主题=值", &[("主题", "值")]),
        ("\u{feff}a=1", &[("a", "1")]),
        ("a=1\na=2", &[("a", "1"), ("a", "2")]),
    ];
    for (text, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        assert_eq!(pairs(text), expected, "{text:?}");
    }
}

#[test]
fn the_last_of_several_entries_counts_and_lines_are_known() {
    let properties = Properties::parse("x", b"#\na=1\n\nb=2\\\n  3\na=4").unwrap();
    assert_eq!(properties.get("a").map(|e| (e.value.as_str(), e.line)), Some(("4", 6)));
    assert_eq!(properties.get("b").map(|e| (e.value.as_str(), e.line)), Some(("23", 4)));
    assert_eq!(properties.get("c"), None);
}

#[test]
fn other_bytes_than_utf_8_are_latin_1() {
    let properties = Properties::parse("x", b"a=caf\xe9").unwrap();
    assert_eq!(properties.get("a").map(|e| e.value.as_str()), Some("café"));
}

#[test]
fn a_broken_escape_is_an_error_with_file_and_line() {
    for text in
        ["a=1\nb=\\u12", "a=1\nb=\\u00zz", "a=1\nb=\\ud800", "a=1\nb=\\ud800\\u0041", "\nb=\\udc00\\udc00"]
    {
        let error = error(text.as_bytes());
        assert!(error.contains("x.properties, line 2: \\u"), "{text:?}: {error}");
    }
}

#[test]
fn limits_are_errors() {
    assert!(error(&vec![b' '; MAX_BYTES + 1]).contains("larger than"));
    assert!(error("a=1\n".repeat(MAX_ENTRIES + 1).as_bytes()).contains("line 65537: more than"));
    assert!(error(format!("a={}", "x".repeat(MAX_LINE)).as_bytes()).contains("line 1: longer than"));
}

#[test]
fn many_joined_blank_lines_are_read_in_bounded_stack() {
    let text = "\\\n\n".repeat(MAX_BYTES / 3);
    assert_eq!(pairs(&text), []);
}

#[test]
fn a_missing_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = Properties::read(&dir.path().join("none.properties")).unwrap_err();
    assert!(matches!(&error, Error::Input { path, .. } if path.ends_with("none.properties")), "{error}");
}

/// Writes text so that every character that could mean something is escaped.
fn escaped(text: &str, unicode: bool) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\u{c}' => out.push_str("\\f"),
            ' ' | '#' | '!' | '=' | ':' | '\\' => out.extend(['\\', c]),
            c if unicode && !c.is_ascii() => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04X}"));
                }
            }
            c => out.push(c),
        }
    }
    out
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        entries in prop::collection::vec((any::<String>(), any::<String>()), 0..8),
        separator in prop::sample::select(vec!["=", ":", " = ", "\t:  ", "=\\\n  "]),
        end in prop::sample::select(vec!["\n", "\r\n", "\r", "\n\n# note\n"]),
        unicode: bool,
    ) {
        let mut text = String::from("# head\n");
        for (key, value) in &entries {
            let (key, value) = (escaped(key, unicode), escaped(value, unicode));
            text.push_str(&format!("{key}{separator}{value}{end}"));
        }
        prop_assert_eq!(pairs(&text), entries);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = Properties::parse("x", &bytes);
    }

    #[test]
    fn arbitrary_lines_never_panic(text in "[a\\\\u0dDcC8=: #!\r\n\t]{0,64}") {
        if let Ok(properties) = Properties::parse("x", text.as_bytes()) {
            let lines = text.split(['\r', '\n']).count();
            prop_assert!(properties.iter().all(|entry| entry.line >= 1 && entry.line <= lines));
        }
    }
}
