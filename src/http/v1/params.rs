//! Parameters of `/api/v1`. Each may be given once and must be known. Errors name the field.

use chrono_tz::Tz;

use super::super::app::App;
use super::refusal::Refusal;
use crate::query::moment::{self, Moment};

/// Maximum bytes of one value.
const MAX_VALUE_BYTES: usize = 4096;

/// The parameters of one request that were not taken yet.
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

    /// Takes a value without blanks around it; `None` if it is missing or empty.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let index = self.left.iter().position(|(known, _)| known == name)?;
        let value = self.left.swap_remove(index).1;
        Some(moment::trimmed(&value).to_owned()).filter(|value| !value.is_empty())
    }

    /// Sets a value, for a route that passes its request on to another.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.left.retain(|(known, _)| known != name);
        self.left.push((name.to_owned(), value.to_owned()));
    }

    /// Takes a value that must be given.
    pub(super) fn required(&mut self, name: &str) -> Result<String, Refusal> {
        self.text(name).ok_or_else(|| Refusal::field(name, "is missing"))
    }

    /// Takes a time in any form of [`moment::parse`], as epoch milliseconds.
    pub(super) fn time(&mut self, name: &str, clock: &Clocked) -> Result<Option<i64>, Refusal> {
        match self.moment(name, clock)? {
            Some(Moment::QueueEnd) => Err(Refusal::field(
                name,
                "is negative: only an offset is asked for at -1, the end of a queue; leave it out to have no bound",
            )),
            Some(Moment::At(time)) => Ok(Some(time)),
            None => Ok(None),
        }
    }

    /// Takes a time in a queue, which can also be the end of the queue.
    pub(super) fn moment(&mut self, name: &str, clock: &Clocked) -> Result<Option<Moment>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        moment::parse(&text, clock.zone, Some(clock.now_ms))
            .map(Some)
            .map_err(|what| Refusal::field(name, what))
    }

    /// Takes a number between bounds, both included.
    pub(super) fn number(&mut self, name: &str, least: usize, most: usize) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(Refusal::field(name, format!("must be a number between {least} and {most}"))),
        }
    }

    /// Takes one of some words; the first if it is not given.
    pub(super) fn word<'w>(&mut self, name: &str, words: &[&'w str]) -> Result<&'w str, Refusal> {
        let first = words.first().copied().unwrap_or_default();
        let Some(text) = self.text(name) else { return Ok(first) };
        let found = words.iter().find(|word| word.eq_ignore_ascii_case(&text));
        found.copied().ok_or_else(|| Refusal::field(name, format!("must be one of {}", words.join(", "))))
    }

    /// Refuses parameters that the route did not take.
    pub(super) fn end(self) -> Result<(), Refusal> {
        match self.left.into_iter().next() {
            Some((name, _)) => Err(Refusal::field(&name, "is not a parameter of this route")),
            None => Ok(()),
        }
    }
}

/// Zone and current time, for parsing the times of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocked {
    pub(super) zone: Tz,
    pub(super) now_ms: i64,
}

impl Clocked {
    pub(super) fn of(app: &App) -> Clocked {
        Clocked { zone: app.zone, now_ms: (app.clock)().timestamp_millis() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_known_and_given_once() {
        let mut params = Params::parse(Some("topic=a&limit=5")).unwrap();
        assert_eq!(params.text("topic").as_deref(), Some("a"));
        assert_eq!(params.number("limit", 1, 10).unwrap(), Some(5));
        assert!(params.end().is_ok());
        assert!(Params::parse(Some("a=1&a=2")).is_err());
        assert!(Params::parse(Some("what=1")).unwrap().end().is_err());
    }

    #[test]
    fn values_have_no_blanks_around_them() {
        let mut params = Params::parse(Some("topic=+a%E3%80%80&key=%C2%A0b+c%0D%0A&id=+%09")).unwrap();
        assert_eq!(params.text("topic").as_deref(), Some("a"));
        assert_eq!(params.text("key").as_deref(), Some("b c"));
        assert_eq!(params.text("id"), None);
    }
}
