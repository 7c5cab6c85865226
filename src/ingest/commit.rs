//! From rows to a commit: sort, encode, store, and name them in the Delta log with the stream's position.

use std::sync::Arc;

use chrono::NaiveDate;
use futures::{Stream, StreamExt, stream};
use tokio::sync::mpsc;

use crate::config;
use crate::error::{Error, Result};
use crate::lake::schema::TableDef;
use crate::lake::{EncodedFile, FileEncoder, Lake, Level, Move, Outcome, Owner, StreamId};
use crate::replay::{BatchContext, Rows};

/// Rows turned into columns at a time.
const CHUNK_ROWS: usize = 16 * 1024;
/// Flushes encoded at the same time.
const FLUSHES_AHEAD: usize = 2;
/// Bytes of bodies turned into columns at a time.
const CHUNK_BYTES: usize = 4 << 20;

/// Files of one table, not yet stored.
pub(crate) struct Encoded {
    def: &'static TableDef,
    files: Vec<(NaiveDate, Level, EncodedFile)>,
}

impl Encoded {
    /// The files by table and day.
    pub(crate) fn into_days(self) -> impl Iterator<Item = (&'static TableDef, NaiveDate, EncodedFile)> {
        let def = self.def;
        self.files.into_iter().map(move |(day, _, file)| (def, day, file))
    }
}

/// Position of one table in a stream during a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TablePosition {
    pub(crate) def: &'static TableDef,
    pub(crate) position: Option<u64>,
}

/// Sorts and encodes rows, one file a day.
pub(crate) fn encode(
    rows: &dyn Rows,
    context: &BatchContext<'_>,
    settings: &config::Lake,
) -> Result<Encoded> {
    let def = rows.def();
    let mut files = Vec::new();
    for day in rows.sorted(context) {
        let level = Level::of_new(def, day.order.len() as u64, settings.settled_rows);
        let mut encoder = FileEncoder::new(def, settings)?;
        let mut left = day.order.as_slice();
        while !left.is_empty() {
            let (chunk, rest) = left.split_at(chunk_rows(rows, left));
            encoder.write(&rows.batch(chunk, context)?)?;
            left = rest;
        }
        files.push((day.day, level, encoder.finish()?));
    }
    Ok(Encoded { def, files })
}

/// How many of the next rows to turn into columns at once.
fn chunk_rows(rows: &dyn Rows, order: &[u32]) -> usize {
    let mut bytes = 0;
    let fits = order.iter().take(CHUNK_ROWS).take_while(|row| {
        bytes += rows.heap_bytes_of(**row);
        bytes <= CHUNK_BYTES
    });
    fits.count().max(1)
}

impl Lake {
    /// Stores files and commits them with the stream's move to `to`.
    pub(super) async fn commit_encoded(
        &self,
        encoded: Encoded,
        stream: &StreamId,
        position: &mut TablePosition,
        to: u64,
    ) -> Result<bool> {
        if position.position.is_some_and(|known| known >= to) {
            // the table is ahead of the others after a crash; replay has dropped its rows
            return Ok(false);
        }
        let table = self.table(encoded.def)?.clone();
        let owner = Owner::of(&stream.system, &stream.broker_group);
        let mut files = Vec::with_capacity(encoded.files.len());
        for (day, level, file) in encoded.files {
            files.push(self.store_file(&table, day, level, &owner, file).await?);
        }
        let stream_move = Move { stream: stream.clone(), from: position.position, to };
        match table.append(&files, &[stream_move], self.settings.commit_attempts).await? {
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
        }
    }

    /// Positions of tables in a stream.
    pub(crate) async fn positions<const N: usize>(
        &self,
        stream: &StreamId,
        defs: [&'static TableDef; N],
    ) -> Result<[TablePosition; N]> {
        let mut positions = defs.map(|def| TablePosition { def, position: None });
        for entry in &mut positions {
            entry.position = self.table(entry.def)?.position(stream).await?;
        }
        Ok(positions)
    }
}

/// Encodes flushes as they come, two at a time, and hands the results out in order: while one is stored and
/// committed the next are being sorted and compressed.
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

/// Runs blocking work that needs a shared batch.
pub(super) async fn blocking<B, T>(
    batch: &Arc<B>,
    work: impl FnOnce(&B) -> Result<T> + Send + 'static,
) -> Result<T>
where
    B: Send + Sync + 'static,
    T: Send + 'static,
{
    let batch = batch.clone();
    tokio::task::spawn_blocking(move || work(&batch)).await?
}
