//! Opens the streams of a broker group: finds what the tables hold, and starts a replay behind it.

use std::path::Path;
use std::sync::Arc;

use super::replay::{FollowedActions, FollowedMessages};
use super::skip::Skip;
use crate::brokers::qmq::replay::{Floors, MessageReplay};
use crate::brokers::qmq::resume::action_replay;
use crate::config::{QmqSource, SkipFile};
use crate::error::Result;
use crate::lake::StreamId;
use crate::stream::{Board, Pipeline, Shared};

/// Opens the stream of messages.
pub(super) async fn messages(
    shared: &Shared,
    source: &QmqSource,
    board: &Arc<Board>,
    stream: StreamId,
    folder: &Path,
) -> Result<Pipeline> {
    let tables = shared.lake.positions(&stream).await?;
    let floors = Floors::of(&tables)?;
    let max_body = usize::try_from(shared.config.import.max_body.as_u64()).unwrap_or(usize::MAX);
    let replay = MessageReplay::new(floors, source.content, max_body);
    let followed = FollowedMessages { replay, skip: skip_of(source) };
    Pipeline::open(shared, board, stream, folder, tables, move |_| Box::new(followed)).await
}

/// Opens the stream of actions.
pub(super) async fn actions(
    shared: &Shared,
    source: &QmqSource,
    board: &Arc<Board>,
    stream: StreamId,
    folder: &Path,
) -> Result<Pipeline> {
    let tables = shared.lake.positions(&stream).await?;
    let replay = action_replay(&shared.lake, &stream, &tables, &shared.config).await?;
    let followed = FollowedActions { replay, skip: skip_of(source) };
    Pipeline::open(shared, board, stream, folder, tables, move |_| Box::new(followed)).await
}

fn skip_of(source: &QmqSource) -> Skip {
    Skip::new(&source.skip_subjects, source.skip_file.clone().map(SkipFile::open))
}
