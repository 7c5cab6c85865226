//! `POST /api/v1/backtrack/reset`: sets a group to a time on the broker. Off unless `admin.enabled`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{App, json};
use super::params::parse_time;
use super::queues::queue_times;
use super::refusal::{Refusal, Taken};
use crate::error::Error;
use crate::follow::{Follow, QueueReset};
use crate::lake::schema::SYSTEM_ROCKETMQ;

/// The body of a request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    system: String,
    topic: String,
    group: String,
    /// A time in any form that routes take.
    #[serde(default)]
    timestamp: Option<Value>,
    /// In place of a time: an offset of one queue.
    #[serde(default)]
    offset: Option<i64>,
    #[serde(default)]
    broker: Option<String>,
    #[serde(default)]
    queue_id: Option<i32>,
    /// Whether queues may move forward.
    #[serde(default)]
    force: bool,
}

#[derive(Debug, Serialize)]
struct Answer {
    queues: Vec<QueueReset>,
}

/// Answers the route.
pub(super) async fn reset(State(app): State<Arc<App>>, body: Taken) -> Response {
    let outcome = match body {
        Ok(body) => perform(&app, &body).await,
        Err(rejection) => Err(rejection.into()),
    };
    match outcome {
        Ok(answer) => json(&answer),
        Err(refusal) => refusal.into_response(),
    }
}

async fn perform(app: &App, body: &[u8]) -> Result<Answer, Refusal> {
    let follow = admin(app)?;
    let request: Request = parse_body(body)?;
    if request.system != SYSTEM_ROCKETMQ {
        return Err(Refusal::field("system", "must be rocketmq: QMQ's brokers have no reset"));
    }
    let Some(timestamp) = &request.timestamp else { return to_offset(follow, &request).await };
    if request.offset.is_some() || request.broker.is_some() || request.queue_id.is_some() {
        return Err(Refusal::field(
            "timestamp",
            "and `offset` with `broker` and `queue_id` exclude each other",
        ));
    }
    let time = time_of("timestamp", timestamp, app)?;
    let targets: Vec<(String, i32, i64)> = queue_times(app, SYSTEM_ROCKETMQ, &request.topic, time)
        .await?
        .into_iter()
        .filter_map(|queue| Some((queue.broker.clone(), queue.queue_id?, queue.lower)))
        .collect();
    let queues = follow.reset(&request.topic, &request.group, time, request.force, &targets).await;
    if queues.is_empty() {
        return Err(Refusal::NotFound(format!("no broker that is followed has topic `{}`", request.topic)));
    }
    tracing::info!(topic = request.topic, group = request.group, time, "a group was reset");
    Ok(Answer { queues })
}

/// Sets one queue to an offset.
async fn to_offset(follow: &Follow, request: &Request) -> Result<Answer, Refusal> {
    let (Some(offset), Some(broker), Some(queue_id)) = (request.offset, &request.broker, request.queue_id)
    else {
        return Err(Refusal::field("timestamp", "is missing (or `offset` with `broker` and `queue_id`)"));
    };
    let place = (broker.as_str(), queue_id, offset);
    match follow.reset_queue(&request.topic, &request.group, place).await {
        Some(queue) => Ok(Answer { queues: vec![queue] }),
        None => Err(Refusal::NotFound(format!("broker `{broker}` is not followed"))),
    }
}

/// What changes a broker is for those who switched it on.
pub(super) fn admin(app: &App) -> Result<&Arc<Follow>, Refusal> {
    if !app.config.admin.enabled {
        return Err(Refusal::Forbidden(
            "set admin.enabled = true; the server then has to listen on a loopback address".to_owned(),
        ));
    }
    app.follow.as_ref().ok_or_else(|| Refusal::from(Error::Usage("no cluster is followed".to_owned())))
}

/// A JSON body.
pub(super) fn parse_body<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::field("body", format!("is no such request: {error}")))
}

/// A time in a JSON body: a number of milliseconds, or text in any form that parameters take.
pub(super) fn time_of(name: &str, value: &Value, app: &App) -> Result<i64, Refusal> {
    let time = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => parse_time(text.trim(), app.zone),
        _ => None,
    };
    time.ok_or_else(|| Refusal::field(name, "is no time"))
}
