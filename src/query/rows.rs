//! Rows of a running statement, wherever it runs: in this process or in one of its own.
//!
//! Batches come one by one; how the statement ended comes apart from them, so that it arrives also when nobody takes
//! batches any more, and rows that merely stop are never taken for all of them.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::limits::Limits;
use crate::error::{Error, Result};

/// Rows of a running statement. Dropping it cancels the statement.
#[derive(Debug)]
pub struct SqlRows {
    /// Columns.
    pub schema: SchemaRef,
    batches: mpsc::Receiver<RecordBatch>,
    end: oneshot::Receiver<Result<()>>,
    ended: bool,
    limits: Limits,
    /// When the reader gives up, should whatever runs the statement not have told how it ended.
    patience: Instant,
    /// What runs the statement, if it has to be stopped from here.
    _task: Option<AbortOnDropHandle<()>>,
}

/// The other end of [`SqlRows`].
pub(super) struct RowsSender {
    pub(super) batches: mpsc::Sender<RecordBatch>,
    pub(super) end: oneshot::Sender<Result<()>>,
}

/// What becomes [`SqlRows`] once the columns are known.
pub(super) struct Unplanned {
    pub(super) batches: mpsc::Receiver<RecordBatch>,
    pub(super) end: oneshot::Receiver<Result<()>>,
    pub(super) limits: Limits,
    pub(super) patience: Instant,
    pub(super) task: Option<AbortOnDropHandle<()>>,
}

impl Unplanned {
    /// Waits for the columns, or for how the statement failed without any.
    pub(super) async fn planned(mut self, schema: oneshot::Receiver<SchemaRef>) -> Result<SqlRows> {
        let (limits, patience) = (self.limits, self.patience);
        let schema = match tokio::time::timeout_at(patience, schema).await {
            Err(_) => return Err(limits.late()),
            Ok(Ok(schema)) => schema,
            Ok(Err(_)) => {
                let end = tokio::time::timeout_at(patience, &mut self.end).await;
                let end = end.map_err(|_| limits.late())?;
                end.unwrap_or_else(|_| Err(gone()))?;
                return Err(gone());
            }
        };
        Ok(SqlRows {
            schema,
            batches: self.batches,
            end: self.end,
            ended: false,
            limits,
            patience,
            _task: self.task,
        })
    }
}

impl SqlRows {
    /// The next rows, or `None` at the end.
    ///
    /// # Errors
    /// [`Error::Limit`] when a limit is reached, [`Error::Store`] or [`Error::Sql`] as execution meets them.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.ended {
            return Ok(None);
        }
        let next = tokio::time::timeout_at(self.patience, self.batches.recv()).await;
        if let Ok(Some(batch)) = next {
            return Ok(Some(batch));
        }
        self.ended = true;
        let end = tokio::time::timeout_at(self.patience, &mut self.end).await;
        end.map_err(|_| self.limits.late())?.unwrap_or_else(|_| Err(gone())).map(|()| None)
    }
}

/// Rows that end because their maker died are no complete answer.
fn gone() -> Error {
    Error::Sql("the engine failed inside this statement; the log says where".to_owned())
}
