//! Writes the store directory of a RocketMQ broker at any size: what `mqlake import --system rocketmq` reads.
//!
//! ```text
//! cargo run --release --example generate_rocketmq -- --out DIR --messages 2000000 --traces 100000
//! ```
//!
//! It is only a commit log: no consume queues, no index, no settings. There are a few topics, the first much busier
//! than the last. A message has a unique key, a tag and two keys: `order-…`, which no other message has, and
//! `customer-…`, which up to 64 messages of the same topic share, spread over the whole log. Between them are trace
//! messages of [`traffic::CONTEXTS`] contexts each, from producers and consumers. The same options give the same bytes,
//! and memory does not grow with the number of messages. A summary with sample keys is printed as JSON and stored as
//! `summary.json` beside the log.

mod log;
mod names;
mod traffic;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;
use serde_json::{Value, json};

use crate::log::CommitLog;
use crate::names::Names;
use crate::traffic::Traffic;

/// Writes a broker store of simulated traffic.
#[derive(Debug, Parser, Serialize)]
struct Options {
    /// Directory to write to; must not hold a log yet
    #[arg(long, value_name = "DIR")]
    #[serde(skip)]
    out: PathBuf,
    /// Messages of applications
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(..=1_000_000_000))]
    messages: u64,
    /// Trace messages beside them
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(..=1_000_000_000))]
    traces: u64,
    /// Size of a file of the commit log
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30, value_parser = clap::value_parser!(u64).range(1 << 16..=1 << 31))]
    file_bytes: u64,
    /// Mean size of a body
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(..=10_000))]
    body_bytes: u32,
    /// Topics
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    topics: u32,
    /// Days the messages spread over
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=365))]
    days: u32,
    /// Begin of the first day, in milliseconds since the Unix epoch
    #[arg(long, default_value_t = 1_716_163_200_000, value_parser = clap::value_parser!(i64).range(1..=4_000_000_000_000))]
    start_ms: i64,
    /// Keys of each kind in the summary
    #[arg(long, default_value_t = 1000)]
    samples: usize,
    /// The same seed and options give the same log
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A kind of keys.
#[derive(Debug, Clone, Copy)]
enum KeyKind {
    /// A key of one message.
    Order,
    /// A key of up to 64 messages.
    Customer,
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
    let mut log = CommitLog::create(&options.out.join("commitlog"), options.file_bytes)?;
    let mut traffic = Traffic::new(options);
    let total = options.messages + options.traces;
    for place in 0..total {
        // the traces that come before the next message
        if (place + 1) * options.traces / total > place * options.traces / total {
            traffic.trace(place, &mut log)?;
        } else {
            traffic.message(place, &mut log)?;
        }
    }
    let bytes = log.finish()?;
    let names = Names::new(options);
    let text = serde_json::to_string(&json!({
        "options": options,
        "messages": options.messages,
        "trace_messages": options.traces,
        "trace_events": options.traces * traffic::CONTEXTS,
        "bytes": bytes,
        "keys": {
            "order": samples(options, &names, KeyKind::Order),
            "customer": samples(options, &names, KeyKind::Customer),
        },
        "seconds": started.elapsed().as_secs_f64(),
    }))?;
    std::fs::write(options.out.join("summary.json"), &text)?;
    writeln!(io::stdout(), "{text}")
}

/// Distinct sample keys with their topic and number of messages.
fn samples(options: &Options, names: &Names, kind: KeyKind) -> Vec<Value> {
    let keys = match kind {
        KeyKind::Order => options.messages,
        KeyKind::Customer => names.customers(),
    };
    let wanted = keys.min(options.samples as u64);
    let mut rng = SmallRng::seed_from_u64(options.seed ^ 0x6b65_7973);
    (0..wanted)
        .map(|sample| {
            // one from each of equally long ranges
            let stretch = sample * keys / wanted..(sample + 1) * keys / wanted;
            let number = rng.random_range(stretch);
            let (key, messages) = match kind {
                KeyKind::Order => (names.order(number), 1),
                KeyKind::Customer => (names.customer(number), names.messages_of(number)),
            };
            json!({ "topic": names.topic(number), "key": key, "messages": messages })
        })
        .collect()
}
