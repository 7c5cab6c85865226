//! Bounds that sections share, and the exact text form of a size. Nothing here reads a file or a variable.

use std::ops::RangeInclusive;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Serializer;

use crate::error::{Error, Result};

/// Longest time of a setting for which something waits: a longer one is certainly a mistaken unit.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// An error unless `value` of the setting `name` lies in `range`.
pub(super) fn duration(name: &str, value: Duration, range: RangeInclusive<Duration>) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    let show = humantime::format_duration;
    Err(Error::Config(format!(
        "{name} is {}; it must be between {} and {}",
        show(value),
        show(*range.start()),
        show(*range.end())
    )))
}

/// An error unless `value` of the setting `name` lies in `range`.
pub(super) fn size(name: &str, value: ByteSize, range: RangeInclusive<ByteSize>) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(Error::Config(format!(
        "{name} is {}; it must be between {} and {}",
        exact(value),
        exact(*range.start()),
        exact(*range.end())
    )))
}

/// An error if `value` of the setting `name` is below 1.
pub(super) fn positive(name: &str, value: usize) -> Result<()> {
    match value {
        0 => Err(Error::Config(format!("{name} must be at least 1"))),
        _ => Ok(()),
    }
}

/// An error unless `text` of the setting `name` has 1 to `longest` bytes, without spaces and control characters.
pub(super) fn name(name: &str, text: &str, longest: usize) -> Result<()> {
    if text.is_empty() || text.len() > longest {
        return Err(Error::Config(format!("{name} must have 1 to {longest} bytes")));
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Error::Config(format!("{name} must not contain spaces or control characters")));
    }
    Ok(())
}

/// Serializes a size without loss: `ByteSize` itself rounds to one decimal place.
pub(super) fn exact_size<S: Serializer>(size: &ByteSize, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&exact(*size))
}

/// The size in the largest binary unit that divides it: `64MiB`, `1500001B`.
fn exact(size: ByteSize) -> String {
    let bytes = size.as_u64();
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (unit, shift) in units {
        let whole = bytes >> shift;
        if whole > 0 && whole << shift == bytes {
            return format!("{whole}{unit}");
        }
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_size_reads_back_as_the_same() {
        let cases = [
            (0, "0B"),
            (1, "1B"),
            (1024, "1KiB"),
            (1_500_001, "1500001B"),
            (64 << 20, "64MiB"),
            (1536 << 20, "1536MiB"),
            (3 << 40, "3TiB"),
            (u64::MAX, "18446744073709551615B"),
        ];
        for (bytes, text) in cases {
            assert_eq!(exact(ByteSize(bytes)), text);
            if bytes < 1 << 53 {
                assert_eq!(text.parse::<ByteSize>().unwrap().as_u64(), bytes);
            }
        }
    }

    #[test]
    fn a_value_outside_its_bounds_is_named_with_them() {
        let second = Duration::from_secs(1);
        let error = duration("follow.x", Duration::ZERO, second..=LONGEST).unwrap_err().to_string();
        assert_eq!(error, "configuration: follow.x is 0s; it must be between 1s and 1day");
        let error =
            size("follow.y", ByteSize(3), ByteSize::kib(1)..=ByteSize::gib(1)).unwrap_err().to_string();
        assert_eq!(error, "configuration: follow.y is 3B; it must be between 1KiB and 1GiB");
    }
}
