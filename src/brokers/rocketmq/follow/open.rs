//! Opens the stream of a broker: finds what the tables hold from an import or from following, and starts a replay
//! behind it.

use std::sync::Arc;

use crate::brokers::rocketmq::logs;
use crate::brokers::rocketmq::replay::{QueueOffsets, RocketMqReplay, RocketMqSettings, TableFloor};
use crate::config::RocketMqSource;
use crate::error::Result;
use crate::lake::StreamId;
use crate::stream::{Board, Pipeline, Replay, Shared, is_uneven, lowest, spool_folder};

/// Opens the stream of pulled records; returns the queue offsets that the tables have, without what is spooled.
pub(super) async fn pulled(
    shared: &Shared,
    source: &RocketMqSource,
    board: &Arc<Board>,
    stream: StreamId,
) -> Result<(Pipeline, QueueOffsets)> {
    let lake = &shared.lake;
    let tables = lake.positions(&stream).await?;
    let states = lake.states_at(&stream, &tables).await?;
    let imported = logs::stream(&stream.broker_group, logs::COMMIT_LOG);
    let imported_tables = lake.positions(&imported).await?;
    let at_lowest = lowest(&tables).and_then(|position| states.get(&position));
    let mut offsets = at_lowest.map(|offsets| (**offsets).clone()).unwrap_or_default();
    if let Some(position) = lowest(&imported_tables) {
        // an import has read these queues further, or is the only one that read them
        let other = QueueOffsets::from_bytes(&lake.state(&imported, position).await?)?;
        offsets.merge_progress(&other, position);
    }
    // queues are pulled from the lowest place on; tables that stand further have more already
    let imports = lake.states_at(&imported, &imported_tables).await?;
    let mut floors: [TableFloor; 5] = Default::default();
    for ((floor, table), imported) in floors.iter_mut().zip(&tables).zip(&imported_tables) {
        floor.position = table.position.unwrap_or(0);
        if is_uneven(&tables) {
            floor.read.extend(table.position.and_then(|position| states.get(&position).cloned()));
        }
        if is_uneven(&imported_tables) {
            floor.read.extend(imported.position.and_then(|position| imports.get(&position).cloned()));
        }
    }
    let settings = RocketMqSettings {
        content: source.content,
        max_body: usize::try_from(shared.config.import.max_body.as_u64()).unwrap_or(usize::MAX),
        trace_topics: source.trace_topics.clone(),
    };
    let begin = offsets.clone();
    let replay = move |is_spooled: bool| -> Box<dyn Replay> {
        if !is_spooled {
            // positions of what is received again say nothing about what the tables have; queue offsets do
            floors.iter_mut().for_each(|floor| floor.position = 0);
        }
        Box::new(RocketMqReplay::new(settings, floors, begin))
    };
    let folder = spool_folder(&shared.config, &stream.system, &stream.broker_group);
    let pipeline = Pipeline::open(shared, board, stream, &folder, tables, replay).await?;
    Ok((pipeline, offsets))
}
