//! Retention: days older than the retention time of their table are dropped, file by file.
//!
//! Only whole days are dropped, never single rows. The files themselves stay for the grace period, for readers that still
//! use them.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveTime, Utc};

use super::Lake;
use super::table::Outcome;
use crate::error::Result;

/// What retention dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expired {
    /// Files, over all tables.
    pub files: usize,
    /// Their rows.
    pub rows: u64,
}

impl Lake {
    /// Drops the files of days that ended longer ago than `keep` returns for their table; `None` keeps them for ever.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn expire(
        &self,
        now: DateTime<Utc>,
        keep: impl Fn(&str) -> Option<Duration>,
    ) -> Result<Expired> {
        let mut total = Expired::default();
        for table in self.tables() {
            let Some(keep) = keep(table.def.name).and_then(|keep| chrono::Duration::from_std(keep).ok())
            else {
                continue;
            };
            let files = table.refresh().await?.files;
            let old: Vec<_> = files
                .into_iter()
                .filter(|file| {
                    let end = file.day.checked_add_days(Days::new(1)).unwrap_or(file.day);
                    now.signed_duration_since(end.and_time(NaiveTime::MIN).and_utc()) > keep
                })
                .collect();
            if old.is_empty() {
                continue;
            }
            if table.expire(&old, self.settings.commit_attempts).await? == Outcome::Committed {
                total.files += old.len();
                total.rows += old.iter().map(|file| file.stats.rows).sum::<u64>();
            }
        }
        Ok(total)
    }
}
