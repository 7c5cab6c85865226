//! The test peer as a program: a QMQ cluster for measurements and tests by hand, or a client that only reads.
//!
//! The first line on stdout is JSON with all addresses. The program runs until it is killed.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

mod control;
mod null_client;
#[path = "../../tests/integration/peer/mod.rs"]
mod peer;

use clap::Parser;
use peer::{GroupLogs, Peer, PeerSettings};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;

#[derive(Parser)]
#[command(about = "Plays a QMQ cluster from log files")]
struct Arguments {
    /// Plays this store directory of a broker as a broker group; repeatable
    #[arg(long, value_name = "NAME=DIR", value_parser = store)]
    store: Vec<(String, PathBuf)>,
    /// Plays all broker groups of a fixture directory
    #[arg(long, value_name = "DIR")]
    fixture: Option<PathBuf>,
    /// Live traffic: this many records per second and group become visible
    #[arg(long, value_name = "RATE")]
    reveal: Option<f64>,
    /// Part visible at the start; without --reveal it stays at that
    #[arg(long, value_name = "FRACTION")]
    start_at: Option<f64>,
    /// Visible data may end at any byte, not only between records
    #[arg(long)]
    torn: bool,
    /// Probability that an answer breaks off
    #[arg(long, value_name = "CHANCE", default_value_t = 0.0)]
    cut: f64,
    /// Probability of code 51
    #[arg(long, value_name = "CHANCE", default_value_t = 0.0)]
    error: f64,
    /// Probability of no answer
    #[arg(long, value_name = "CHANCE", default_value_t = 0.0)]
    silent: f64,
    /// Bytes of data in an answer
    #[arg(long, default_value_t = 100_000)]
    batch_size: usize,
    /// Only this host name is recognised by the metaserver
    #[arg(long)]
    hostname: Option<String>,
    /// Seed of all random decisions
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Reads from a sync server instead of serving
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["store", "fixture"])]
    null_client: Option<String>,
    /// Offset from which the null client reads the index stream
    #[arg(long, value_name = "OFFSET", requires = "null_client", allow_negative_numbers = true)]
    index_from: Option<i64>,
    /// Offset from which the null client reads the action stream
    #[arg(long, value_name = "OFFSET", requires = "null_client", allow_negative_numbers = true)]
    action_from: Option<i64>,
}

fn store(text: &str) -> Result<(String, PathBuf), String> {
    let (name, dir) = text.split_once('=').ok_or("NAME=DIR is needed")?;
    Ok((name.to_owned(), PathBuf::from(dir)))
}

impl Arguments {
    fn groups(&self) -> Vec<GroupLogs> {
        let mut groups = self.fixture.as_deref().map(GroupLogs::all_from_fixture).unwrap_or_default();
        groups.extend(self.store.iter().map(|(name, dir)| GroupLogs::from_store(name, dir)));
        groups
    }

    fn settings(&self) -> PeerSettings {
        PeerSettings {
            torn: self.torn,
            cut: self.cut,
            error: self.error,
            silent: self.silent,
            batch_size: self.batch_size,
            hostname: self.hostname.clone(),
            seed: self.seed,
            ..PeerSettings::default()
        }
    }
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    if let Some(address) = &arguments.null_client {
        println!("{}", null_client::run(address, arguments.index_from, arguments.action_from).await);
        return;
    }
    let groups = arguments.groups();
    if groups.is_empty() {
        eprintln!("no broker group: give --fixture or --store");
        std::process::exit(2);
    }
    let peer = Arc::new(Peer::start(groups, arguments.settings()).await);
    if arguments.reveal.is_some() || arguments.start_at.is_some() {
        peer.reveal_fraction(arguments.start_at.unwrap_or(0.0));
    }
    peer.reveal_at_rate(arguments.reveal.unwrap_or(0.0));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("a bound socket"));
    println!("{}", control::addresses(&peer, &url));
    std::io::stdout().flush().expect("stdout");
    control::serve(listener, peer).await;
}
