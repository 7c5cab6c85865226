//! The command line: one file a command.
//!
//! Results go to standard output, logs and progress to standard error. Exit codes are those of
//! [`Error::exit_code`](crate::error::Error::exit_code), and those of `signals`.

/// Like the standard macro, which panics when the reader has closed the pipe.
macro_rules! print {
    ($($text:tt)*) => { $crate::cli::output::out(format_args!($($text)*)) };
}

/// Like the standard macro, which panics when the reader has closed the pipe.
macro_rules! println {
    () => { $crate::cli::output::out(format_args!("\n")) };
    ($($text:tt)*) => { $crate::cli::output::out(format_args!("{}\n", format_args!($($text)*))) };
}

/// Like the standard macro, which panics when the reader has closed the pipe.
macro_rules! eprintln {
    ($($text:tt)*) => { $crate::cli::output::error(format_args!("{}\n", format_args!($($text)*))) };
}

mod config;
mod demo;
mod import;
mod logging;
mod output;
mod progress;
mod scratch;
mod seek;
mod serve;
mod signals;
mod sql;
mod status;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::builder::BoolishValueParser;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use self::signals::Stop;
use crate::config::{Config, Ignored, Loaded, Origin, Variables};
use crate::error::{Error, Result};
use crate::lake::{Lake, Store};
use crate::query::{WORKER_COMMAND, run_worker};

/// Message history for QMQ and RocketMQ: follows running clusters or imports the stores of brokers into Parquet
/// tables, and answers lookups, traces and SQL over them; for QMQ also the HTTP API of its backup server.
///
/// Try it: `mqlake demo`.
///
/// RocketMQ: `mqlake import --system rocketmq --store DIR --broker NAME`, then `mqlake serve`; or follow a cluster:
/// MQLAKE_ROCKETMQ__NAME_SERVERS=10.0.0.1:9876 mqlake serve
///
/// QMQ: `mqlake import --store DIR --broker-group GROUP`, then `mqlake serve`; or in the original backup server's place:
/// `mqlake serve --qmq-conf DIR`.
///
/// Exit codes: 0 done; 1 a limit, damaged tables, a finding or an alarm; 2 a wrong command line, setting or statement;
/// 3 an unusable input; 4 the store or a server did not answer, try again; 130 and 143 ended by Ctrl-C and SIGTERM.
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
    #[arg(long, global = true, env = "MQLAKE_DATA", hide_env_values = true, value_name = "URL")]
    data: Option<String>,
    /// Settings file [default: mqlake.toml in the working directory, if there is one]
    #[arg(long, global = true, env = "MQLAKE_CONFIG", hide_env_values = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// QMQ: directory with the original server's backup.properties and skip_backup.properties, to take over
    #[arg(long, global = true, env = "MQLAKE_QMQ_CONF", hide_env_values = true, value_name = "DIR")]
    qmq_conf: Option<PathBuf>,
    /// What to log: error, warn, info, debug, or directives such as mqlake=debug
    #[arg(
        long,
        global = true,
        env = "MQLAKE_LOG",
        hide_env_values = true,
        default_value = "warn,mqlake=info",
        value_name = "FILTER"
    )]
    log: String,
    /// Log as JSON lines
    #[arg(
        long,
        global = true,
        env = "MQLAKE_LOG_JSON",
        hide_env_values = true,
        value_parser = BoolishValueParser::new()
    )]
    log_json: bool,
}

// The help of a command stands with the command: a doc comment here would hide it.
#[derive(Debug, Subcommand)]
enum Command {
    Import(import::Import),
    Serve(serve::Serve),
    Status(status::Status),
    Sql(sql::Sql),
    Verify(verify::Verify),
    Seek(seek::Seek),
    Config(config::ConfigCommand),
    Demo(demo::Demo),
    /// Run statements for a server, which starts this by itself
    #[command(name = WORKER_COMMAND, hide = true)]
    SqlWorker,
}

/// Maximum threads for short blocking work, such as writing to disk.
const MAX_BLOCKING_THREADS: usize = 64;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let matches = Arguments::command().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if matches!(arguments.command, Command::SqlWorker) {
        // it has threads of its own, and its output is for a server
        let _ = rustls::crypto::ring::default_provider().install_default();
        return run_worker();
    }
    // what the variable says is not what the user said
    let is_data_given = matches.value_source("data") == Some(ValueSource::CommandLine);
    logging::start(&arguments.common.log, arguments.common.log_json);
    // two TLS back ends are linked; without a choice the first use would panic
    let _ = rustls::crypto::ring::default_provider().install_default();
    let outcome = start(arguments, is_data_given);
    let code = outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(error.exit_code())
    });
    match output::failure() {
        Some(reason) => {
            let error = Error::Output(format!("standard output cannot be written: {reason}"));
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
        None => code,
    }
}

fn start(arguments: Arguments, is_data_given: bool) -> Result<ExitCode> {
    let stop = Stop::listen()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // each thread keeps memory of its own for a while
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .enable_all()
        .build()
        .map_err(|error| Error::Invariant(format!("the async runtime cannot start: {error}")))?;
    // The end of the process ends what still runs. Taking the runtime down under it would make libraries panic that
    // count on theirs; what has to be durable is by now.
    let runtime = std::mem::ManuallyDrop::new(runtime);
    runtime.block_on(run(arguments, is_data_given, stop))
}

async fn run(arguments: Arguments, is_data_given: bool, stop: Stop) -> Result<ExitCode> {
    let Arguments { common, command } = arguments;
    let command = match command {
        // it knows no settings, so it cannot touch what they name
        Command::Demo(demo) => return demo.run(common.data.filter(|_| is_data_given), stop).await,
        other => other,
    };
    let origin = Origin {
        file: common.config.as_deref(),
        qmq_conf: common.qmq_conf.as_deref(),
        variables: &Variables::of_process(),
    };
    let Loaded { mut config, report, ignored } = Config::load(&origin)?;
    report_ignored(&ignored);
    if let Some(data) = common.data {
        config.set_data(data)?;
    }
    match command {
        Command::Import(command) => command.run(config).await,
        Command::Serve(command) => {
            for line in report
                .iter()
                .flat_map(|report| report.to_string().lines().map(str::to_owned).collect::<Vec<_>>())
            {
                tracing::info!("{line}");
            }
            command.run(config, stop).await
        }
        Command::Status(command) => command.run(config).await,
        Command::Seek(command) => command.run(config).await,
        Command::Config(command) => command.run(&config, report.as_ref()),
        Command::Sql(command) => command.run(config).await,
        Command::Verify(command) => command.run(config).await,
        Command::Demo(demo) => demo.run(None, stop).await,
        Command::SqlWorker => Ok(run_worker()),
    }
}

/// Logs variables that have our prefix and set nothing.
fn report_ignored(ignored: &Ignored) {
    for unknown in &ignored.unknown {
        let (variable, setting) = (&unknown.name, &unknown.setting);
        match &unknown.nearest {
            Some(nearest) => {
                tracing::warn!(variable, setting, nearest, "no such setting, the variable is ignored");
            }
            None => tracing::warn!(
                variable,
                setting,
                "no such setting, the variable is ignored; `mqlake config print` lists them"
            ),
        }
    }
    if !ignored.kubernetes.is_empty() {
        let variables = ignored.kubernetes.join(" ");
        tracing::debug!(variables, "variables of Kubernetes services are no settings");
    }
}

/// Opens or creates the lake of the settings.
async fn open_lake(config: &Config) -> Result<Arc<Lake>> {
    let store = Store::open(&config.data, &config.storage)?;
    Ok(Arc::new(Lake::open(store, config.lake.clone()).await?))
}

/// Opens the lake of the settings for reading.
async fn open_existing_lake(config: &Config) -> Result<Arc<Lake>> {
    // opening a store creates a local directory, which a reader must not do
    if config.data_dir().is_some_and(|folder| !folder.exists()) {
        return Err(Error::NoData(format!(
            "there is no data at {}; run `mqlake import` first, or pass another --data",
            config.data
        )));
    }
    let store = Store::open(&config.data, &config.storage)?;
    Ok(Arc::new(Lake::open_existing(store, config.lake.clone()).await?))
}
