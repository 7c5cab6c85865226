//! `POST /api/v1/backtrack/reset`: resets the offsets of a group on its brokers to a time. Off unless `admin.enabled`
//! is set.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::app::App;
use super::super::body::JsonBody;
use super::super::json::json;
use super::params::Clocked;
use super::queues::queue_times;
use super::refusal::Refusal;
use super::{system_named, to_the_end};
use crate::error::Error;
use crate::follow::Follow;
use crate::query::moment::{self, Moment};
use crate::stream::{Orders, QueueReset};

/// The body of a request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    system: String,
    topic: String,
    group: String,
    /// A time in any form that the routes take.
    #[serde(default)]
    timestamp: Option<Value>,
    /// An offset of one queue, instead of a time.
    #[serde(default)]
    offset: Option<i64>,
    #[serde(default)]
    broker: Option<String>,
    #[serde(default)]
    queue_id: Option<i32>,
    /// Whether offsets may move forward.
    #[serde(default)]
    force: bool,
}

#[derive(Debug, Serialize)]
struct Answer {
    queues: Vec<QueueReset>,
}

/// Answers the route.
pub(super) async fn reset(State(app): State<Arc<App>>, JsonBody(body): JsonBody) -> Response {
    to_the_end(&app, async { Ok(json(&perform(&app, &body.bytes).await?)) }).await
}

async fn perform(app: &App, body: &[u8]) -> Result<Answer, Refusal> {
    let follow = admin(app)?;
    let given: Request = parse_body(body)?;
    let system = system_named(&given.system)?;
    if let Some(why) = system.conventions().why_no_reset() {
        return Err(Refusal::field("system", why));
    }
    let request = Request {
        topic: named("topic", &given.topic)?,
        group: named("group", &given.group)?,
        broker: given.broker.as_deref().map(|broker| named("broker", broker)).transpose()?,
        ..given
    };
    let Some(timestamp) = &request.timestamp else {
        return to_offset(follow.orders(system.name())?, &request).await;
    };
    if request.offset.is_some() || request.broker.is_some() || request.queue_id.is_some() {
        return Err(Refusal::field(
            "timestamp",
            "and `offset` with `broker` and `queue_id` exclude each other",
        ));
    }
    let moment = moment_of("timestamp", timestamp, &Clocked::of(app))?;
    let targets: Vec<(String, i32, i64)> = queue_times(app, system, &request.topic, moment)
        .await?
        .into_iter()
        .filter_map(|queue| Some((queue.broker.clone(), queue.queue_id?, queue.lower)))
        .collect();
    // brokers of all versions take -1 for the end of a queue
    let time = match moment {
        Moment::At(time) => time,
        Moment::QueueEnd => -1,
    };
    let queues = follow
        .orders(system.name())?
        .reset(&request.topic, &request.group, time, request.force, &targets)
        .await;
    if queues.is_empty() {
        return Err(Refusal::NotFound(format!("no broker that is followed has topic `{}`", request.topic)));
    }
    tracing::info!(topic = request.topic, group = request.group, time, "a group was reset");
    Ok(Answer { queues })
}

/// Resets one queue to an offset.
async fn to_offset(orders: &dyn Orders, request: &Request) -> Result<Answer, Refusal> {
    let (Some(offset), Some(broker), Some(queue_id)) = (request.offset, &request.broker, request.queue_id)
    else {
        return Err(Refusal::field("timestamp", "is missing (or `offset` with `broker` and `queue_id`)"));
    };
    let target = (broker.as_str(), queue_id, offset);
    match orders.reset_queue(&request.topic, &request.group, target).await {
        Some(queue) => Ok(Answer { queues: vec![queue] }),
        None => Err(Refusal::NotFound(format!("broker `{broker}` is not followed"))),
    }
}

/// The followers, whose orders can change a broker, if `admin.enabled` is set.
pub(super) fn admin(app: &App) -> Result<&Arc<Follow>, Refusal> {
    if !app.config.admin.enabled {
        return Err(Refusal::Forbidden(
            "set admin.enabled = true; the server then has to listen on a loopback address".to_owned(),
        ));
    }
    app.follow.as_ref().ok_or_else(|| Refusal::from(Error::Usage("no cluster is followed".to_owned())))
}

/// Parses a JSON body.
pub(super) fn parse_body<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::field("body", format!("is no such request: {error}")))
}

/// A time in a JSON body: a number of milliseconds, or text in any form that parameters take.
pub(super) fn moment_of(name: &str, value: &Value, clock: &Clocked) -> Result<Moment, Refusal> {
    let found = match value {
        Value::Number(number) => match number.as_i64() {
            Some(number) => moment::of_number(number),
            None => Err("must be a whole number of milliseconds".to_owned()),
        },
        Value::String(text) => moment::parse(text, clock.zone, Some(clock.now_ms)),
        _ => Err("must be a number of milliseconds or a text".to_owned()),
    };
    found.map_err(|what| Refusal::field(name, what))
}

/// As [`moment_of`], for a field that cannot mean the end of a queue.
pub(super) fn time_of(name: &str, value: &Value, clock: &Clocked) -> Result<i64, Refusal> {
    match moment_of(name, value, clock)? {
        Moment::At(time) => Ok(time),
        Moment::QueueEnd => Err(Refusal::field(name, "is negative: write a time, or now")),
    }
}

/// A name in a JSON body, without the blanks that copying adds.
pub(super) fn named(name: &str, value: &str) -> Result<String, Refusal> {
    match moment::trimmed(value) {
        "" => Err(Refusal::field(name, "is empty")),
        value => Ok(value.to_owned()),
    }
}
