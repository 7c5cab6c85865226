//! JSON as fastjson writes it: bare numbers and whole objects as keys of maps. Also reads files of that kind.
//!
//! Values are texts of JSON already. The tables that need no such keys are made with serde_json.

use serde_json::Value;

/// The member that tables with a version have.
pub(super) const DATA_VERSION: &str =
    r#""dataVersion":{"counter":1,"stateVersion":0,"timestamp":1700000000000}"#;

/// A text in quotes.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A map of keys and values that are JSON, or a number as key.
pub(super) fn map<K: AsRef<str>, V: AsRef<str>>(rows: impl IntoIterator<Item = (K, V)>) -> String {
    let rows: Vec<_> =
        rows.into_iter().map(|(key, value)| format!("{}:{}", key.as_ref(), value.as_ref())).collect();
    format!("{{{}}}", rows.join(","))
}

/// A list of texts.
pub(super) fn list<'a>(texts: impl IntoIterator<Item = &'a String>) -> String {
    let texts: Vec<_> = texts.into_iter().map(|text| quoted(text)).collect();
    format!("[{}]", texts.join(","))
}

/// A queue as key of a map.
pub(super) fn queue_key(topic: &str, broker: &str, queue: i32) -> String {
    format!(r#"{{"brokerName":{},"queueId":{queue},"topic":{}}}"#, quoted(broker), quoted(topic))
}

/// The same JSON in ASCII.
pub(super) fn ascii(json: &str) -> String {
    let mut out = String::new();
    for character in json.chars() {
        if character.is_ascii() {
            out.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                out += &format!("\\u{unit:04X}");
            }
        }
    }
    out
}

/// Reads JSON that may have bare numbers as keys.
pub(super) fn read(text: &str) -> Value {
    let mut strict = String::new();
    let mut chars = text.chars().peekable();
    // Last character outside of texts that is no white space.
    let mut before = ' ';
    while let Some(character) = chars.next() {
        if character == '"' {
            strict.push('"');
            while let Some(inner) = chars.next() {
                strict.push(inner);
                match inner {
                    '\\' => strict.extend(chars.next()),
                    '"' => break,
                    _ => {}
                }
            }
            before = '"';
            continue;
        }
        if matches!(before, '{' | ',') && (character.is_ascii_digit() || character == '-') {
            let mut number = String::from(character);
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                number.push(digit);
            }
            while chars.next_if(|next| next.is_whitespace()).is_some() {}
            let key = chars.peek() == Some(&':');
            strict += &if key { format!("\"{number}\"") } else { number };
            before = '0';
            continue;
        }
        strict.push(character);
        if !character.is_whitespace() {
            before = character;
        }
    }
    serde_json::from_str(&strict).expect("JSON of a broker")
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
