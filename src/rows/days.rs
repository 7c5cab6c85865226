//! The day of a row: the day of its time, unless the time comes from a clock that is far off.
//!
//! A producer's clock can show any time. Rows with impossible times, and the rarest days of a batch with too many days,
//! are *strays*: they share one file, in the partition of the day on which it is written. So a commit makes a bounded
//! number of files, and retention drops strays with the rows that arrived on the same day. Their times are not changed.
//! Nothing here reads a clock.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};

use super::DayRows;
use crate::lake::schema::{FIRST_DAY, LAST_DAY};

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3600 * 1000;
/// 2000-01-01: no broker ran before that day.
const FIRST_SANE_DAY: i32 = 10_957;
/// Stands for the day of strays while rows are sorted.
const STRAYS: i32 = LAST_DAY as i32 + 1;

/// Rule that assigns rows to days.
#[derive(Debug, Clone)]
pub struct DayRule {
    /// The partition of strays; `None` if there are none.
    today: Option<NaiveDate>,
    last: i32,
    /// Maximum days of a batch.
    most: usize,
    /// The only days whose rows are not strays, if a batch had too many days.
    kept: Option<HashSet<i32>>,
}

impl Default for DayRule {
    /// Allows every day that a partition can have.
    fn default() -> Self {
        DayRule { today: None, last: i32::MAX, most: usize::MAX, kept: None }
    }
}

impl DayRule {
    /// Allows days up to `ahead` after `now`, and at most `most` of them in one batch.
    #[must_use]
    pub fn new(now: DateTime<Utc>, ahead: Duration, most: usize) -> DayRule {
        let ahead = i64::try_from(ahead.as_millis()).unwrap_or(i64::MAX);
        let last = plain_day(now.timestamp_millis().saturating_add(ahead));
        DayRule { today: Some(now.date_naive()), last, most, kept: None }
    }

    /// UTC day of a time, as days since the epoch, clamped to the years 1 to 9999, which every engine can read.
    pub(super) fn day_of(&self, time_ms: i64) -> i32 {
        let day = plain_day(time_ms);
        if self.today.is_none() {
            return day;
        }
        let is_sane = (FIRST_SANE_DAY..=self.last).contains(&day);
        let is_kept = || self.kept.as_ref().is_none_or(|kept| kept.contains(&day));
        if is_sane && is_kept() { day } else { STRAYS }
    }

    /// If these days are too many, a narrower rule under which the rarest are strays.
    pub(crate) fn narrower(&self, days: &[DayRows]) -> Option<DayRule> {
        self.today?;
        if days.len() <= self.most {
            return None;
        }
        let rows: HashMap<i32, usize> =
            days.iter().map(|day| (number_of(day.day), day.order.len())).collect();
        let kept = commonest(rows.into_iter().filter(|(day, _)| *day != STRAYS), self.most);
        Some(DayRule { kept: Some(kept), ..self.clone() })
    }

    /// The partition of a sorted day.
    pub(crate) fn partition(&self, day: NaiveDate) -> NaiveDate {
        match self.today {
            Some(today) if number_of(day) == STRAYS => today,
            _ => day,
        }
    }

    /// The days of `rows` that keep files of their own: all, or those with the most rows.
    pub(crate) fn kept_of(&self, rows: &HashMap<NaiveDate, u64>) -> HashSet<NaiveDate> {
        if rows.len() <= self.most {
            return rows.keys().copied().collect();
        }
        let numbers = rows.iter().map(|(day, rows)| (number_of(*day), usize::try_from(*rows).unwrap_or(0)));
        commonest(numbers, self.most).into_iter().map(super::date_of).collect()
    }

    /// The partition of strays.
    pub(crate) fn today(&self) -> Option<NaiveDate> {
        self.today
    }
}

/// The days with the most rows; of equal counts, the later days.
fn commonest(rows: impl Iterator<Item = (i32, usize)>, most: usize) -> HashSet<i32> {
    let mut rows: Vec<(i32, usize)> = rows.collect();
    rows.sort_unstable_by_key(|(day, rows)| std::cmp::Reverse((*rows, *day)));
    rows.into_iter().take(most).map(|(day, _)| day).collect()
}

fn plain_day(time_ms: i64) -> i32 {
    i32::try_from(time_ms.div_euclid(DAY_MS).clamp(FIRST_DAY, LAST_DAY)).unwrap_or(0)
}

fn number_of(day: NaiveDate) -> i32 {
    i32::try_from((day - NaiveDate::default()).num_days()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(most: usize) -> DayRule {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        DayRule::new(now, Duration::from_secs(2 * 24 * 3600), most)
    }

    #[test]
    fn times_that_cannot_be_right_share_the_present_day() {
        let rule = rule(10);
        let today = rule.today().unwrap();
        for ms in [i64::MIN, -1, 0, 946_684_799_999, 1_700_000_000_000 + 3 * DAY_MS, i64::MAX] {
            let day = rule.day_of(ms);
            assert_eq!(rule.partition(crate::rows::date_of(day)), today, "{ms}");
            assert_eq!(day, STRAYS, "{ms}");
        }
        for ms in [946_684_800_000, 1_700_000_000_000, 1_700_000_000_000 + DAY_MS] {
            assert_eq!(i64::from(rule.day_of(ms)), ms / DAY_MS);
        }
        assert_eq!(i64::from(DayRule::default().day_of(i64::MAX)), LAST_DAY);
    }

    #[test]
    fn the_rarest_of_too_many_days_are_strays() {
        let days: Vec<DayRows> = (0..5)
            .map(|day| DayRows { day: crate::rows::date_of(19_000 + day), order: vec![0; 5 - day as usize] })
            .collect();
        assert!(rule(5).narrower(&days).is_none());
        let narrow = rule(2).narrower(&days).unwrap();
        let of = |day: i64| narrow.day_of((19_000 + day) * DAY_MS);
        assert_eq!([of(0), of(1), of(2), of(4)], [19_000, 19_001, STRAYS, STRAYS]);
    }
}
