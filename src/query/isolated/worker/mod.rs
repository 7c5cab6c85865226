//! The worker: a process that runs one statement at a time for a server, and ends with it.
//!
//! It reads frames from standard input and writes frames to standard output (`frame.rs`). It limits its own memory: an
//! allocation beyond `sql.memory` fails and ends the process, which the server reports as an ordinary error.
//!
//! **ENDS-WITH-ITS-SERVER**: one thread only reads, so that the end of the input ends the process at once, even during
//! a computation. (The kernel's parent-death signal is sent when the *thread* that started the process ends, so it does
//! not help here.)

mod panics;
mod pipe;
mod rows;
mod store;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use super::death;
use super::frame::{Frame, Kind};
use super::message::{End, Failure, Setup};
use super::os;
use super::state::Tables;
use crate::config;
use crate::error::{Error, Result};
use crate::lake::Store;
use crate::query::files::FileCache;
use crate::query::limits;
use crate::query::session::{Resources, Session, sql_error};
use crate::query::sql::{STACK_BYTES, threads};
use pipe::Pipe;
use rows::RowsEncoder;
use store::WorkerStore;

/// Threads for blocking work of the engine, which is spilling.
const BLOCKING_THREADS: usize = 4;
/// Threads that read local files for the store.
const READING_THREADS: usize = 8;
/// Memory for footers and page indexes.
const METADATA_CACHE: bytesize::ByteSize = bytesize::ByteSize::mib(16);
/// Writable memory of a statement beside `sql.memory`: for stacks of reading threads and for frames.
const BESIDE_MEMORY: u64 = 32 << 20;

/// Runs statements for the server at the other end of standard input and output until the server ends.
#[must_use]
pub fn run() -> ExitCode {
    os::lower_priority();
    panics::keep_last();
    let started = Pipe::open().and_then(|pipe| Ok((pipe, engine_threads()?, reading_threads()?)));
    match started {
        Ok((pipe, threads, reading)) => {
            let outcome = threads.block_on(serve(pipe, &reading));
            if let Err(error) = outcome {
                eprintln!("{error}");
            }
            // nobody waits for what still runs here
            os::end_self()
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn engine_threads() -> std::io::Result<Runtime> {
    let threads = Builder::new_multi_thread()
        .worker_threads(threads())
        .thread_stack_size(STACK_BYTES)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_keep_alive(Duration::from_secs(24 * 3600))
        .enable_all()
        .build()?;
    // allocate their stacks before memory is limited
    let barrier = Arc::new(std::sync::Barrier::new(BLOCKING_THREADS));
    for _ in 0..BLOCKING_THREADS {
        let barrier = barrier.clone();
        threads.spawn_blocking(move || barrier.wait());
    }
    Ok(threads)
}

fn reading_threads() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).max_blocking_threads(READING_THREADS).enable_all().build()
}

async fn serve(mut pipe: Pipe, reading: &Runtime) -> Result<()> {
    let mut engine = None;
    let mut tables = Tables::default();
    let odd = |error: std::io::Error| Error::Engine(format!("what the server sent makes no sense: {error}"));
    while let Some(frame) = pipe.next().await {
        match frame.kind {
            Kind::Setup => {
                let setup: Setup = frame.decode_json().map_err(odd)?;
                engine = Some(Arc::new(Engine::new(setup, &pipe, reading).await?));
            }
            Kind::Tables => {
                let change = frame.decode_json().map_err(odd)?;
                tables.apply(change).map_err(Error::Engine)?;
            }
            Kind::Run => {
                let (number, text) = frame.split_number().map_err(odd)?;
                let engine = engine.clone().ok_or_else(|| Error::Engine("no setup".to_owned()))?;
                let text =
                    String::from_utf8(text.into()).map_err(|error| Error::Engine(error.to_string()))?;
                run_one(&engine, &mut pipe, number, text, &tables).await;
            }
            other => return Err(Error::Engine(format!("unexpected {other:?}"))),
        }
    }
    Ok(())
}

/// Runs one statement until all its tasks have ended.
async fn run_one(engine: &Arc<Engine>, pipe: &mut Pipe, number: u64, text: String, tables: &Tables) {
    let writable = os::memory(std::process::id()).unwrap_or_default().writable;
    if writable > 0 {
        os::limit_memory(writable + engine.setup.memory + BESIDE_MEMORY);
    }
    panics::forget();
    engine.store.begin();
    let began = Instant::now();
    let (worker, frames, pinned) = (engine.clone(), pipe.frames.clone(), tables.pinned());
    let mut task = tokio::spawn(async move {
        let mut end = End::default();
        let outcome = worker.run(&text, pinned, &frames, &mut end).await;
        end.failure = outcome.err().map(|error| Failure::from(&error));
        end
    });
    let ended = tokio::select! {
        ended = &mut task => Some(ended),
        () = pipe.cancelled(number) => None,
    };
    let waits_for_store = engine.store.is_waited_for(began.elapsed());
    let ended = match ended {
        Some(ended) => ended,
        None => {
            task.abort();
            task.await
        }
    };
    let mut end = ended.unwrap_or_default();
    end.waits_for_store = waits_for_store;
    let panic = panics::last();
    if let Some(message) = &panic {
        // whatever the outcome: the engine's state is undefined after a panic
        let memory = || limits::too_much_memory(&engine.settings());
        end.failure = Some(Failure::from(&death::of_panic(message, memory)));
    }
    let Ok(frame) = Frame::json(Kind::End, &end) else { return };
    pipe.send(frame).await;
    while tokio::runtime::Handle::current().metrics().num_alive_tasks() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    if panic.is_none() {
        pipe.send(Frame::new(Kind::Idle, Vec::new())).await;
    }
}

struct Engine {
    setup: Setup,
    session: Session,
    store: Arc<WorkerStore>,
}

impl Engine {
    async fn new(setup: Setup, pipe: &Pipe, reading: &Runtime) -> Result<Engine> {
        let own = match &setup.store {
            Some((url, options)) => Some(Store::named(url, options)?),
            None => None,
        };
        let objects = own.as_ref().map(|own| own.objects.clone());
        let store = Arc::new(WorkerStore::new(objects, pipe.files(), reading.handle().clone()));
        let mut lake = match own {
            Some(own) => own,
            None => Store::with_objects(store.clone(), not_here()?)?,
        };
        lake.objects = store.clone();
        let cache = config::Cache {
            metadata: METADATA_CACHE,
            bloom: bytesize::ByteSize::mib(1),
            runs: bytesize::ByteSize::mib(1),
        };
        std::fs::create_dir_all(&setup.spill_dir).map_err(|error| {
            Error::Engine(format!("sql.spill_dir: {}: {error}", setup.spill_dir.display()))
        })?;
        let resources = Resources {
            // half, so that statements that run at the same time can make progress
            memory: usize::try_from(setup.memory / 2).unwrap_or(usize::MAX),
            spill_dir: Some(setup.spill_dir.clone()),
            spill_max: setup.spill_max,
        };
        let session = Session::new(&FileCache::new(&lake, &cache), resources, threads()).await?;
        // now, while no statement waits for it
        session.complete().await?;
        Ok(Engine { setup, session, store })
    }

    fn settings(&self) -> config::Sql {
        config::Sql { memory: bytesize::ByteSize(self.setup.memory), ..config::Sql::default() }
    }

    async fn run(
        &self,
        text: &str,
        pinned: Arc<crate::query::Pinned>,
        frames: &mpsc::Sender<Frame>,
        end: &mut End,
    ) -> Result<()> {
        let frame = self.session.plan(pinned, text).await?;
        let mut encoder = RowsEncoder::new(frame.schema().as_arrow(), self.setup.max_row)?;
        let send = async |frame: Frame| {
            frames.send(frame).await.map_err(|_| Error::Engine("the server is gone".to_owned()))
        };
        send(Frame::new(Kind::Schema, encoder.take())).await?;
        let mut stream = frame.execute_stream().await.map_err(|error| sql_error(&error))?;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(|error| sql_error(&error))?;
            if end.rows + batch.num_rows() as u64 > self.setup.max_rows as u64 {
                return Err(limits::too_many_rows(self.setup.max_rows));
            }
            let mut rest = batch;
            while rest.num_rows() > 0 {
                let part = encoder.cut(&mut rest)?;
                end.rows += part.num_rows() as u64;
                end.bytes += rows::size(&part) as u64;
                if end.bytes > self.setup.max_bytes {
                    return Err(limits::too_many_bytes(self.setup.max_bytes));
                }
                send(Frame::new(Kind::Rows, encoder.encode(&part)?)).await?;
            }
        }
        Ok(())
    }
}

/// URL of a store that only the server can open.
fn not_here() -> Result<url::Url> {
    url::Url::parse("mqlake://server/").map_err(|error| Error::Invariant(error.to_string()))
}
