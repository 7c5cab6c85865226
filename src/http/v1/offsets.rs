//! `GET /api/v1/offsets`: the offset of a time in each queue, from the tables, by the rule that brokers use.

use serde::Serialize;

use super::super::app::App;
use super::params::{Clocked, Params};
use super::queues::{queue_times, unknown_topic};
use super::refusal::Refusal;
use super::system;

/// An answer of the route.
#[derive(Debug, Serialize)]
pub(super) struct Offsets {
    offsets: Vec<QueueOffset>,
}

#[derive(Debug, Serialize)]
struct QueueOffset {
    broker: String,
    queue_id: Option<i32>,
    offset: i64,
}

/// Answers the route.
pub(super) async fn offsets(app: &App, mut params: Params) -> Result<Offsets, Refusal> {
    let system = system(&mut params)?;
    let topic = params.required("topic")?;
    let moment = params.moment("timestamp", &Clocked::of(app))?;
    let moment = moment.ok_or_else(|| Refusal::field("timestamp", "is missing"))?;
    let is_upper = params.word("boundary", &["lower", "upper"])? == "upper";
    params.end()?;
    let queues = queue_times(app, system, &topic, moment).await?;
    if queues.is_empty() {
        return Err(unknown_topic(app, system, &topic).await);
    }
    let offset = |queue: super::queues::QueueTimes| QueueOffset {
        offset: if is_upper { queue.upper } else { queue.lower },
        broker: queue.broker,
        queue_id: queue.queue_id,
    };
    Ok(Offsets { offsets: queues.into_iter().map(offset).collect() })
}
