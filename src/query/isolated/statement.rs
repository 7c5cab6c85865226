//! Runs one statement on a worker: sends it, passes its rows on, stops it at the deadline or when the reader is gone,
//! and gives the worker back or ends it.
//!
//! **STOPPED-IN-TIME**: after the deadline, or after the reader is gone, permit, worker and memory are free again
//! within [`STOP_TIME`] plus the end of a process, whatever the statement does and whether or not its rows are taken.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use bytes::{Buf, Bytes};
use object_store::path::Path;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::child::Worker;
use super::death;
use super::frame::{Frame, Kind};
use super::message::{End, Read};
use super::pool::Pool;
use crate::config;
use crate::error::{Error, Result};
use crate::lake::scan::object_path;
use crate::query::catalog::{Catalog, Pinned};
use crate::query::limits::Limits;

/// Maximum time in which a worker stops a cancelled statement.
const STOP_TIME: Duration = Duration::from_millis(300);

/// A statement and where its rows go.
pub(super) struct Statement {
    pub(super) number: u64,
    pub(super) text: String,
    pub(super) limits: Limits,
    pub(super) planned: oneshot::Sender<SchemaRef>,
    pub(super) batches: mpsc::Sender<arrow::record_batch::RecordBatch>,
}

/// Figures of a statement, for the log.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) memory: u64,
    pub(super) is_unwanted: bool,
}

/// Why the exchange with a worker ended.
enum Stop {
    /// The statement ended.
    Ended(End),
    /// The deadline has passed.
    Late,
    /// The reader is gone.
    Unwanted,
    /// The worker is gone, or sent an unexpected frame.
    Broken(io::Error),
}

/// Runs a statement to its end. Calls `finish` with the outcome as soon as it is known.
pub(super) async fn run(
    pool: &Arc<Pool>,
    catalog: &Catalog,
    settings: &config::Sql,
    statement: Statement,
    finish: impl FnOnce(&Report, Result<()>),
) {
    let mut report = Report::default();
    let batches = statement.batches.clone();
    let begin = Instant::now();
    let worker = tokio::select! {
        () = batches.closed() => {
            report.is_unwanted = true;
            return finish(&report, Ok(()));
        }
        worker = pool.take() => worker,
    };
    // the start of a process does not count against the statement's time
    let limits = statement.limits.later_by(begin.elapsed());
    let mut worker = match worker {
        Ok(worker) => worker,
        Err(error) => return finish(&report, Err(error)),
    };
    let running = pool.watch.begin(&worker.watched);
    let number = statement.number;
    let pinned = catalog.pin();
    let stop = tokio::select! {
        biased;
        () = tokio::time::sleep_until(limits.deadline) => Stop::Late,
        () = batches.closed() => Stop::Unwanted,
        stop = exchange(&mut worker, catalog, &pinned, statement) => stop.unwrap_or_else(Stop::Broken),
    };
    let is_stopped = matches!(stop, Stop::Late | Stop::Unwanted);
    if let Stop::Ended(end) = &stop {
        (report.rows, report.bytes) = (end.rows, end.bytes);
    }
    report.memory = worker.watched.peak();
    report.is_unwanted = matches!(stop, Stop::Unwanted);
    let mut finish = Some(finish);
    let mut finish = |report: &Report, outcome: Result<()>| {
        if let Some(finish) = finish.take() {
            finish(report, outcome);
        }
    };
    match stop {
        Stop::Ended(End { failure: Some(failure), .. }) => finish(&report, Err(failure.into())),
        Stop::Ended(_) => finish(&report, Ok(())),
        Stop::Broken(error) => {
            drop(running);
            pool.died.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let ended = worker.end(true).await;
            let outcome = death::error(&ended, settings);
            tracing::warn!(statement = number, worker = %death::describe(&ended), %error, "a process for SQL ended");
            finish(&report, Err(outcome));
            return pool.fill();
        }
        Stop::Late | Stop::Unwanted => {}
    }
    drop(batches);
    let idle = timeout(STOP_TIME, wait_until_idle(&mut worker, number, is_stopped)).await;
    drop(running);
    let end = match idle {
        Ok(Ok(end)) => {
            let end = end.unwrap_or_default();
            // a read that still waits for the store can hold threads of the worker
            if end.waits_for_store {
                drop(tokio::spawn(worker.end(false)))
            } else {
                pool.give_back(worker)
            }
            end
        }
        // it computes without yielding, or is gone: in both cases it is replaced
        Ok(Err(_)) | Err(_) => {
            worker.end(false).await;
            End::default()
        }
    };
    pool.fill();
    let outcome = match report.is_unwanted {
        true => Ok(()),
        false if end.waits_for_store => Err(limits.store_is_late()),
        false => Err(limits.late()),
    };
    finish(&report, outcome);
}

/// Waits until the worker is idle, after cancelling the statement if `stop`. Returns how the statement ended.
async fn wait_until_idle(worker: &mut Worker, number: u64, stop: bool) -> io::Result<Option<End>> {
    if stop {
        worker.send(&Frame::numbered(Kind::Cancel, number, &[])).await?;
    }
    let mut end = None;
    while let Some(frame) = worker.receive().await? {
        match frame.kind {
            Kind::Idle => return Ok(end),
            Kind::End => end = Some(frame.decode_json()?),
            _ => {}
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

async fn exchange(
    worker: &mut Worker,
    catalog: &Catalog,
    pinned: &Arc<Pinned>,
    statement: Statement,
) -> io::Result<Stop> {
    worker.send_tables(pinned).await?;
    worker.send(&Frame::numbered(Kind::Run, statement.number, statement.text.as_bytes())).await?;
    let mut rows = None;
    let mut planned = Some(statement.planned);
    let mut files = Files { catalog, pinned, hot: None };
    while let Some(frame) = worker.receive().await? {
        match frame.kind {
            Kind::Schema => {
                let reader = StreamReader::try_new(Arrived(frame.payload), None).map_err(io::Error::other)?;
                if let Some(planned) = planned.take() {
                    let _ = planned.send(reader.schema());
                }
                rows = Some(reader);
            }
            Kind::Rows => {
                let reader = rows.as_mut().ok_or_else(|| io::Error::other("rows before their columns"))?;
                reader.get_mut().0 = frame.payload;
                let batch = reader.next().ok_or(io::ErrorKind::UnexpectedEof)?.map_err(io::Error::other)?;
                if statement.batches.send(batch).await.is_err() {
                    return Ok(Stop::Unwanted);
                }
            }
            Kind::Read => {
                let read: Read = frame.decode_json()?;
                let answer = match files.read(&read).await {
                    Ok(bytes) => Frame::numbered(Kind::Bytes, read.number, &bytes),
                    Err(error) => {
                        Frame::numbered(Kind::ReadFailed, read.number, error.to_string().as_bytes())
                    }
                };
                worker.send(&answer).await?;
            }
            Kind::End => return Ok(Stop::Ended(frame.decode_json()?)),
            other => return Err(io::Error::other(format!("unexpected {other:?}"))),
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// Arrow IPC messages of one frame, from which a stream reader takes one batch.
struct Arrived(Bytes);

impl io::Read for Arrived {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        (&mut self.0).reader().read(into)
    }
}

/// Files that a worker reads through the server: hot files, and files of a store that only this process can open.
struct Files<'a> {
    catalog: &'a Catalog,
    pinned: &'a Pinned,
    hot: Option<HashMap<Path, Bytes>>,
}

impl Files<'_> {
    async fn read(&mut self, read: &Read) -> Result<Vec<u8>> {
        let path = Path::parse(&read.path).map_err(|error| Error::Invariant(error.to_string()))?;
        let pinned = self.pinned;
        let hot = self.hot.get_or_insert_with(|| hot_files(pinned));
        let parts: Vec<Bytes> = match hot.get(&path) {
            Some(file) => {
                let part = |range: &std::ops::Range<u64>| {
                    let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(file.len());
                    file.slice(at(range.start).min(at(range.end))..at(range.end))
                };
                read.ranges.iter().map(part).collect()
            }
            None => self.catalog.lake.store.objects.get_ranges(&path, &read.ranges).await?,
        };
        Ok(parts.concat())
    }
}

fn hot_files(pinned: &Pinned) -> HashMap<Path, Bytes> {
    let files = pinned.tables().flat_map(|table| {
        table
            .hot_files()
            .filter_map(|file| Some((object_path(&table.folder, &file.path), file.bytes.clone()?)))
    });
    files.collect()
}
