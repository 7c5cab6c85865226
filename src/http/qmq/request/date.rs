//! The dates a query may carry: every text that the original accepts on any of its usual Java versions and locales,
//! plus epoch milliseconds and ISO date-times without a zone, both of which the original refuses.
//!
//! Nothing here guesses: the styles differ in their first characters or separators, so at most one fits a given text.
//! Years have four digits. Dates before 1582 follow the Gregorian calendar, not the Julian one as in Java. A text
//! without a zone is read in the zone the caller names, never in that of the machine.

use chrono::{Days, NaiveDate, NaiveDateTime, TimeDelta};
use chrono_tz::Tz;

use crate::query::moment::instant;

/// Reads a date and returns it in epoch milliseconds, or `None` when no style fits.
///
/// | Style | Examples |
/// |---|---|
/// | epoch milliseconds, exactly 13 digits | `1559547759633` |
/// | US | `Jun 3, 2019 3:42:39 PM`, `June 3, 2019, 3:42:39 pm` |
/// | numeric, local | `2019-06-03 15:42:39`, `2019-6-3 15:42:39.633` |
/// | Chinese | `2019年6月3日 下午3:42:39`, `2019年6月3日 15:42:39` |
/// | ISO 8601 with a zone | `2019-06-03T15:42:39.633Z`, `…T15:42+08:00`, `20190603T154239+08`, `2019-06-03Z` |
/// | ISO 8601 without a zone | `2019-06-03T15:42:39`, `2019-06-03`, `20190603` |
///
/// The local styles and the ISO date alone let a field overflow into the next larger one (`Jun 33` is July 3); an ISO
/// text with a time or a zone does not.
#[must_use]
pub fn parse_date_ms(text: &str, zone: Tz) -> Option<i64> {
    epoch_ms(text)
        .or_else(|| us(text, zone))
        .or_else(|| numeric(text, zone))
        .or_else(|| chinese(text, zone))
        .or_else(|| iso(text, zone))
}

/// Thirteen digits are the years 2001 to 2286. Other lengths stay refused: ten digits could be seconds, and eight are
/// a date.
fn epoch_ms(text: &str) -> Option<i64> {
    let whole = text.len() == 13 && text.bytes().all(|b| b.is_ascii_digit());
    whole.then(|| text.parse().ok())?
}

/// `MMM d, yyyy h:mm:ss a` with or without a comma after the year. Text after AM or PM is ignored, as in Java.
fn us(text: &str, zone: Tz) -> Option<i64> {
    let mut cursor = Cursor(text);
    cursor.blanks();
    let month = cursor.month()?;
    cursor.gap()?;
    let day = cursor.number()?;
    cursor.expect(",")?;
    cursor.gap()?;
    let year = cursor.fixed(4)?;
    cursor.skip(",");
    cursor.gap()?;
    let (hour, minute, second) = cursor.clock()?;
    cursor.gap()?;
    let afternoon = cursor.half(&[("AM", false), ("PM", true)])?;
    let local = Local { year, month, day, hour: half_day(hour, afternoon), minute, second, milli: 0 };
    instant(local.rolled_over()?, zone)
}

/// `yyyy-M-d H:mm:ss`, the style of a Chinese Java 8, with optional fractions of a second.
///
/// Unlike in Java nothing may follow: a zone there would be ignored, which answers for another time than asked.
fn numeric(text: &str, zone: Tz) -> Option<i64> {
    let mut cursor = Cursor(text);
    let year = cursor.fixed(4)?;
    cursor.expect("-")?;
    let month = cursor.number()?;
    cursor.expect("-")?;
    let day = cursor.number()?;
    cursor.gap()?;
    let (hour, minute, second) = cursor.clock()?;
    let milli = cursor.fraction()?;
    cursor.blanks();
    let local = Local { year, month, day, hour, minute, second, milli };
    cursor.end()?;
    instant(local.rolled_over()?, zone)
}

/// `y年M月d日 ah:mm:ss` of newer Java versions, or with a 24-hour clock when there is no marker of the half day.
fn chinese(text: &str, zone: Tz) -> Option<i64> {
    let mut cursor = Cursor(text);
    let year = cursor.fixed(4)?;
    cursor.expect("年")?;
    let month = cursor.number()?;
    cursor.expect("月")?;
    let day = cursor.number()?;
    cursor.expect("日")?;
    cursor.gap()?;
    let afternoon = cursor.half(&[("上午", false), ("下午", true)]);
    cursor.blanks();
    let (hour, minute, second) = cursor.clock()?;
    cursor.blanks();
    cursor.end()?;
    let hour = afternoon.map_or(hour, |afternoon| half_day(hour, afternoon));
    let local = Local { year, month, day, hour, minute, second, milli: 0 };
    instant(local.rolled_over()?, zone)
}

/// ISO 8601, extended or basic. Dashes and colons are optional one by one, as in the original.
fn iso(text: &str, zone: Tz) -> Option<i64> {
    let mut cursor = Cursor(text);
    let year = cursor.fixed(4)?;
    cursor.skip("-");
    let month = cursor.fixed(2)?;
    cursor.skip("-");
    let day = cursor.fixed(2)?;
    let mut local = Local { year, month, day, hour: 0, minute: 0, second: 0, milli: 0 };
    if cursor.0.is_empty() {
        return instant(local.rolled_over()?, zone);
    }
    let mut to_the_second = false;
    if cursor.skip("T") {
        local.hour = cursor.fixed(2)?;
        cursor.skip(":");
        local.minute = cursor.fixed(2)?;
        cursor.skip(":");
        if !cursor.0.is_empty() && !cursor.0.starts_with(['Z', '+', '-']) {
            // Up to three leap seconds are read as the last ordinary one.
            local.second =
                cursor.fixed(2).map(|second| if (60..=62).contains(&second) { 59 } else { second })?;
            local.milli = cursor.fraction()?;
            to_the_second = true;
        }
    }
    let local = local.strict()?;
    let utc_ms = local.and_utc().timestamp_millis();
    if cursor.0.is_empty() {
        return if to_the_second { instant(local, zone) } else { None };
    }
    // Text after Z is ignored, as in the original; after a numeric offset it is not.
    if cursor.skip("Z") { Some(utc_ms) } else { Some(utc_ms - cursor.offset_ms()?) }
}

/// The hour of a 12-hour clock counted from midnight; 12 is the hour before 1. Hours above 12 overflow, as in Java.
fn half_day(hour: i64, afternoon: bool) -> i64 {
    (if hour == 12 { 0 } else { hour }) + (if afternoon { 12 } else { 0 })
}

/// A wall-clock time as written, not yet checked for ranges. Every field has at most six digits.
struct Local {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    milli: i64,
}

impl Local {
    /// The time with every field in its range, or `None`.
    fn strict(&self) -> Option<NaiveDateTime> {
        let small = |value: i64| u32::try_from(value).ok();
        NaiveDate::from_ymd_opt(i32::try_from(self.year).ok()?, small(self.month)?, small(self.day)?)?
            .and_hms_milli_opt(
                small(self.hour)?,
                small(self.minute)?,
                small(self.second)?,
                small(self.milli)?,
            )
    }

    /// The time with whatever exceeds a field's range carried on, as a lenient Java calendar does.
    fn rolled_over(&self) -> Option<NaiveDateTime> {
        let months = self.month - 1;
        let year = i32::try_from(self.year + months.div_euclid(12)).ok()?;
        let first = NaiveDate::from_ymd_opt(year, u32::try_from(months.rem_euclid(12)).ok()? + 1, 1)?;
        // Day 0 is the last day of the month before, so a day more is taken back than is added.
        let midnight = first
            .checked_add_days(Days::new(u64::try_from(self.day).ok()?))?
            .pred_opt()?
            .and_hms_opt(0, 0, 0)?;
        let seconds = (self.hour * 60 + self.minute) * 60 + self.second;
        midnight.checked_add_signed(TimeDelta::try_milliseconds(seconds * 1000 + self.milli)?)
    }
}

/// The text not yet read.
struct Cursor<'a>(&'a str);

impl Cursor<'_> {
    fn skip(&mut self, wanted: &str) -> bool {
        match self.0.strip_prefix(wanted) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, wanted: &str) -> Option<()> {
        self.skip(wanted).then_some(())
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }

    /// Skips blanks; newer Java versions write a narrow no-break space before AM and PM.
    fn blanks(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t', '\u{202f}']);
    }

    /// At least one blank.
    fn gap(&mut self) -> Option<()> {
        let before = self.0.len();
        self.blanks();
        (self.0.len() < before).then_some(())
    }

    /// Takes all digits that follow, if their count lies between the bounds.
    fn digits(&mut self, fewest: usize, most: usize) -> Option<i64> {
        let count = self.0.bytes().take_while(u8::is_ascii_digit).count();
        if !(fewest..=most).contains(&count) {
            return None;
        }
        self.take(count)
    }

    /// A number with leading zeros allowed, bounded so that no sum overflows.
    fn number(&mut self) -> Option<i64> {
        self.digits(1, 6)
    }

    /// Exactly `count` digits; more digits may follow, as in `20190603`.
    fn fixed(&mut self, count: usize) -> Option<i64> {
        self.0.get(..count).filter(|start| start.bytes().all(|b| b.is_ascii_digit()))?;
        self.take(count)
    }

    fn take(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        digits.parse().ok()
    }

    /// An English month name, full or cut to three letters, in any case.
    fn month(&mut self) -> Option<i64> {
        const NAMES: [&str; 12] = [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ];
        let length = self.0.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (word, rest) = self.0.split_at_checked(length)?;
        let index = NAMES.iter().position(|name| {
            let short = name.get(..3).unwrap_or(name);
            word.eq_ignore_ascii_case(name) || word.eq_ignore_ascii_case(short)
        })?;
        self.0 = rest;
        i64::try_from(index + 1).ok()
    }

    /// Hour, minute and second between colons.
    fn clock(&mut self) -> Option<(i64, i64, i64)> {
        let hour = self.number()?;
        self.expect(":")?;
        let minute = self.number()?;
        self.expect(":")?;
        Some((hour, minute, self.number()?))
    }

    /// Milliseconds after a point, cut after the third digit; 0 when there is no point.
    fn fraction(&mut self) -> Option<i64> {
        if !self.skip(".") {
            return Some(0);
        }
        let count = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let kept = count.min(3);
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        let scale = [1, 100, 10, 1].get(kept)?;
        digits.get(..kept)?.parse::<i64>().ok().map(|value| value * scale)
    }

    /// Which half of the day is meant; the words are matched in any case, and the meaning of the one found is taken.
    fn half(&mut self, words: &[(&str, bool)]) -> Option<bool> {
        words.iter().find_map(|(word, afternoon)| {
            let (start, rest) = self.0.split_at_checked(word.len())?;
            if !start.eq_ignore_ascii_case(word) {
                return None;
            }
            self.0 = rest;
            Some(*afternoon)
        })
    }

    /// `+08:00`, `+0800` or `+08` up to the end of the text, in milliseconds.
    fn offset_ms(&mut self) -> Option<i64> {
        let sign = if self.skip("+") {
            1
        } else if self.skip("-") {
            -1
        } else {
            return None;
        };
        let hours = self.fixed(2)?;
        let minutes = if self.0.is_empty() {
            0
        } else {
            self.skip(":");
            self.fixed(2)?
        };
        self.end()?;
        (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
    }
}

#[cfg(test)]
#[path = "date_tests.rs"]
mod tests;
