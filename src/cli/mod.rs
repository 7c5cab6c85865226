//! The command line: one file a command.
//!
//! Results go to standard output, logs and progress to standard error. Exit codes are those of
//! [`Error::exit_code`].

mod config;
mod demo;
mod import;
mod seek;
mod serve;
mod sql;
mod status;
mod verify;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::{Lake, Store};

/// Message history for QMQ (and RocketMQ): follows running clusters or imports broker logs into Parquet tables,
/// and answers the QMQ backup server's HTTP API and SQL over them.
///
/// Try it: `mqlake demo`. Then `mqlake serve --qmq-conf DIR` in the original backup server's place, or
/// `mqlake import --store /data --broker-group GROUP` and `mqlake serve`.
#[derive(Debug, Parser)]
#[command(name = "mqlake", version, max_term_width = 110)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// Root of the tables: a directory or a URL such as s3://bucket/prefix [default: ./mqlake-data]
    #[arg(long, global = true, env = "MQLAKE_DATA", value_name = "URL")]
    data: Option<String>,
    /// Settings file [default: mqlake.toml, if there is one]
    #[arg(long, global = true, env = "MQLAKE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory with the original server's backup.properties and skip_backup.properties, to take over
    #[arg(long, global = true, env = "MQLAKE_QMQ_CONF", value_name = "DIR")]
    qmq_conf: Option<PathBuf>,
    /// What to log: error, warn, info, debug, or directives such as mqlake=debug
    #[arg(
        long,
        global = true,
        env = "MQLAKE_LOG",
        default_value = "warn,mqlake=info",
        value_name = "FILTER"
    )]
    log: String,
    /// Log as JSON lines
    #[arg(long, global = true, env = "MQLAKE_LOG_JSON")]
    log_json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Import the logs of a QMQ broker, slave or Java backup
    Import(import::Import),
    /// Follow the configured QMQ clusters and serve the HTTP API and SQL over the tables
    Serve(serve::Serve),
    /// Show what a running server follows: positions, lag, gaps and alarms
    Status(status::Status),
    /// Run one SQL statement and print its rows
    Sql(sql::Sql),
    /// Check every file and position of the tables
    Verify(verify::Verify),
    /// Go on at another offset of a broker's log, after it was reset or damaged
    Seek(seek::Seek),
    /// Show or check the settings
    Config(config::ConfigCommand),
    /// Import a small sample that comes with the program, serve it, and print requests to try
    Demo(demo::Demo),
}

/// Threads for short work that blocks, such as writing to disk.
const MOST_BLOCKING_THREADS: usize = 64;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    init_logging(&arguments.common);
    // two TLS back ends are linked; without a choice the first use would panic
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        // each thread keeps memory of its own for a while
        .max_blocking_threads(MOST_BLOCKING_THREADS)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the async runtime cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(run(arguments));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(arguments: Arguments) -> Result<ExitCode> {
    let file = arguments.common.config.as_deref();
    let (mut config, report) = match &arguments.common.qmq_conf {
        Some(folder) => Config::load_with(file, folder).map(|(config, report)| (config, Some(report)))?,
        None => (Config::load(file)?, None),
    };
    if let Some(data) = arguments.common.data {
        config.data = data;
    }
    match arguments.command {
        Command::Import(command) => command.run(config).await,
        Command::Serve(command) => {
            for line in report
                .iter()
                .flat_map(|report| report.to_string().lines().map(str::to_owned).collect::<Vec<_>>())
            {
                tracing::info!("{line}");
            }
            command.run(config).await
        }
        Command::Status(command) => command.run(config).await,
        Command::Seek(command) => command.run(config).await,
        Command::Config(command) => command.run(&config, report.as_ref()),
        Command::Sql(command) => command.run(config).await,
        Command::Verify(command) => command.run(config).await,
        Command::Demo(command) => command.run(config).await,
    }
}

fn init_logging(common: &Common) {
    let filter = EnvFilter::try_new(&common.log).unwrap_or_else(|error| {
        eprintln!("warning: --log `{}` is not usable ({error}); logging warnings", common.log);
        EnvFilter::new("warn")
    });
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    if common.log_json { builder.json().init() } else { builder.init() }
}

/// Opens the lake that the settings name.
async fn open_lake(config: &Config) -> Result<Arc<Lake>> {
    let store = Store::open(&config.data, &config.storage)?;
    Ok(Arc::new(Lake::open(store, config.lake.clone()).await?))
}

/// Opens the lake that the settings name for reading.
async fn open_existing_lake(config: &Config) -> Result<Arc<Lake>> {
    // opening a store creates a local directory, which a reader must not
    if !config.data.contains("://") && !std::path::Path::new(&config.data).is_dir() {
        return Err(Error::Usage(format!(
            "there is no data at {}; run `mqlake import` first, or pass another --data",
            config.data
        )));
    }
    let store = Store::open(&config.data, &config.storage)?;
    Ok(Arc::new(Lake::open_existing(store, config.lake.clone()).await?))
}
