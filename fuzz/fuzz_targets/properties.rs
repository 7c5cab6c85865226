//! Reads arbitrary bytes as a `.properties` file; what was read is written out with escapes and read again.
#![no_main]

use std::fmt::Write;

use libfuzzer_sys::fuzz_target;
use mqlake_fuzz::config::properties::{MAX_LINE, Properties};

/// Every character as an escape, so that none has a meaning of its own.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for unit in text.encode_utf16() {
        let _ = write!(out, "\\u{unit:04x}");
    }
    out
}

fuzz_target!(|data: &[u8]| {
    let Ok(read) = Properties::parse("fuzz.properties", data) else { return };
    let entries: Vec<_> = read.iter().collect();
    let lines = data.iter().filter(|byte| matches!(byte, b'\r' | b'\n')).count() + 1;
    assert!(entries.iter().all(|entry| (1..=lines).contains(&entry.line)));
    assert!(entries.is_sorted_by(|a, b| a.line < b.line));
    for entry in &entries {
        let last = entries.iter().rev().find(|other| other.key == entry.key);
        assert_eq!(read.get(&entry.key), last.copied());
    }

    let again: Vec<String> =
        entries.iter().map(|entry| format!("{}={}", escaped(&entry.key), escaped(&entry.value))).collect();
    if again.iter().any(|line| line.len() > MAX_LINE) {
        return;
    }
    let again = Properties::parse("again.properties", again.join("\n").as_bytes()).expect("escapes are read");
    let pairs = |properties: &Properties| -> Vec<(String, String)> {
        properties.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect()
    };
    assert_eq!(pairs(&again), pairs(&read));
});
