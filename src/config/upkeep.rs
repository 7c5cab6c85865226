//! `[retention]` and `[background]`: how long rows are kept, and the upkeep of tables. They only hold and check values.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::limits::{self, LONGEST};
use crate::error::{Error, Result};

/// One day: retention drops whole days, so a shorter time cannot be exact.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// `[retention]`: how long rows are kept, by table. Retention drops whole days (UTC). Each time is at least one day;
/// without it rows are kept for ever.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Messages, counted from their create time; default: for ever.
    #[serde(with = "humantime_serde")]
    pub message: Option<Duration>,
    /// Dead letters, counted from their create time; default: for ever.
    #[serde(with = "humantime_serde")]
    pub dead_message: Option<Duration>,
    /// Pulls and acks, counted from their time; default: for ever.
    #[serde(with = "humantime_serde")]
    pub record: Option<Duration>,
    /// Message bodies; default: for ever.
    #[serde(with = "humantime_serde")]
    pub content: Option<Duration>,
    /// Acks whose pull is not known yet; default: for ever.
    #[serde(with = "humantime_serde")]
    pub unresolved_ack: Option<Duration>,
    /// RocketMQ only. Keys and ids of messages, counted from the time of the message; default: for ever.
    #[serde(with = "humantime_serde")]
    pub message_key: Option<Duration>,
    /// Trace events, counted from the time they were stored; default: for ever.
    #[serde(with = "humantime_serde")]
    pub trace: Option<Duration>,
    /// Samples of consumer progress; default: for ever.
    #[serde(with = "humantime_serde")]
    pub consumer_progress: Option<Duration>,
}

/// `[background]`: upkeep while sources are followed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Background {
    /// Time between two cycles of upkeep, which settle closed days, 1 s to 1 day; default 10 minutes.
    #[serde(with = "humantime_serde")]
    pub settle_every: Duration,
    /// Recent files of one day and size class at which they are merged, at least 2; default 16.
    pub compact_files: usize,
    /// How often files that no reader needs are deleted, 1 s to 1 day; default 1 hour.
    #[serde(with = "humantime_serde")]
    pub vacuum_every: Duration,
}

impl Default for Background {
    fn default() -> Self {
        Background {
            settle_every: Duration::from_secs(600),
            compact_files: 16,
            vacuum_every: Duration::from_secs(3600),
        }
    }
}

impl Retention {
    pub(super) fn check(&self) -> Result<()> {
        let tables = [
            ("retention.message", self.message),
            ("retention.dead_message", self.dead_message),
            ("retention.record", self.record),
            ("retention.content", self.content),
            ("retention.unresolved_ack", self.unresolved_ack),
            ("retention.message_key", self.message_key),
            ("retention.trace", self.trace),
            ("retention.consumer_progress", self.consumer_progress),
        ];
        for (name, value) in tables {
            if value.is_some_and(|age| age < DAY) {
                return Err(Error::Config(format!(
                    "{name} must be at least 1day; leave it out to keep rows for ever"
                )));
            }
        }
        Ok(())
    }
}

impl Background {
    pub(super) fn check(&self) -> Result<()> {
        let second = Duration::from_secs(1);
        limits::duration("background.settle_every", self.settle_every, second..=LONGEST)?;
        limits::duration("background.vacuum_every", self.vacuum_every, second..=LONGEST)?;
        if self.compact_files < 2 {
            return Err(Error::Config("background.compact_files must be at least 2".into()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_allowed() {
        Retention::default().check().unwrap();
        Background::default().check().unwrap();
    }

    #[test]
    fn less_than_a_day_cannot_be_kept() {
        let short = Retention { record: Some(DAY - Duration::from_secs(1)), ..Retention::default() };
        assert!(short.check().unwrap_err().to_string().contains("retention.record"));
        let day = Retention { record: Some(DAY), ..Retention::default() };
        day.check().unwrap();
    }

    #[test]
    fn background_work_has_bounds() {
        let cases = [
            ("compact_files", Background { compact_files: 1, ..Background::default() }),
            ("settle_every", Background { settle_every: Duration::ZERO, ..Background::default() }),
            ("vacuum_every", Background { vacuum_every: DAY * 2, ..Background::default() }),
        ];
        for (name, background) in cases {
            assert!(background.check().unwrap_err().to_string().contains(name), "{name}");
        }
    }
}
