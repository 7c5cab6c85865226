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
        // under one lock, so that of two gaps noted at once the list without the second is not the one stored
        let mut unsaved = self.unsaved.lock().unwrap_or_else(PoisonError::into_inner);
        *unsaved = Some(self.board.gap(gap));
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::lake::{Log, LogDef, Positions, Store};

    const LOG: Log = Log(&LogDef {
        name: "log",
        holds: "messages",
        tables: &[],
        positions: Positions::Offsets,
        state: None,
        beside: None,
    });

    #[tokio::test(flavor = "multi_thread")]
    async fn gaps_noted_at_the_same_time_are_all_stored() {
        let store = Store::open("memory://gaps", &BTreeMap::new()).unwrap();
        let lake = Arc::new(Lake::open(store, crate::config::Lake::default()).await.unwrap());
        lake.put_stream_info(&StreamInfo::new("test", "b", LOG)).await.unwrap();
        let board = Arc::new(Board::new("b".to_owned()));
        let gaps = Gaps::new(lake.clone(), board, "test", "b".to_owned());
        // as many as a board keeps
        std::thread::scope(|scope| {
            for queue in 0..4 {
                let gaps = &gaps;
                scope.spawn(move || {
                    for from in 0..25 {
                        gaps.note(Gap { stream: format!("pulled/{queue}"), from, to: from + 1 });
                    }
                });
            }
        });
        gaps.store().await;
        let stored = lake.stream_info("test", "b").await.unwrap().unwrap();
        assert_eq!(stored.gaps.len(), 100);
    }
}
