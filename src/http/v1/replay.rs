//! `POST /api/v1/backtrack/replay`: the messages of a window as NDJSON, or sent again to a topic.
//!
//! The NDJSON form only reads. Sending is off unless `admin.enabled` is set, only counts unless `dry_run` is false, and
//! is limited to `admin.replay_rate`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::app::App;
use super::super::body::JsonBody;
use super::super::budget::Held;
use super::super::json::json;
use super::bodies::{bodies_of, position_of, step, with_bodies};
use super::params::Clocked;
use super::refusal::Refusal;
use super::reset::{admin, named, parse_body, time_of};
use super::{system_named, to_the_end};
use crate::error::{Error, Result};
use crate::lake::schema::MESSAGE;
use crate::query::Pinned;
use crate::query::lookup::{
    Condition, MessagePlace, Order, StoredMessage, SubjectQuery, WindowQuery, window,
};
use crate::stream::System;

/// Messages read at a time.
const PAGE: usize = 500;
/// Memory for a part of an answer: messages with their bodies, as rows and as text.
const PART_BYTES: usize = 12 << 20;

/// The body of a request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    system: String,
    topic: String,
    from: Value,
    to: Value,
    #[serde(default)]
    tag: Option<String>,
    /// Only messages of this broker; for QMQ, of this broker group.
    #[serde(default)]
    broker: Option<String>,
    /// Maximum messages; when sending, at most `admin.replay_max`.
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    to_topic: Option<String>,
    #[serde(default = "yes")]
    dry_run: bool,
}

fn yes() -> bool {
    true
}

/// Counts of what would be sent.
#[derive(Debug, Default, Serialize)]
struct DryRun {
    messages: u64,
    bytes: u64,
    /// Messages whose body was not kept. They cannot be sent.
    without_body: u64,
}

/// The result for one message.
#[derive(Debug, Serialize)]
struct Sent {
    message_id: String,
    sent_message_id: Option<String>,
    offset_message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Answers the route.
pub(super) async fn replay(State(app): State<Arc<App>>, JsonBody(body): JsonBody) -> Response {
    let shared = app.clone();
    to_the_end(&shared, answer(app, &body.bytes)).await
}

async fn answer(app: Arc<App>, body: &[u8]) -> Result<Response, Refusal> {
    let given: Request = parse_body(body)?;
    let system = system_named(&given.system)?;
    let name =
        |field: &str, value: &Option<String>| value.as_deref().map(|text| named(field, text)).transpose();
    let request = Request {
        topic: named("topic", &given.topic)?,
        tag: name("tag", &given.tag)?,
        broker: name("broker", &given.broker)?,
        to_topic: name("to_topic", &given.to_topic)?,
        ..given
    };
    let clock = Clocked::of(&app);
    let window = Window {
        system,
        from: time_of("from", &request.from, &clock)?,
        to: time_of("to", &request.to, &clock)?,
        request: request.clone(),
        pinned: app.catalog.pin(),
        left: request.limit.unwrap_or(usize::MAX),
        start: None,
        ended: false,
        ahead: VecDeque::new(),
    };
    let Some(topic) = request.to_topic.clone() else {
        let lines = lines(app, window).map(|page| page.map(Bytes::from));
        return Ok(ndjson(lines));
    };
    let follow = admin(&app)?.clone();
    if let Some(why) = system.conventions().why_no_sending() {
        return Err(Refusal::field("system", why));
    }
    let most = app.config.admin.replay_max;
    // fail before counting if the topic cannot be sent to
    drop(follow.orders(system.name())?.sender(&topic).await?);
    let counts =
        dry_run(&app, Window { left: window.left.min(most.saturating_add(1)), ..window.clone() }).await?;
    if counts.messages > most as u64 {
        return Err(Error::Limit(format!(
            "the window has more than {most} messages (admin.replay_max); choose a smaller one or set `limit`"
        ))
        .into());
    }
    if request.dry_run {
        return Ok(json(&counts));
    }
    Ok(ndjson(send_all(app, window, topic)))
}

fn ndjson(lines: impl Stream<Item = Result<Bytes>> + Send + 'static) -> Response {
    let kind = HeaderValue::from_static("application/x-ndjson;charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], Body::from_stream(lines)).into_response()
}

/// The messages of a window, oldest first, page by page, all from one snapshot.
#[derive(Clone)]
struct Window {
    system: &'static dyn System,
    request: Request,
    from: i64,
    to: i64,
    pinned: Arc<Pinned>,
    left: usize,
    start: Option<MessagePlace>,
    ended: bool,
    /// Messages read ahead, whose bodies are not read yet.
    ahead: VecDeque<StoredMessage>,
}

impl Window {
    /// The next messages, few enough for their bodies to be read at once.
    async fn step(&mut self, app: &App) -> Result<Vec<StoredMessage>> {
        if self.ahead.is_empty() {
            self.ahead = self.next(app).await?.into();
        }
        let count = step(self.ahead.make_contiguous());
        Ok(self.ahead.drain(..count).collect())
    }

    async fn next(&mut self, app: &App) -> Result<Vec<StoredMessage>> {
        if self.ended || self.left == 0 {
            return Ok(Vec::new());
        }
        let mut conditions = vec![Condition::text("system", self.request.system.clone())];
        let originals = self.system.conventions().kind_of_originals();
        conditions.extend(originals.map(|kind| Condition::number("kind", kind)));
        if let Some(broker) = &self.request.broker {
            conditions.push(Condition::text("broker_group", broker.clone()));
        }
        let query = WindowQuery {
            subjects: vec![SubjectQuery { subject: self.request.topic.clone(), conditions }],
            tag: self.request.tag.clone(),
            from: self.from,
            to: self.to,
            order: Order::Oldest,
            start: self.start.clone(),
            limit: PAGE.min(self.left) + 1,
        };
        let mut found = window(&app.catalog.files, self.pinned.table(&MESSAGE)?, &query).await?;
        let most = PAGE.min(self.left);
        self.start = found.get(most).map(StoredMessage::place);
        self.ended = self.start.is_none();
        found.truncate(most);
        self.left -= found.len();
        Ok(found)
    }
}

/// The messages of a window as lines, a few at a time. The memory of each part is released when the next one is
/// requested.
fn lines(app: Arc<App>, window: Window) -> impl Stream<Item = Result<Vec<u8>>> + Send {
    stream::try_unfold((app, window, Held::default()), |(app, mut window, last)| async move {
        drop(last);
        let held = app.answers.take(PART_BYTES, app.config.http.timeout).await?;
        let mut text = Vec::new();
        {
            let _permit = app.permit().await?;
            let mut part = window.step(&app).await?;
            let pinned = window.pinned.clone();
            with_bodies(&app, &pinned, &window.request.system, &mut part).await?;
            for message in &part {
                put_line(&mut text, message)?;
            }
        }
        match text.is_empty() {
            true => Ok(None),
            false => Ok(Some((text, (app, window, held)))),
        }
    })
}

async fn dry_run(app: &App, mut window: Window) -> Result<DryRun> {
    let mut counts = DryRun::default();
    loop {
        let page = window.step(app).await?;
        if page.is_empty() {
            return Ok(counts);
        }
        let bodies = bodies_of(app, &window.pinned, window.system.name(), &page).await?;
        for message in &page {
            counts.messages += 1;
            match bodies.get(&position_of(message)) {
                Some(body) => counts.bytes += body.len() as u64,
                None => counts.without_body += 1,
            }
        }
    }
}

fn send_all(app: Arc<App>, mut window: Window, topic: String) -> impl Stream<Item = Result<Bytes>> + Send {
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes>>(16);
    tokio::spawn(async move {
        let outcome = send_window(&app, &mut window, &topic, &sender).await;
        if let Err(error) = outcome {
            let _ = sender.send(Err(error)).await;
        }
    });
    stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|line| (line, receiver)) })
}

/// Sends message after message at the allowed rate. Ends when the client is gone.
async fn send_window(
    app: &App,
    window: &mut Window,
    topic: &str,
    lines: &tokio::sync::mpsc::Sender<Result<Bytes>>,
) -> Result<()> {
    let follow = app.follow.as_ref().ok_or_else(|| Error::Usage("no cluster is followed".to_owned()))?;
    let mut sender = follow.orders(window.system.name())?.sender(topic).await?;
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / app.config.admin.replay_rate.max(1));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let held = app.answers.take(PART_BYTES, app.config.http.timeout).await?;
        let page = window.step(app).await?;
        if page.is_empty() {
            return Ok(());
        }
        let mut bodies = bodies_of(app, &window.pinned, window.system.name(), &page).await?;
        for message in &page {
            ticks.tick().await;
            let mut line = Sent {
                message_id: message.message_id.clone(),
                sent_message_id: None,
                offset_message_id: None,
                error: None,
            };
            match bodies.remove(&position_of(message)) {
                None => line.error = Some("its body was not kept".to_owned()),
                Some(body) => {
                    let id = uuid::Uuid::new_v4().simple().to_string().to_ascii_uppercase();
                    match sender.send(&id, message, body).await {
                        Ok(sent) => {
                            line.sent_message_id = Some(id);
                            line.offset_message_id = Some(sent);
                        }
                        Err(error) => line.error = Some(error.to_string()),
                    }
                }
            }
            let mut text = Vec::new();
            put_line(&mut text, &line)?;
            if lines.send(Ok(Bytes::from(text))).await.is_err() {
                return Ok(());
            }
        }
        drop(held);
    }
}

fn put_line(text: &mut Vec<u8>, value: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *text, value).map_err(|error| Error::Invariant(error.to_string()))?;
    text.push(b'\n');
    Ok(())
}
