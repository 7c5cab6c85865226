//! Gaps, the ranges that the broker no longer had: shown to operators, and stored beside the tables so that they
//! survive a restart.

use std::sync::{Arc, Mutex, PoisonError};

use super::status::Board;
use crate::error::Result;
use crate::lake::{Gap, Lake, StreamInfo};

/// The gaps of one broker group.
pub(crate) struct Gaps {
    lake: Arc<Lake>,
    board: Arc<Board>,
    system: &'static str,
    group: String,
    /// All gaps, if the stored list is older.
    unsaved: Mutex<Option<Vec<Gap>>>,
    /// Held during a write, so that an older list never overwrites a newer one.
    writing: tokio::sync::Mutex<()>,
}

impl Gaps {
    pub(crate) fn new(lake: Arc<Lake>, board: Arc<Board>, system: &'static str, group: String) -> Gaps {
        Gaps { lake, board, system, group, unsaved: Mutex::new(None), writing: tokio::sync::Mutex::new(()) }
    }

    /// Shows a gap; [`Gaps::store`] stores it.
    pub(crate) fn note(&self, gap: Gap) {
        metrics::counter!("mqlake_follow_gaps_total", "group" => self.group.clone()).increment(1);
        let all = self.board.gap(gap);
        *self.unsaved.lock().unwrap_or_else(PoisonError::into_inner) = Some(all);
    }

    /// Stores new gaps; after a failure the next call tries again.
    pub(crate) async fn store(&self) {
        let _writing = self.writing.lock().await;
        let Some(gaps) = self.unsaved.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        if let Err(error) = self.put(gaps.clone()).await {
            tracing::warn!(group = self.group, %error, "gaps could not be stored yet");
            self.unsaved.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(gaps);
        }
    }

    async fn put(&self, gaps: Vec<Gap>) -> Result<()> {
        let Some(known) = self.lake.stream_info(self.system, &self.group).await? else { return Ok(()) };
        self.lake.put_stream_info(&StreamInfo { gaps, ..known }).await
    }
}
