//! Parameters of `/api/v1`: each once, known by name, with an error that names the field.

use chrono::{DateTime, NaiveDateTime, TimeZone};
use chrono_tz::Tz;

use super::refusal::Refusal;

/// Most bytes of one value.
const MAX_VALUE_BYTES: usize = 4096;

/// The parameters of one request; those taken are no longer in it.
#[derive(Debug, Default)]
pub(super) struct Params {
    left: Vec<(String, String)>,
}

impl Params {
    /// Parses the query part of a URL.
    pub(super) fn parse(query: Option<&str>) -> Result<Params, Refusal> {
        let mut params = Params::default();
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if value.len() > MAX_VALUE_BYTES {
                return Err(Refusal::field(&name, format!("is longer than {MAX_VALUE_BYTES} bytes")));
            }
            if params.left.iter().any(|(known, _)| *known == name) {
                return Err(Refusal::field(&name, "is given twice"));
            }
            params.left.push((name.into_owned(), value.into_owned()));
        }
        Ok(params)
    }

    /// A value, if it is given and not empty.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let place = self.left.iter().position(|(known, _)| known == name)?;
        Some(self.left.swap_remove(place).1).filter(|value| !value.is_empty())
    }

    /// Gives a value for the route that answers on behalf of another.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.left.retain(|(known, _)| known != name);
        self.left.push((name.to_owned(), value.to_owned()));
    }

    /// A value that must be given.
    pub(super) fn required(&mut self, name: &str) -> Result<String, Refusal> {
        self.text(name).ok_or_else(|| Refusal::field(name, "is missing"))
    }

    /// A time in epoch milliseconds: a number of them, ISO 8601, or `yyyyMMddHHmmss`; without an offset of its own in
    /// the server's zone.
    pub(super) fn time(&mut self, name: &str, zone: Tz) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match parse_time(text.trim(), zone) {
            Some(time) => Ok(Some(time)),
            None => Err(Refusal::field(
                name,
                "is no time: epoch milliseconds, ISO 8601 (2026-11-21T08:00:00+08:00) or yyyyMMddHHmmss",
            )),
        }
    }

    /// A number between bounds, both included.
    pub(super) fn number(&mut self, name: &str, least: usize, most: usize) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(Refusal::field(name, format!("must be a number between {least} and {most}"))),
        }
    }

    /// One of some words; the first if it is not given.
    pub(super) fn word<'w>(&mut self, name: &str, words: &[&'w str]) -> Result<&'w str, Refusal> {
        let first = words.first().copied().unwrap_or_default();
        let Some(text) = self.text(name) else { return Ok(first) };
        let found = words.iter().find(|word| word.eq_ignore_ascii_case(&text));
        found.copied().ok_or_else(|| Refusal::field(name, format!("must be one of {}", words.join(", "))))
    }

    /// Refuses what no route takes.
    pub(super) fn end(self) -> Result<(), Refusal> {
        match self.left.into_iter().next() {
            Some((name, _)) => Err(Refusal::field(&name, "is not a parameter of this route")),
            None => Ok(()),
        }
    }
}

/// A time as requests write it.
pub(super) fn parse_time(text: &str, zone: Tz) -> Option<i64> {
    let is_number = text.strip_prefix('-').unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit());
    if is_number && text.len() != 14 {
        return text.parse().ok();
    }
    if is_number {
        return local(NaiveDateTime::parse_from_str(text, "%Y%m%d%H%M%S").ok()?, zone);
    }
    // in a URL a plus sign that is not escaped arrives as a space
    let text = text.replace(' ', if text.contains('T') { "+" } else { "T" });
    if let Ok(time) = DateTime::parse_from_rfc3339(&text) {
        return Some(time.timestamp_millis());
    }
    let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    if let Some(time) = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(&text, form).ok()) {
        return local(time, zone);
    }
    local(chrono::NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0)?, zone)
}

fn local(time: NaiveDateTime, zone: Tz) -> Option<i64> {
    let local = zone.from_local_datetime(&time);
    Some(local.earliest().or_else(|| local.latest())?.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_every_form() {
        let zone = chrono_tz::Asia::Shanghai;
        for (text, time) in [
            ("1647435997810", 1_647_435_997_810),
            ("0", 0),
            ("-1", -1),
            ("20220316210637", 1_647_435_997_000),
            ("2022-03-16T21:06:37.810+08:00", 1_647_435_997_810),
            ("2022-03-16T21:06:37.810 08:00", 1_647_435_997_810),
            ("2022-03-16T13:06:37.810Z", 1_647_435_997_810),
            ("2022-03-16T21:06:37", 1_647_435_997_000),
            ("2022-03-16 21:06:37", 1_647_435_997_000),
            ("2022-03-16", 1_647_360_000_000),
        ] {
            assert_eq!(parse_time(text, zone), Some(time), "{text}");
        }
        for text in ["", "yesterday", "20221316210637", "2022-03-16T25:00:00Z", "1e9"] {
            assert_eq!(parse_time(text, zone), None, "{text}");
        }
    }

    #[test]
    fn a_parameter_is_known_and_given_once() {
        let mut params = Params::parse(Some("topic=a&limit=5")).unwrap();
        assert_eq!(params.text("topic").as_deref(), Some("a"));
        assert_eq!(params.number("limit", 1, 10).unwrap(), Some(5));
        assert!(params.end().is_ok());
        assert!(Params::parse(Some("a=1&a=2")).is_err());
        assert!(Params::parse(Some("what=1")).unwrap().end().is_err());
    }
}
