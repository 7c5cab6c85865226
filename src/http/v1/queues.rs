//! Queues of a topic in the tables, and the offsets of a time in each.

use serde::Deserialize;

use super::super::app::App;
use super::known::Asked;
use super::refusal::Refusal;
use super::statement::{rows, timestamp};
use crate::query::literal;
use crate::query::moment::Moment;
use crate::stream::System;

/// The offsets of a time in a queue.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct QueueTimes {
    pub(super) broker: String,
    /// `None` for QMQ, whose subjects have one queue in each broker group.
    pub(super) queue_id: Option<i32>,
    /// The first offset at or after the time; the end of the queue if all are earlier.
    pub(super) lower: i64,
    /// The last offset at or before the time; the first known one if all are later, as brokers answer.
    pub(super) upper: i64,
}

/// The offsets of a time in each queue of a topic.
pub(super) async fn queue_times(
    app: &App,
    system: &'static dyn System,
    topic: &str,
    moment: Moment,
) -> Result<Vec<QueueTimes>, Refusal> {
    let time = match moment {
        Moment::At(time) => timestamp(time),
        Moment::QueueEnd => "-1".to_owned(),
    };
    let statement = format!(
        "SELECT broker_group AS broker, queue_id, lower_offset AS lower, upper_offset AS upper \
         FROM offsets_at({}, {}, {}) ORDER BY 1, 2",
        literal(system.name()),
        literal(topic),
        time
    );
    Ok(rows(app, &statement).await?)
}

/// The refusal for an unknown topic. It lists similar names.
pub(super) async fn unknown_topic(app: &App, system: &'static dyn System, topic: &str) -> Refusal {
    match Asked::topic(system, topic).known(app, &app.catalog.pin()).await {
        Ok(known) => Refusal::NotFound(known.detail().to_owned()),
        Err(error) => Refusal::from(error),
    }
}
