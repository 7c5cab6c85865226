//! Where replay of actions resumes: with the pull ranges stored beside the lowest position of the tables.

use super::replay::{AckLimits, AckState, ActionReplay};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::{Lake, StreamId};
use crate::stream::{TablePosition, lowest};

/// A replay that resumes where the tables stand.
///
/// # Errors
/// [`Error::Invariant`] if the state at that position is missing or damaged, [`Error::Store`].
pub(super) async fn action_replay(
    lake: &Lake,
    stream: &StreamId,
    tables: &[TablePosition],
    config: &Config,
) -> Result<ActionReplay> {
    let limits = AckLimits::from(&config.acks);
    let acks = match lowest(tables) {
        Some(position) => AckState::from_bytes(lake.state(stream, position).await?, limits)?,
        None => AckState::new(limits),
    };
    let [unresolved, record] = tables else {
        return Err(Error::Invariant("the log of actions feeds two tables".to_owned()));
    };
    let floor = |table: &TablePosition| table.position.unwrap_or(0);
    Ok(ActionReplay::new(acks, floor(record), floor(unresolved)))
}
