//! Moving the position of a stream by an operator's decision.

use crate::brokers::qmq::logs;
use crate::brokers::qmq::replay::{AckLimits, AckState};
use crate::brokers::qmq::store::{ActionFormat, LogFormat, MessageFormat};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::schema::SYSTEM_QMQ;
use crate::lake::{Gap, Lake, Log, Move, Outcome, Owner, StreamInfo};
use crate::stream::spool::{Spool, SpoolSettings};
use crate::stream::spool_folder;

/// Where a stream continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeekTarget {
    /// At the beginning of the broker's present log, which is another one.
    Start,
    /// At the base of the segment after the present position.
    NextSegment,
    /// At an offset.
    Offset(u64),
}

/// Refuses an offset beyond the end of the broker's log. If the broker cannot be asked, the offset is accepted.
async fn check_end(config: &Config, group: &str, log: Log, to: u64) -> Result<()> {
    let http = super::http_client(config)?;
    for source in &config.qmq {
        match super::source::log_bounds(source, config, &http, group, log).await {
            Ok(Some((begin, end))) if to > end => {
                let holds = match begin {
                    Some(begin) if end > 0 => format!("holds offsets {begin} to {end}"),
                    _ => "is empty".to_owned(),
                };
                return Err(Error::Usage(format!(
                    "offset {to} lies beyond the {} log of broker group `{group}`, which {holds}; nothing was moved",
                    log.name()
                )));
            }
            Ok(Some(_)) => return Ok(()),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(source = source.label(), %error, "whether the log reaches so far could not be asked");
            }
        }
    }
    Ok(())
}

/// Moves a stream; returns the position before and after, or `None` if the stream has none.
///
/// # Errors
/// [`Error::Usage`] if a server is following the group, [`Error::Store`].
pub async fn seek(
    lake: &Lake,
    config: &Config,
    group: &str,
    log: Log,
    target: SeekTarget,
) -> Result<Option<(u64, u64)>> {
    let stream = logs::stream(group, log);
    let tables = log.0.tables;
    let segment =
        if log == logs::ACTION { ActionFormat::SEGMENT_BYTES } else { MessageFormat::SEGMENT_BYTES };
    let _lock = lake.become_writer(&Owner::of(SYSTEM_QMQ, group)).await?;
    let mut positions = Vec::new();
    for def in tables {
        positions.push(lake.table(def)?.position(&stream).await?);
    }
    // the spool can hold more than the tables, and that was received from this log, too
    let folder = spool_folder(config, SYSTEM_QMQ, group).join(log.name());
    let settings = SpoolSettings::from(&config.follow);
    let mut spool = tokio::task::spawn_blocking(move || Spool::open(&folder, settings)).await??;
    let Some(info) = lake.stream_info(SYSTEM_QMQ, group).await? else { return Ok(None) };
    let committed = positions.iter().copied().min().flatten();
    let from = committed.or(spool.end()).unwrap_or(0);
    let reached = spool.end().unwrap_or(from).max(from);
    if reached > from && !info.seeking {
        return Err(Error::Usage(format!(
            "the spool holds offsets {from} to {reached} that are not committed yet; start the server once more and \
             stop it with SIGTERM, so that they are, then seek"
        )));
    }
    let to = match target {
        SeekTarget::Start => 0,
        SeekTarget::NextSegment => (from / segment + 1) * segment,
        SeekTarget::Offset(offset) => offset,
    };
    if to < from && target != SeekTarget::Start && !info.seeking {
        return Err(Error::Usage(format!(
            "offset {to} lies before {from}, up to which the log is stored already; only `start` goes back, for a log \
             that was recreated"
        )));
    }
    if let SeekTarget::Offset(to) = target {
        check_end(config, group, log, to).await?;
    }
    // if this function is interrupted after here, a mark is left, and the group is not followed until the seek is
    // repeated
    lake.put_stream_info(&StreamInfo { seeking: true, ..info.clone() }).await?;
    spool.reset(to)?;
    if log == logs::ACTION {
        let limits = AckLimits::from(&config.acks);
        // in another log the sequence numbers mean other deliveries
        let acks = match target {
            SeekTarget::Start => AckState::new(limits),
            _ if committed.is_none() => AckState::new(limits),
            _ => AckState::from_bytes(lake.state(&stream, from).await?, limits)?,
        };
        lake.put_state(&stream, to, acks.to_bytes()?).await?;
    }
    for (def, position) in tables.iter().zip(positions) {
        let stream_move = Move { stream: stream.clone(), from: position, to };
        let outcome = lake.table(def)?.append(&[], &[stream_move], lake.settings.commit_attempts).await?;
        if outcome == Outcome::Moved {
            return Err(Error::Usage("another process commits to this stream; stop it first".to_owned()));
        }
    }
    let mut gaps = info.gaps.clone();
    gaps.push(Gap { stream: stream.to_string(), from, to });
    lake.put_stream_info(&StreamInfo { gaps, seeking: false, ..info }).await?;
    Ok(Some((from, to)))
}
