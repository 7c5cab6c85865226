//! From rows to a commit: sorts and encodes rows, stores the files, and commits them with the stream's position.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use futures::{Stream, StreamExt, stream};
use tokio::sync::mpsc;

use crate::config;
use crate::error::{Error, Result};
use crate::lake::schema::TableDef;
use crate::lake::{Beside, EncodedFile, FileEncoder, Lake, Level, Move, Outcome, Owner, StreamId};
use crate::rows::{BatchContext, DayRule, Rows};

/// Maximum rows converted into columns at once.
const CHUNK_ROWS: usize = 16 * 1024;
/// Flushes encoded at the same time.
const FLUSHES_AHEAD: usize = 2;
/// Maximum bytes of bodies converted into columns at once.
const CHUNK_BYTES: usize = 4 << 20;

/// Files of one table, not yet stored.
pub(crate) struct Encoded {
    def: &'static TableDef,
    files: Vec<(NaiveDate, Level, EncodedFile)>,
}

impl Encoded {
    /// The files with their days and levels.
    pub(crate) fn into_files(self) -> impl Iterator<Item = (NaiveDate, Level, EncodedFile)> {
        self.files.into_iter()
    }

    /// The files by table and day.
    pub(super) fn into_days(self) -> impl Iterator<Item = (&'static TableDef, NaiveDate, EncodedFile)> {
        let def = self.def;
        self.files.into_iter().map(move |(day, _, file)| (def, day, file))
    }
}

/// Position of one table in a stream during a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TablePosition {
    pub(crate) def: &'static TableDef,
    pub(crate) position: Option<u64>,
    /// The table's position in the other stream of the same records, if there is such a stream: BESIDE.
    pub(crate) beside: Option<Option<u64>>,
}

impl TablePosition {
    /// The condition of BESIDE for a commit of the stream.
    pub(crate) fn rests_on(&self, stream: &StreamId) -> Option<Beside> {
        Some(Beside { stream: stream.beside()?, position: self.beside? })
    }
}

/// The position at which replay begins: the lowest of all tables, `None` if a table has no commit yet.
pub(crate) fn lowest(tables: &[TablePosition]) -> Option<u64> {
    tables.iter().map(|table| table.position).min().flatten()
}

/// Whether tables of one stream stand at different positions.
pub(crate) fn is_uneven(tables: &[TablePosition]) -> bool {
    tables.iter().any(|table| table.position != lowest(tables))
}

/// Sorts and encodes rows, one file per day and one for strays (see [`DayRule`]).
pub(crate) fn encode(
    rows: &dyn Rows,
    context: &BatchContext<'_>,
    settings: &config::Lake,
    days: &DayRule,
) -> Result<Encoded> {
    let def = rows.def();
    let mut files = Vec::new();
    let context = &context.clone().with_days(days.clone());
    let mut sorted = rows.sorted(context);
    if let Some(narrower) = days.narrower(&sorted) {
        tracing::warn!(
            table = def.name,
            days = sorted.len(),
            "rows name more days than lake.days_per_commit; the rarest share a file of the present day"
        );
        sorted = rows.sorted(&context.clone().with_days(narrower));
    }
    for day in sorted {
        let level = Level::of_new(def, day.order.len() as u64, settings.settled_rows);
        let mut encoder = FileEncoder::new(def, settings)?;
        let mut left = day.order.as_slice();
        while !left.is_empty() {
            let (chunk, rest) = left.split_at(chunk_rows(rows, left));
            encoder.write(&rows.batch(chunk, context)?)?;
            left = rest;
        }
        files.push((days.partition(day.day), level, encoder.finish()?));
    }
    Ok(Encoded { def, files })
}

/// How many of the next rows are converted into columns at once.
fn chunk_rows(rows: &dyn Rows, order: &[u32]) -> usize {
    let mut bytes = 0;
    let fits = order.iter().take(CHUNK_ROWS).take_while(|row| {
        bytes += rows.heap_bytes_of(**row);
        bytes <= CHUNK_BYTES
    });
    fits.count().max(1)
}

impl Lake {
    /// Stores files and commits them together with the move of the stream to `to`. Returns whether a commit was needed.
    pub(crate) async fn commit_encoded(
        &self,
        encoded: Encoded,
        stream: &StreamId,
        position: &mut TablePosition,
        to: u64,
    ) -> Result<bool> {
        if position.position.is_some_and(|known| known >= to) {
            // after a crash this table can be ahead of the others; replay has dropped its rows
            return Ok(false);
        }
        let table = self.table(encoded.def)?.clone();
        let owner = Owner::of(&stream.system, &stream.broker_group);
        let mut files = Vec::with_capacity(encoded.files.len());
        for (day, level, file) in encoded.files {
            files.push(self.store_file(&table, day, level, &owner, file).await?);
        }
        let stream_move = [Move { stream: stream.clone(), from: position.position, to }];
        let (beside, attempts) = (position.rests_on(stream), self.settings.commit_attempts);
        match table.append_beside(&files, &stream_move, beside.as_ref(), attempts).await? {
            Outcome::Committed => {
                position.position = Some(to);
                Ok(true)
            }
            Outcome::Moved => {
                self.delete_files(&table, &files).await?;
                Err(Error::Usage(format!(
                    "another process is importing {stream} into table `{}`; one writer per broker group, please",
                    table.def.name
                )))
            }
            Outcome::BesideMoved => {
                self.delete_files(&table, &files).await?;
                Err(Error::Usage(format!(
                    "a server that follows broker `{}` has committed its messages while this import was reading them; \
                     nothing is stored twice, and what was imported before stays. Stop following this broker, or leave \
                     the import to it, then run the import again",
                    stream.broker_group
                )))
            }
            Outcome::Stale => {
                self.delete_files(&table, &files).await?;
                Err(Error::store(
                    format!("committing to table `{}`", table.def.name),
                    "storing the files took longer than half of lake.leftover_age; run this again",
                ))
            }
        }
    }

    /// The day rule for rows written at `now`.
    pub(crate) fn days(&self, now: DateTime<Utc>) -> DayRule {
        DayRule::new(now, self.settings.clock_tolerance, self.settings.days_per_commit)
    }

    /// Positions of the tables that a stream feeds, in the order of commits.
    pub(crate) async fn positions(&self, stream: &StreamId) -> Result<Vec<TablePosition>> {
        let defs = stream.log.0.tables.iter();
        let mut positions: Vec<_> =
            defs.map(|def| TablePosition { def, position: None, beside: None }).collect();
        for entry in &mut positions {
            let table = self.table(entry.def)?;
            // read first, so that the commit notices everything that the other stream commits from now on
            if let Some(other) = stream.beside() {
                entry.beside = Some(table.position(&other).await?);
            }
            entry.position = table.position(stream).await?;
        }
        Ok(positions)
    }
}

/// Encodes flushes as they arrive, [`FLUSHES_AHEAD`] at a time, and returns the results in order: while one is stored
/// and committed, the next ones are sorted and compressed.
pub(super) fn encode_ahead<'a, F, E, T>(
    flushes: mpsc::Receiver<F>,
    encode: impl Fn(F) -> E + 'a,
) -> impl Stream<Item = Result<T>> + 'a
where
    F: 'a,
    E: Future<Output = Result<T>> + 'a,
{
    let flushes =
        stream::unfold(
            flushes,
            |mut flushes| async move { flushes.recv().await.map(|flush| (flush, flushes)) },
        );
    flushes.map(encode).buffered(FLUSHES_AHEAD)
}

/// Runs blocking work on a shared batch.
pub(crate) async fn blocking<B, T>(
    batch: &Arc<B>,
    work: impl FnOnce(&B) -> Result<T> + Send + 'static,
) -> Result<T>
where
    B: Send + Sync + ?Sized + 'static,
    T: Send + 'static,
{
    let batch = batch.clone();
    tokio::task::spawn_blocking(move || work(&batch)).await?
}
