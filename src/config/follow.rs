//! `[follow]`: how running clusters are followed, the same for all sources. It only holds and checks values.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use super::limits::{self, LONGEST, exact_size};
use crate::error::{Error, Result};

/// `[follow]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Follow {
    /// Directory of the spools; default: `_spool` below `data` when that is a local directory,
    /// else `./mqlake-spool`. See [`Config::spool_dir`](super::Config::spool_dir).
    pub spool: Option<PathBuf>,
    /// Maximum bytes spooled per stream, 1 MiB to 64 TiB; default 4 GiB.
    #[serde(serialize_with = "exact_size")]
    pub spool_max: ByteSize,
    /// Bytes of one spool file, 64 KiB to `spool_max`; default 64 MiB.
    #[serde(serialize_with = "exact_size")]
    pub spool_segment: ByteSize,
    /// Spooled bytes are forced to disk at least this often, and before each commit; 1 ms to 1 day, default 1 s.
    #[serde(with = "humantime_serde")]
    pub spool_sync: Duration,
    /// Shortest pause after an empty answer, 1 ms to 1 day; default 20 ms.
    #[serde(with = "humantime_serde")]
    pub idle_pause_min: Duration,
    /// Longest pause after empty answers in a row, `idle_pause_min` to 1 day; default 250 ms.
    #[serde(with = "humantime_serde")]
    pub idle_pause_max: Duration,
    /// First pause after a failure, before jitter; 1 ms to 1 day, default 500 ms.
    #[serde(with = "humantime_serde")]
    pub retry_min: Duration,
    /// Longest pause after failures in a row, before jitter; `retry_min` to 1 day, default 30 s.
    #[serde(with = "humantime_serde")]
    pub retry_max: Duration,
    /// Longest time for opening a connection, 1 ms to 1 day; default 5 s.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Largest frame that is accepted, 64 KiB to 64 MiB; default 64 MiB.
    #[serde(serialize_with = "exact_size")]
    pub max_frame: ByteSize,
    /// How often new rows become visible from memory, 1 ms to 1 day; default 100 ms.
    #[serde(with = "humantime_serde")]
    pub visible_every: Duration,
    /// Age of the oldest uncommitted row at which a commit is due, 10 ms to 1 day; default 30 s.
    #[serde(with = "humantime_serde")]
    pub flush_every: Duration,
    /// Uncommitted rows at which a commit is due, at least 1; default 500 000.
    pub flush_rows: usize,
    /// Uncommitted bytes at which a commit is due, 64 KiB to `hot_bytes`; default 64 MiB.
    #[serde(serialize_with = "exact_size")]
    pub flush_bytes: ByteSize,
    /// Maximum memory for uncommitted rows, 64 KiB to 64 TiB; default 256 MiB.
    #[serde(serialize_with = "exact_size")]
    pub hot_bytes: ByteSize,
    /// Longest time for one attempt of a commit; then it is retried; 100 ms to 1 day, default 2 minutes.
    #[serde(with = "humantime_serde")]
    pub commit_timeout: Duration,
    /// Time without any answer after which an action stream raises the alarm that it is blocked (an index stream does so
    /// after three requests), 100 ms to 1 day; default 60 s.
    #[serde(with = "humantime_serde")]
    pub silence_alarm: Duration,
    /// How long a past event is shown as an alarm, with its time: messages that were removed before they were
    /// read, offsets that a broker used again; 1 s to 1 day, default 1 day.
    #[serde(with = "humantime_serde")]
    pub alarm_for: Duration,
    /// Longest time for fetching one message body from a broker, 1 ms to 1 day; default 1 s.
    #[serde(with = "humantime_serde")]
    pub detail_timeout: Duration,
}

impl Default for Follow {
    fn default() -> Self {
        Follow {
            spool: None,
            spool_max: ByteSize::gib(4),
            spool_segment: ByteSize::mib(64),
            spool_sync: Duration::from_secs(1),
            idle_pause_min: Duration::from_millis(20),
            idle_pause_max: Duration::from_millis(250),
            retry_min: Duration::from_millis(500),
            retry_max: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            max_frame: ByteSize::mib(64),
            visible_every: Duration::from_millis(100),
            flush_every: Duration::from_secs(30),
            flush_rows: 500_000,
            flush_bytes: ByteSize::mib(64),
            hot_bytes: ByteSize::mib(256),
            commit_timeout: Duration::from_secs(120),
            silence_alarm: Duration::from_secs(60),
            alarm_for: Duration::from_secs(24 * 60 * 60),
            detail_timeout: Duration::from_secs(1),
        }
    }
}

impl Follow {
    pub(super) fn check(&self) -> Result<()> {
        let millis = Duration::from_millis;
        let durations = [
            ("follow.spool_sync", self.spool_sync, millis(1)),
            ("follow.idle_pause_min", self.idle_pause_min, millis(1)),
            ("follow.idle_pause_max", self.idle_pause_max, self.idle_pause_min),
            ("follow.retry_min", self.retry_min, millis(1)),
            ("follow.retry_max", self.retry_max, self.retry_min),
            ("follow.connect_timeout", self.connect_timeout, millis(1)),
            ("follow.visible_every", self.visible_every, millis(1)),
            ("follow.flush_every", self.flush_every, millis(10)),
            ("follow.commit_timeout", self.commit_timeout, millis(100)),
            ("follow.silence_alarm", self.silence_alarm, millis(100)),
            ("follow.alarm_for", self.alarm_for, millis(1000)),
            ("follow.detail_timeout", self.detail_timeout, millis(1)),
        ];
        for (name, value, least) in durations {
            limits::duration(name, value, least..=LONGEST)?;
        }
        let small = ByteSize::kib(64);
        let large = ByteSize::tib(64);
        let sizes = [
            ("follow.spool_max", self.spool_max, ByteSize::mib(1), large),
            ("follow.spool_segment", self.spool_segment, small, self.spool_max),
            ("follow.max_frame", self.max_frame, small, ByteSize::mib(64)),
            ("follow.hot_bytes", self.hot_bytes, small, large),
            ("follow.flush_bytes", self.flush_bytes, small, self.hot_bytes),
        ];
        for (name, value, least, most) in sizes {
            limits::size(name, value, least..=most)?;
        }
        limits::positive("follow.flush_rows", self.flush_rows)?;
        if self.spool.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
            return Err(Error::Config("follow.spool must not be empty".into()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_allowed() {
        Follow::default().check().unwrap();
    }

    #[test]
    fn a_value_outside_its_bounds_is_refused_by_name() {
        type Change = fn(&mut Follow);
        let cases: [(&str, Change); 11] = [
            ("follow.spool ", |f| f.spool = Some(PathBuf::new())),
            ("follow.spool_max ", |f| f.spool_max = ByteSize(1)),
            ("follow.spool_segment ", |f| f.spool_segment = ByteSize::gib(5)),
            ("follow.spool_sync ", |f| f.spool_sync = Duration::ZERO),
            ("follow.idle_pause_max ", |f| f.idle_pause_max = Duration::from_millis(19)),
            ("follow.retry_max ", |f| f.retry_max = Duration::from_millis(499)),
            ("follow.max_frame ", |f| f.max_frame = ByteSize::gib(2)),
            ("follow.flush_rows ", |f| f.flush_rows = 0),
            ("follow.flush_bytes ", |f| f.flush_bytes = ByteSize::mib(257)),
            ("follow.alarm_for ", |f| f.alarm_for = Duration::from_secs(86_401)),
            ("follow.silence_alarm ", |f| f.silence_alarm = Duration::from_secs(86_401)),
        ];
        for (name, change) in cases {
            let mut follow = Follow::default();
            change(&mut follow);
            let error = follow.check().unwrap_err().to_string();
            assert!(error.contains(name), "{name}: {error}");
        }
    }
}
