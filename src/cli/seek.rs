//! `mqlake seek`: moves the position of a QMQ stream by hand. The work is in `brokers::qmq::follow`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::open_existing_lake;
use crate::brokers::qmq::follow::{SeekTarget, seek};
use crate::brokers::qmq::logs;
use crate::config::Config;
use crate::error::{Error, Result};

/// QMQ: continue at another offset of a broker's log, after it was reset or damaged
///
/// It accepts a log that was recreated (`--to start`), or skips a range that cannot be read. Stored rows stay; the range in
/// between is not stored and is recorded as a gap. The server that follows the group must be stopped. RocketMQ needs no
/// such command: following and importing notice what its brokers removed or recreated.
///
/// Offsets must be ones that the broker itself gave (an alarm, /api/status), or a segment's base: from the middle
/// of a record QMQ's index stream would silently skip messages.
#[derive(Debug, Args)]
pub(super) struct Seek {
    /// Broker group
    #[arg(long, value_name = "NAME")]
    broker_group: String,
    /// Which of its streams
    #[arg(long)]
    stream: WhichStream,
    /// Where to continue: an offset, `start` (of the broker's log) or `next-segment`
    #[arg(long, value_name = "OFFSET|start|next-segment", value_parser = target)]
    to: SeekTarget,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum WhichStream {
    Message,
    Action,
}

fn target(text: &str) -> Result<SeekTarget, String> {
    match text {
        "start" => Ok(SeekTarget::Start),
        "next-segment" => Ok(SeekTarget::NextSegment),
        _ => text
            .parse()
            .map(SeekTarget::Offset)
            .map_err(|_| "neither an offset nor `start` nor `next-segment`".to_owned()),
    }
}

impl Seek {
    pub(super) async fn run(self, config: Config) -> Result<ExitCode> {
        let lake = open_existing_lake(&config).await?;
        let log = match self.stream {
            WhichStream::Message => logs::MESSAGE,
            WhichStream::Action => logs::ACTION,
        };
        let moved = seek(&lake, &config, &self.broker_group, log, self.to).await?;
        let Some((from, to)) = moved else {
            return Err(Error::Usage(format!(
                "nothing of the {} log of broker group `{}` has been committed yet, so there is no position to move; \
                 `mqlake status` names the groups that are followed",
                log.name(),
                self.broker_group
            )));
        };
        println!(
            "{} log of {}: from offset {from} to {to}; start the server to go on there",
            log.name(),
            self.broker_group
        );
        Ok(ExitCode::SUCCESS)
    }
}
