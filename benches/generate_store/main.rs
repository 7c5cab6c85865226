//! Writes the store directory of a QMQ broker, or of a Java backup, at any size: what `mqlake import` reads.
//!
//! ```text
//! cargo run --release --example generate_store -- --out DIR --messages 5000000
//! ```
//!
//! The traffic is simulated event by event and written as it happens, so memory does not grow with the number of
//! messages, and the same options give the same bytes. Subjects follow a Zipf distribution, producers send in bursts,
//! every subject has consumer groups that pull runs of messages and acknowledge them in order, some messages come
//! back as retries and a few end as dead letters.
//!
//! | folder | content |
//! | --- | --- |
//! | `indexlog/` | index records, with `--log index` |
//! | `messagelog/` | message records with content, with `--log message` |
//! | `actionlog/` | pulls and acks |
//!
//! Full segments have their full size; the last one ends after its last record. A summary with sample messages is
//! printed as JSON and stored as `summary.json` beside the logs.

mod logs;
mod names;
mod summary;
mod traffic;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use serde::Serialize;

use crate::logs::Logs;
use crate::names::Names;
use crate::summary::Summary;
use crate::traffic::Traffic;

/// Writes a broker store of simulated traffic.
#[derive(Debug, Parser, Serialize)]
struct Options {
    /// Directory to write to; must not hold logs yet
    #[arg(long, value_name = "DIR")]
    #[serde(skip)]
    out: PathBuf,
    /// Total number of messages, with retries and dead letters
    #[arg(long, default_value_t = 5_000_000)]
    messages: u64,
    /// Which log holds the messages
    #[arg(long, value_enum, default_value_t = MessageLog::Index)]
    log: MessageLog,
    /// Real subjects
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    subjects: u32,
    /// Exponent of the Zipf distribution: with 200 subjects and 1, the first has 17 % of the messages
    #[arg(long, default_value_t = 1.0)]
    zipf: f64,
    /// Days the messages spread over
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// Begin of the first day, in milliseconds since the Unix epoch
    #[arg(long, default_value_t = 1_716_163_200_000, value_parser = clap::value_parser!(i64).range(1..=4_000_000_000_000))]
    start_ms: i64,
    /// Consumer groups of a subject
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=100))]
    groups: u32,
    /// Mean number of messages that a producer sends at once
    #[arg(long, default_value_t = 12.0)]
    burst: f64,
    /// Producer processes
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    producers: u32,
    /// Mean size of a message's own attribute with `--log message`; 0 for none
    #[arg(long, default_value_t = 200)]
    body_bytes: u32,
    /// Messages of each of the sampled subjects in the summary
    #[arg(long, default_value_t = 100)]
    samples: usize,
    /// The same seed and options give the same logs
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The log that holds the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum MessageLog {
    /// Index log of a Java backup
    Index,
    /// Message log of a broker
    Message,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let started = Instant::now();
    refuse_existing(&options.out)?;
    let mut names = Names::new(options);
    let mut summary = Summary::new(options, names.subjects());
    let mut logs = Logs::create(options);
    Traffic::new(options, &names).run(&mut names, &mut logs, &mut summary)?;
    summary.bytes = logs.finish()?;
    let text = serde_json::to_string(&summary.report(options, &mut names, started.elapsed()))?;
    std::fs::write(options.out.join("summary.json"), &text)?;
    writeln!(io::stdout(), "{text}")
}

/// Refuses a directory with logs: appending to them would make a log that no broker writes.
fn refuse_existing(out: &Path) -> io::Result<()> {
    std::fs::create_dir_all(out)?;
    for folder in ["indexlog", "messagelog", "actionlog"] {
        if out.join(folder).exists() {
            let message =
                format!("{} holds a {folder} already; remove it or name another directory", out.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
    }
    Ok(())
}
