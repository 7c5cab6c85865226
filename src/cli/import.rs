//! `mqlake import`: imports a store directory and prints a summary. It knows no format of a store.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use clap::{Args, ValueEnum};

use super::open_lake;
use super::progress::show;
use crate::brokers::qmq::import::{ImportRequest, Summary};
use crate::brokers::qmq::store::BrokerStore;
use crate::brokers::rocketmq::{RocketMqImport, RocketMqSummary};
use crate::config::{Config, ContentPolicy};
use crate::error::{Error, Result};
use crate::lake::Gap;
use crate::stream::{Progress, Skipped};

/// Import the logs of a broker, slave or Java backup of QMQ, or the store of a RocketMQ broker
///
/// Reads the logs below a store directory (QMQ: `messagelog/` and `actionlog/` of a broker or slave, or `indexlog/`
/// of a Java backup; RocketMQ: `commitlog/` with what lies beside it) and adds what the tables do not have yet.
///
/// It can be interrupted at any point and run again, and run again later for what is new: no row is lost or
/// stored twice. Several broker groups or brokers go into the same tables, one after another. If a RocketMQ broker lost
/// the end of its log, or all of it, the import continues; messages that it lost stay in the tables and are reported.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The message queue that the store is of
    #[arg(long, value_enum, default_value_t = System::Qmq)]
    system: System,
    /// The broker's store root (QMQ: `store.root`, RocketMQ: `storePathRootDir`), or a copy of it
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// QMQ, where it is required: the broker group the store belongs to
    #[arg(long, value_name = "NAME")]
    broker_group: Option<String>,
    /// RocketMQ, where it is required: the name of the broker the store belongs to (`brokerName` in its configuration)
    #[arg(long, value_name = "NAME")]
    broker: Option<String>,
    /// RocketMQ: a topic with message traces beside RMQ_SYS_TRACE_TOPIC; can be given several times
    #[arg(long, value_name = "TOPIC")]
    trace_topic: Vec<String>,
    /// RocketMQ: a further directory of the commit log, if the broker spreads it; can be given several times
    #[arg(long, value_name = "DIR")]
    commit_log: Vec<PathBuf>,
    /// Go on behind damaged bytes and missing files of the log, and report what was passed over
    #[arg(long)]
    skip_corrupt: bool,
    /// Which message contents to keep [default: all]
    #[arg(long, value_enum)]
    content: Option<ContentPolicy>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// A message queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum System {
    /// qunarcorp/qmq
    Qmq,
    /// Apache RocketMQ 4.x and 5.x
    Rocketmq,
}

impl Import {
    pub(super) async fn run(self, mut config: Config) -> Result<ExitCode> {
        if let Some(content) = self.content {
            config.import.content = content;
        }
        match self.system {
            System::Qmq => self.qmq(config).await,
            System::Rocketmq => self.rocketmq(config).await,
        }
    }

    async fn rocketmq(self, config: Config) -> Result<ExitCode> {
        let started = Instant::now();
        let broker = match (self.broker, self.broker_group) {
            (Some(broker), None) => broker,
            (_, Some(_)) => {
                return Err(Error::Usage(
                    "--broker-group is for QMQ; name the RocketMQ broker with --broker".to_owned(),
                ));
            }
            (None, None) => {
                return Err(Error::Usage(
                    "a RocketMQ store needs --broker NAME, the name of its broker".to_owned(),
                ));
            }
        };
        if self.store.join("messagelog").is_dir() && !self.store.join("commitlog").is_dir() {
            return Err(Error::Usage(format!(
                "{} is the store of a QMQ broker; leave out --system rocketmq, and pass --broker-group NAME",
                self.store.display()
            )));
        }
        let request = RocketMqImport {
            store: self.store,
            broker,
            trace_topics: self.trace_topic,
            commit_logs: self.commit_log,
            skip_corrupt: self.skip_corrupt,
        };
        // check the input before anything is created
        crate::brokers::rocketmq::check_rocketmq_store(&request.store, &request.commit_logs)?;
        let lake = open_lake(&config).await?;
        let progress = Arc::new(Progress::default());
        let bar = show(progress.clone());
        let outcome = lake.import_rocketmq(&request, &config, progress, chrono::Utc::now()).await;
        drop(bar);
        let summary = outcome?;
        if self.json {
            print_json(&summary, started.elapsed());
        } else {
            print_rocketmq(&request.broker, &summary, started.elapsed());
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn qmq(self, config: Config) -> Result<ExitCode> {
        if self.store.join("commitlog").is_dir() {
            return Err(Error::Usage(format!(
                "{} is the store of a RocketMQ broker; add --system rocketmq and --broker NAME",
                self.store.display()
            )));
        }
        let (Some(broker_group), None) = (self.broker_group, self.broker) else {
            return Err(Error::Usage(
                "a QMQ store needs --broker-group NAME; --broker is for --system rocketmq".to_owned(),
            ));
        };
        let started = Instant::now();
        // check the input before anything is created
        BrokerStore::find(&self.store, self.skip_corrupt)?;
        let lake = open_lake(&config).await?;
        let progress = Arc::new(Progress::default());
        let bar = show(progress.clone());
        let request = ImportRequest {
            store: self.store.clone(),
            broker_group: broker_group.clone(),
            skip_corrupt: self.skip_corrupt,
        };
        let outcome = lake.import(&request, &config, progress, chrono::Utc::now()).await;
        drop(bar);
        let summary = outcome?;
        if self.json {
            print_json(&summary, started.elapsed());
        } else {
            print_text(&broker_group, &summary, started.elapsed());
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print_json(summary: &impl serde::Serialize, took: Duration) {
    let mut value = serde_json::to_value(summary).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.insert("seconds".to_owned(), took.as_secs_f64().into());
    }
    println!("{value}");
}

fn print_text(group: &str, summary: &Summary, took: Duration) {
    let messages = summary.messages;
    let actions = summary.actions;
    println!("broker group      {group}");
    println!(
        "messages          {} ({} normal, {} retry, {} dead)",
        messages.normal + messages.retry + messages.dead,
        messages.normal,
        messages.retry,
        messages.dead
    );
    println!("records           {} (from {} pulls, {} acks)", actions.records, actions.pulls, actions.acks);
    println!("unresolved acks   {}", actions.unresolved_acks);
    if summary.unusable > 0 {
        println!("unusable records  {}", summary.unusable);
    }
    if summary.forgotten_pull_ranges > 0 {
        println!("forgotten pulls   {} (raise acks.max_ranges)", summary.forgotten_pull_ranges);
    }
    print_missing(&summary.gaps, &summary.skipped);
    println!("read              {}", ByteSize(summary.bytes_read));
    println!("time              {:.1} s, {} commits", took.as_secs_f64(), summary.commits);
}

fn print_rocketmq(broker: &str, summary: &RocketMqSummary, took: Duration) {
    let m = summary.messages;
    println!("broker            {broker}");
    println!(
        "messages          {} ({} normal, {} retry, {} dead), {} parked copies and bookkeeping",
        m.normal + m.retry + m.dead,
        m.normal,
        m.retry,
        m.dead,
        m.other
    );
    println!("trace events      {} (in {} messages, {} undecodable)", m.events, m.trace, m.undecoded_events);
    if m.undecodable_bodies > 0 {
        println!("undecodable       {} compressed bodies", m.undecodable_bodies);
    }
    if summary.lost_keys > 0 {
        println!("keys without      {} entries of index files whose messages are gone", summary.lost_keys);
    }
    print_missing(&summary.gaps, &summary.skipped);
    for replaced in &summary.replaced {
        let messages = replaced.messages().map(|number| format!(", {number} messages")).unwrap_or_default();
        println!(
            "lost by broker    {}: offsets {} to {}{messages}; what was imported of them stays",
            replaced.stream, replaced.from, replaced.to
        );
    }
    println!("end of log        {}", summary.end);
    println!("read              {}", ByteSize(summary.bytes_read));
    println!("time              {:.1} s, {} commits", took.as_secs_f64(), summary.commits);
}

fn print_missing(gaps: &[Gap], skipped: &[Skipped]) {
    for gap in gaps {
        println!(
            "gap               {}: offsets {} to {} were removed by the broker",
            gap.stream, gap.from, gap.to
        );
    }
    for skipped in skipped {
        println!(
            "skipped           {} offsets {} to {}: {}",
            skipped.file, skipped.from, skipped.to, skipped.reason
        );
    }
}
