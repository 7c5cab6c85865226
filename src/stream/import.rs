//! The import loop of all systems: a thread reads and replays a log, while this task encodes and commits its batches.
//!
//! The state at a position is stored first, then the tables are committed one after the other, in the order of the log's
//! definition. A crash between two commits leaves tables at different positions. The next run begins at the lowest, and
//! replay drops the rows that a table already has (PROJECTION). Nothing here opens a log.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::try_join_all;
use tokio::sync::mpsc;

use super::commit::{Encoded, TablePosition, blocking, encode, encode_ahead};
use super::replay::Batch;
use crate::error::{Error, Result};
use crate::lake::{Lake, StreamId};
use crate::rows::DayRule;

/// Rows up to a position, with the state from which replay continues there.
struct Flush {
    batch: Box<dyn Batch>,
    state: Option<Bytes>,
    to: u64,
}

struct EncodedFlush {
    files: Vec<Encoded>,
    state: Option<Bytes>,
    to: u64,
}

/// The channel through which a reader passes on its batches. It holds one batch: a reader waits while it is full.
pub(crate) struct Flushes(mpsc::Sender<Flush>);

impl Flushes {
    /// Passes on the rows up to a position.
    ///
    /// # Errors
    /// If committing failed. The import returns the error of the commit instead of this one.
    pub(crate) fn send(&self, batch: Box<dyn Batch>, state: Option<Bytes>, to: u64) -> Result<()> {
        let stopped = |_| Error::Invariant("reading stopped because committing failed".to_owned());
        self.0.blocking_send(Flush { batch, state, to }).map_err(stopped)
    }
}

/// Reads a log for an import, from the position at which it was opened to its end. It blocks, on a thread of its own.
pub(crate) trait LogReader: Send + 'static {
    /// Result of reading the whole log.
    type Outcome: Send;

    /// Reads and replays; passes on each batch that is large enough.
    ///
    /// # Errors
    /// If the log cannot be read further, with the place in the log.
    fn read(self, flushes: &Flushes) -> Result<Self::Outcome>;
}

/// Result of an import of one log.
pub(crate) struct Imported<T> {
    /// Result of the reader.
    pub(crate) outcome: T,
    /// Commits made.
    pub(crate) commits: u64,
}

impl Lake {
    /// Reads a log to its end and commits its rows; updates the positions in `tables`.
    ///
    /// # Errors
    /// The first error of reading or committing. Earlier commits stay.
    pub(crate) async fn import_log<R: LogReader>(
        &self,
        reader: R,
        stream: &StreamId,
        tables: &mut [TablePosition],
        days: &DayRule,
    ) -> Result<Imported<R::Outcome>> {
        let (sender, flushes) = mpsc::channel::<Flush>(1);
        let reading = tokio::task::spawn_blocking(move || reader.read(&Flushes(sender)));
        let (mut commits, mut committing) = (0, Ok(()));
        let mut encoding = Box::pin(encode_ahead(flushes, |flush| self.encode_flush(flush, stream, days)));
        while let Some(encoded) = encoding.next().await {
            committing = match encoded {
                Ok(encoded) => self.commit_flush(encoded, stream, tables).await.map(|count| commits += count),
                Err(error) => Err(error),
            };
            if committing.is_err() {
                break;
            }
        }
        drop(encoding);
        let read = reading.await?;
        committing?;
        Ok(Imported { outcome: read?, commits })
    }

    async fn encode_flush(&self, flush: Flush, stream: &StreamId, days: &DayRule) -> Result<EncodedFlush> {
        let Flush { batch, state, to } = flush;
        let batch: Arc<dyn Batch> = Arc::from(batch);
        let count = batch.tables().len();
        let jobs = (0..count).map(|table| {
            let (group, settings, days) = (stream.broker_group.clone(), self.settings.clone(), days.clone());
            blocking(&batch, move |batch: &(dyn Batch + 'static)| {
                let tables = batch.tables();
                let rows = tables
                    .get(table)
                    .ok_or_else(|| Error::Invariant("a batch has fewer tables than it had".to_owned()))?;
                encode(&**rows, &batch.context(&group), &settings, &days)
            })
        });
        Ok(EncodedFlush { files: try_join_all(jobs).await?, state, to })
    }

    /// Commits table by table; returns how many commits were made.
    async fn commit_flush(
        &self,
        encoded: EncodedFlush,
        stream: &StreamId,
        tables: &mut [TablePosition],
    ) -> Result<u64> {
        let EncodedFlush { files, state, to } = encoded;
        if tables.iter().all(|table| table.position.is_some_and(|known| known >= to)) {
            return Ok(0);
        }
        let has_state = state.is_some();
        if let Some(state) = state {
            self.put_state(stream, to, state).await?;
        }
        let mut commits = 0;
        for (encoded, position) in files.into_iter().zip(tables.iter_mut()) {
            commits += u64::from(self.commit_encoded(encoded, stream, position, to).await?);
        }
        if has_state && let Some(lowest) = super::commit::lowest(tables) {
            self.drop_states_below(stream, lowest).await?;
        }
        Ok(commits)
    }
}
