//! Rows of a running statement, in this process or in a worker.
//!
//! Batches come one by one. The outcome of the statement comes on a channel of its own, so that it arrives also when
//! nobody takes batches any more, and a stream that stops early is never mistaken for a complete answer.

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
    /// When the reader stops waiting for the outcome.
    give_up_at: Instant,
    /// The task that runs the statement, if dropping the rows has to stop it.
    _task: Option<AbortOnDropHandle<()>>,
}

/// The sending end of [`SqlRows`].
pub(super) struct RowsSender {
    pub(super) batches: mpsc::Sender<RecordBatch>,
    pub(super) end: oneshot::Sender<Result<()>>,
}

/// A statement that has no columns yet; it becomes [`SqlRows`].
pub(super) struct Unplanned {
    pub(super) batches: mpsc::Receiver<RecordBatch>,
    pub(super) end: oneshot::Receiver<Result<()>>,
    pub(super) limits: Limits,
    pub(super) give_up_at: Instant,
    pub(super) task: Option<AbortOnDropHandle<()>>,
}

impl Unplanned {
    /// Waits for the columns, or for the error of a statement that failed before it had any.
    pub(super) async fn planned(mut self, schema: oneshot::Receiver<SchemaRef>) -> Result<SqlRows> {
        let (limits, give_up_at) = (self.limits, self.give_up_at);
        let schema = match tokio::time::timeout_at(give_up_at, schema).await {
            Err(_) => return Err(limits.late()),
            Ok(Ok(schema)) => schema,
            Ok(Err(_)) => {
                let end = tokio::time::timeout_at(give_up_at, &mut self.end).await;
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
            give_up_at,
            _task: self.task,
        })
    }
}

impl SqlRows {
    /// The next rows, or `None` at the end.
    ///
    /// # Errors
    /// [`Error::Limit`] when a limit is reached, [`Error::Store`] or [`Error::Sql`] if execution fails.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.ended {
            return Ok(None);
        }
        let next = tokio::time::timeout_at(self.give_up_at, self.batches.recv()).await;
        if let Ok(Some(batch)) = next {
            return Ok(Some(batch));
        }
        self.ended = true;
        let end = tokio::time::timeout_at(self.give_up_at, &mut self.end).await;
        end.map_err(|_| self.limits.late())?.unwrap_or_else(|_| Err(gone())).map(|()| None)
    }
}

/// The error if the sender was dropped without an outcome: the rows are not complete.
fn gone() -> Error {
    Error::Sql("the engine failed inside this statement; the log says where".to_owned())
}
