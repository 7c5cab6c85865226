//! Times as people write them: in parameters and bodies of `/api/v1`, and in arguments of SQL functions.
//!
//! All of them use this parser. Clock and zone are arguments. Ambiguous input is refused with a hint and never guessed,
//! because a wrong unit would give an empty answer.

use chrono::offset::LocalResult;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;

/// What a time in a request means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Epoch milliseconds.
    At(i64),
    /// The end of a queue, whatever its time. Brokers take `-1` for it.
    QueueEnd,
}

/// The error of a text that is no time.
pub(super) const FORMS: &str = "is no time: epoch milliseconds, ISO 8601 (2026-11-21T08:00:00+08:00), yyyy-MM-dd HH:mm:ss, \
     yyyyMMddHHmmss or now";

/// Numbers that probably mean a day, `yyyyMMdd`, and not some hours after the beginning of 1970.
const DAYS: std::ops::Range<i64> = 19_700_101..21_000_101;

/// A text without the blanks around it that copying adds: blanks of any width, tabs, line ends and zero-width marks.
#[must_use]
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(is_blank)
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// Parses a time as requests write it. Without an offset it is local time in `zone`. Without a clock, `now` is refused.
///
/// # Errors
/// What is wrong with it and what to write, as the end of a sentence that begins with the name of the field.
pub fn parse(text: &str, zone: Tz, now_ms: Option<i64>) -> Result<Moment, String> {
    let text = trimmed(text);
    if text.eq_ignore_ascii_case("now") {
        return now_ms.map(Moment::At).ok_or_else(|| "cannot be now here: write the time".to_owned());
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if is_digits(digits) {
        if text.len() == 14 && text == digits {
            let local = NaiveDateTime::parse_from_str(text, "%Y%m%d%H%M%S").ok();
            return local
                .and_then(|local| instant(local, zone))
                .map(Moment::At)
                .ok_or_else(|| FORMS.to_owned());
        }
        let number = text.parse().map_err(|_| format!("is beyond all times: {text}"))?;
        return of_number(number);
    }
    if let Some((seconds, fraction)) = digits.split_once('.')
        && is_digits(seconds)
        && is_digits(fraction)
    {
        return Err(format!(
            "is no whole number: write milliseconds (did you mean {seconds}{fraction:0<3.3}?)"
        ));
    }
    date_time(text, zone).map(Moment::At).ok_or_else(|| FORMS.to_owned())
}

/// A time as a number of milliseconds.
///
/// # Errors
/// As [`parse`].
pub fn of_number(number: i64) -> Result<Moment, String> {
    let day = NaiveDate::parse_from_str(&number.to_string(), "%Y%m%d").ok();
    match number {
        // programs write this for "no upper bound"
        i64::MAX => Ok(Moment::At(number)),
        -1 => Ok(Moment::QueueEnd),
        i64::MIN..0 => Err(format!(
            "is negative ({number}): -1 means the end of a queue; a time before 1970 is written as ISO 8601"
        )),
        1_000_000_000..=9_999_999_999 => Err(format!(
            "must be in milliseconds (did you mean {number}000, that is {}?)",
            utc(number * 1000)
        )),
        1_000_000_000_000_000..=9_999_999_999_999_999 => Err(format!(
            "must be in milliseconds (did you mean {}, that is {}?)",
            number / 1000,
            utc(number / 1000)
        )),
        1_000_000_000_000_000_000.. => Err(format!(
            "must be in milliseconds (did you mean {}, that is {}?)",
            number / 1_000_000,
            utc(number / 1_000_000)
        )),
        _ => match day.filter(|_| DAYS.contains(&number)) {
            Some(date) => Err(format!("must be in milliseconds (did you mean the day {date}?)")),
            None => Ok(Moment::At(number)),
        },
    }
}

fn utc(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).map_or_else(|| "no time".to_owned(), |time| time.to_rfc3339())
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Epoch milliseconds of a local time.
///
/// A time that a clock change skips is moved forward by the length of the gap, as a lenient Java calendar does. A time
/// that a clock change repeats means its first occurrence, where Java takes the second: it is usually the lower bound
/// of a window, and the earlier bound hides no message.
#[must_use]
pub fn instant(local: NaiveDateTime, zone: Tz) -> Option<i64> {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => Some(time.timestamp_millis()),
        LocalResult::None => {
            // The last time before the gap, found in steps shorter than any period between two changes. The longest
            // gap on record is a whole day, skipped by crossing the date line.
            let steps = (1..=48 * 4).map(|quarters| TimeDelta::minutes(15 * quarters));
            steps.into_iter().find_map(|step| {
                let before = zone.from_local_datetime(&local.checked_sub_signed(step)?).latest()?;
                Some(before.timestamp_millis() + step.num_milliseconds())
            })
        }
    }
}

/// A date with or without a time of day, with or without a zone.
fn date_time(text: &str, zone: Tz) -> Option<i64> {
    let text: String = text.chars().map(|c| if is_blank(c) { ' ' } else { c }).collect();
    let mut rest = Rest(&text);
    let year = rest.digits(4..=4)?;
    let month = rest.after("-")?.digits(1..=2)?;
    let day = rest.after("-")?.digits(1..=2)?;
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    let is_timed = rest.skip("T") || rest.skip("t") || rest.skip("#") || rest.blanks();
    let time = if is_timed { rest.time_of_day()? } else { NaiveTime::MIN };
    let local = date.and_time(time);
    match rest.offset_minutes()? {
        Some(minutes) => local.and_utc().timestamp_millis().checked_sub(minutes * 60_000),
        None => instant(local, zone),
    }
}

/// The text not yet read.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn skip(&mut self, wanted: &str) -> bool {
        self.0.strip_prefix(wanted).map(|rest| self.0 = rest).is_some()
    }

    fn after(&mut self, wanted: &str) -> Option<&mut Self> {
        self.skip(wanted).then_some(self)
    }

    fn blanks(&mut self) -> bool {
        let before = self.0.len();
        self.0 = self.0.trim_start_matches(' ');
        self.0.len() < before
    }

    fn digits(&mut self, count: std::ops::RangeInclusive<usize>) -> Option<u32> {
        let found = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.0.split_at_checked(found.min(*count.end()))?;
        self.0 = rest;
        if count.contains(&digits.len()) { digits.parse().ok() } else { None }
    }

    /// Hour and minute, with or without a second and its fraction, which is cut to milliseconds.
    fn time_of_day(&mut self) -> Option<NaiveTime> {
        let hour = self.digits(1..=2)?;
        let minute = self.after(":")?.digits(2..=2)?;
        let (mut second, mut milliseconds) = (0, 0);
        if self.skip(":") {
            second = self.digits(2..=2)?;
            if self.skip(".") || self.skip(",") || self.skip(":") {
                let found = self.0.bytes().take_while(u8::is_ascii_digit).count();
                let (fraction, rest) = self.0.split_at_checked(found)?;
                self.0 = rest;
                milliseconds = format!("{fraction:0<3.3}").parse().ok().filter(|_| !fraction.is_empty())?;
            }
        }
        NaiveTime::from_hms_milli_opt(hour, minute, second, milliseconds)
    }

    /// `Z`, `+08:00`, `+0800`, `+08` up to the end, or nothing. A plus sign that was not escaped in a URL arrives as a
    /// blank.
    fn offset_minutes(&mut self) -> Option<Option<i64>> {
        let mut had_blank = self.blanks();
        if self.0.is_empty() {
            return Some(None);
        }
        if ["z", "utc", "gmt"].iter().any(|name| self.0.eq_ignore_ascii_case(name)) {
            return Some(Some(0));
        }
        let is_west = self.skip("-");
        had_blank |= self.skip("+");
        if !is_west && !had_blank {
            return None;
        }
        let hours = self.digits(1..=2)?;
        let minutes = match self.skip(":") || !self.0.is_empty() {
            true => self.digits(2..=2)?,
            false => 0,
        };
        let total = i64::from(hours * 60 + minutes);
        let is_whole = self.0.is_empty() && hours <= 18 && minutes < 60;
        is_whole.then_some(Some(if is_west { -total } else { total }))
    }
}

#[cfg(test)]
#[path = "moment_tests.rs"]
mod tests;
