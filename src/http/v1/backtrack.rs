//! `GET /api/v1/backtrack/preview`: what a group would consume again if it were reset to a time.

use serde::{Deserialize, Serialize};

use super::super::app::App;
use super::known::{Asked, Known};
use super::params::{Clocked, Params};
use super::queues::unknown_topic;
use super::refusal::Refusal;
use super::statement::rows;
use super::system;
use crate::error::Result;
use crate::query::PreviewQuery;

/// An answer of the route.
#[derive(Debug, Serialize)]
pub(super) struct Preview {
    queues: Vec<QueuePreview>,
    /// Number of messages in all queues.
    messages: i64,
    /// How many of them the group has consumed successfully; null if that is unknown for some.
    consumed: Option<i64>,
    /// How many of them the broker no longer has; null if that is unknown for some.
    gone: Option<i64>,
    /// `offsets` if there are no traces of the group, so that all messages before its offset count as consumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    consumed_by: Option<&'static str>,
    /// What is known, if the group is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    known: Option<Known>,
}

#[derive(Debug, Serialize, Deserialize)]
struct QueuePreview {
    broker: String,
    queue_id: Option<i32>,
    /// The offset at which the group would begin.
    from_offset: i64,
    /// The current offset of the group; the end of the queue if that is unknown.
    to_offset: i64,
    /// Whether the current offset of the group is known, from the broker or a sample.
    to_is_known: bool,
    messages: i64,
    consumed: Option<i64>,
    /// First offset that the broker still had when it was last asked.
    broker_first_offset: Option<i64>,
    gone: Option<i64>,
    /// `traces` or `offsets`; for QMQ `acks`.
    #[serde(skip_serializing)]
    consumed_by: Option<String>,
    /// Number of offsets in the range for which no message is stored.
    #[serde(skip_serializing_if = "is_zero")]
    not_kept: i64,
}

/// The value of `consumed_by` that answers mention. Traces, and for QMQ acknowledgements, are the normal case.
const BY_OFFSETS: &str = "offsets";

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Answers the route.
pub(super) async fn preview(app: &App, mut params: Params) -> Result<Preview, Refusal> {
    let system = system(&mut params)?;
    let group = params.required("group")?;
    let topic = params.required("topic")?;
    let time = params.moment("timestamp", &Clocked::of(app))?;
    let time = time.ok_or_else(|| Refusal::field("timestamp", "is missing"))?;
    params.end()?;
    let mut live = Vec::new();
    if let Some(follow) = &app.follow {
        let whole = system.conventions().whole_group(&group, &topic);
        let offsets = follow.group_positions(system.name(), &topic, &whole).await.into_iter();
        live.extend(
            offsets.map(|place| (place.broker, place.queue_id, place.consumer_offset, place.min_offset)),
        );
    }
    let query = PreviewQuery { system: system.name(), group: &group, topic: &topic, time, live: &live };
    let statement = format!(
        "SELECT broker_group AS broker, queue_id, from_offset, to_offset, to_is_known, messages, consumed, \
           broker_first_offset, gone, consumed_by, not_kept FROM ({}) ORDER BY 1, 2",
        query.statement()
    );
    let queues: Vec<QueuePreview> = rows(app, &statement).await?;
    if queues.is_empty() {
        return Err(unknown_topic(app, system, &topic).await);
    }
    let mut known = None;
    if !queues.iter().any(|queue| queue.to_is_known || queue.consumed_by.is_some()) {
        let asked = Asked { group: Some(&group), ..Asked::topic(system, &topic) };
        known = Some(asked.known(app, &app.catalog.pin()).await?).filter(Known::is_group_unknown);
    }
    Ok(Preview {
        messages: queues.iter().map(|queue| queue.messages).sum(),
        consumed: queues.iter().map(|queue| queue.consumed).sum(),
        gone: queues.iter().map(|queue| queue.gone).sum(),
        consumed_by: queues
            .iter()
            .any(|queue| queue.consumed_by.as_deref() == Some(BY_OFFSETS))
            .then_some(BY_OFFSETS),
        known,
        queues,
    })
}
