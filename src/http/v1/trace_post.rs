//! `POST /api/v1/trace`: trace events as text, without a broker.
//!
//! The answer is sent after the events are committed, so a client that gets it need not send them again. Requests that
//! arrive within 200 ms are committed together.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use tokio::sync::oneshot;

use super::super::app::App;
use super::super::body;
use super::super::json::json;
use super::super::trace_inbox::Waiting;
use super::params::Params;
use super::refusal::Refusal;
use super::to_the_end;
use crate::brokers::rocketmq::import::PostedTraces;
use crate::error::{Error, Result};

/// Maximum bytes of one body.
const MAX_BODY_BYTES: usize = 16 << 20;
/// Types of a body. A page of another origin can send the first one, but the guard refuses it by its origin.
const TYPES: [&str; 3] = ["text/plain", "application/octet-stream", "application/json"];
/// How long a commit waits for further requests.
const GATHER: Duration = Duration::from_millis(200);
/// Maximum bytes gathered for one commit.
const MAX_GATHERED_BYTES: usize = 64 << 20;

/// The result for a body.
#[derive(Debug, Clone, Copy, Serialize)]
struct Answer {
    /// Events that were stored.
    events: u64,
    /// Records that could not be decoded. Their text is stored.
    undecoded: u64,
}

/// Answers the route.
pub(super) async fn post(State(app): State<Arc<App>>, request: Request) -> Response {
    let query = request.uri().query().map(str::to_owned);
    let work = async {
        let body = body::take(&app, request, &TYPES, MAX_BODY_BYTES).await?;
        Ok(json(&take(&app, query.as_deref(), body.bytes.clone()).await?))
    };
    to_the_end(&app, work).await
}

async fn take(app: &Arc<App>, query: Option<&str>, body: Bytes) -> Result<Answer, Refusal> {
    let mut params = Params::parse(query)?;
    let client_host = params.text("client_host");
    params.end()?;
    if body.is_empty() {
        return Err(Refusal::field(
            "body",
            "is empty; send trace records, fields divided by U+0001, each ended by U+0002",
        ));
    }
    if std::str::from_utf8(&body).is_err() {
        return Err(Refusal::field("body", "is not UTF-8"));
    }
    let (done, committed) = oneshot::channel();
    {
        let mut waiting = app.traces.waiting.lock().await;
        let held: usize = waiting.iter().map(|one| one.body.len()).sum();
        if held + body.len() > MAX_GATHERED_BYTES {
            return Err(Error::Busy("too many traces wait for a commit; try again later".to_owned()).into());
        }
        waiting.push(Waiting { body, client_host, done });
    }
    // the first request to get the lock commits for all that wait
    let app = app.clone();
    tokio::spawn(async move { commit_waiting(&app).await });
    match committed.await {
        Ok(Ok((events, undecoded))) => Ok(Answer { events, undecoded }),
        Ok(Err(error)) => Err(Error::store("committing traces", error).into()),
        Err(_) => Err(Error::Invariant("a commit of traces was given up".to_owned()).into()),
    }
}

async fn commit_waiting(app: &App) {
    let _committing = app.traces.committing.lock().await;
    if app.traces.waiting.lock().await.is_empty() {
        // an earlier commit included this request
        return;
    }
    tokio::time::sleep(GATHER).await;
    let waiting = std::mem::take(&mut *app.traces.waiting.lock().await);
    let bodies: Vec<(Bytes, Option<String>)> =
        waiting.iter().map(|one| (one.body.clone(), one.client_host.clone())).collect();
    let time_ms = (app.clock)().timestamp_millis();
    let committed = app.catalog.lake.append_posted(&PostedTraces { bodies, time_ms }).await;
    if committed.is_ok()
        && let Err(error) = app.refresh().await
    {
        tracing::warn!(%error, "posted traces are committed, but not visible yet");
    }
    match committed {
        Ok(counts) => {
            for (one, counts) in waiting.into_iter().zip(counts) {
                let _ = one.done.send(Ok(counts));
            }
        }
        Err(error) => {
            for one in waiting {
                let _ = one.done.send(Err(error.to_string()));
            }
        }
    }
}
