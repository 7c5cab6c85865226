//! Pulls (11): what is found at an offset, and the suspension of those that find nothing.
//!
//! Filters by tag only: of expressions in SQL92 it says that they are not enabled.

use super::Shared;
use super::broker::{Broker, set, take};
use super::frame::Frame;
use super::record::java_hash;
use super::response::{
    Answer, INVALID_PARAMETER, NO_PERMISSION, PULL_NOT_FOUND, PULL_OFFSET_MOVED, PULL_RETRY, Response,
    SUBSCRIPTION_NOT_EXIST, SUBSCRIPTION_PARSE_FAILED, SUCCESS, SYSTEM_ERROR, number, optional, refuse,
    required,
};
use super::settings::ClusterSettings;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

const COMMIT_OFFSET: i32 = 1;
const SUSPEND: i32 = 2;
const SUBSCRIPTION: i32 = 4;
/// Most entries that a pull with a filter looks at.
const MOST_FILTERED: usize = 800;

pub(super) async fn answer(
    shared: &Shared,
    settings: &ClusterSettings,
    broker: &str,
    request: &Frame,
) -> Answer {
    let mut changed = shared.changed.subscribe();
    let look = || shared.with(broker, |broker| look(broker, settings, request));
    let answer = look()?;
    let flags: i32 = number(request, "sysFlag")?;
    if answer.code != PULL_NOT_FOUND || flags & SUSPEND == 0 {
        return Ok(answer);
    }
    let wait: u64 = optional(request, "suspendTimeoutMillis")?.unwrap_or(0);
    let end = Instant::now() + Duration::from_millis(wait) + shared.dice.within(settings.suspend_tick);
    loop {
        tokio::select! {
            // Only found messages wake a pull; anything else is noticed at the end.
            Ok(()) = changed.changed() => match look() {
                Ok(answer) if answer.code == SUCCESS => return Ok(answer),
                _ => {}
            },
            () = sleep_until(end) => return look(),
        }
    }
}

/// The tags that a subscription wants; `None` for all.
fn wanted(request: &Frame, flags: i32) -> Result<Option<Vec<i32>>, Box<Response>> {
    if flags & SUBSCRIPTION == 0 {
        let remark = "the consumer's subscription not exist";
        return refuse(Response::error(SUBSCRIPTION_NOT_EXIST, remark));
    }
    let text = request.field("subscription").unwrap_or_default();
    if request.field("expressionType") == Some("SQL92") {
        let remark = "The broker does not support consumer to filter message by SQL92";
        return refuse(Response::error(SYSTEM_ERROR, remark));
    }
    if text.is_empty() || text == "*" {
        return Ok(None);
    }
    let tags: Vec<_> = text.split("||").map(str::trim).filter(|tag| !tag.is_empty()).map(java_hash).collect();
    if tags.is_empty() {
        return refuse(Response::error(
            SUBSCRIPTION_PARSE_FAILED,
            "parse the consumer's subscription failed",
        ));
    }
    Ok(Some(tags))
}

fn look(broker: &mut Broker, settings: &ClusterSettings, request: &Frame) -> Answer {
    let group = required(request, "consumerGroup")?;
    let topic = required(request, "topic")?;
    let queue: i32 = number(request, "queueId")?;
    let offset: i64 = number(request, "queueOffset")?;
    let most: i32 = number(request, "maxMsgNums")?;
    let flags: i32 = number(request, "sysFlag")?;
    if settings.create_groups {
        broker.groups.insert(group.to_owned());
    }
    broker.check_group(group)?;
    if settings.closed_brokers {
        let remark = format!("the broker[127.0.0.1:{}] pulling message is forbidden", broker.port);
        return refuse(Response::error(NO_PERMISSION, remark));
    }
    if settings.denied_topics.iter().any(|denied| denied == topic) {
        let remark = format!("User:reader has no permission to access Topic:{topic} from 127.0.0.1");
        return refuse(Response::error(NO_PERMISSION, remark));
    }
    if let Some(times) = broker.missed.get_mut(topic).filter(|times| **times > 0) {
        *times -= 1;
        return refuse(Response::no_topic(topic));
    }
    let config = broker.topic(topic)?;
    if !config.is_readable() {
        return refuse(Response::error(
            NO_PERMISSION,
            format!("the topic[{topic}] pulling message is forbidden"),
        ));
    }
    if !(0..config.read_queues).contains(&queue) {
        let remark = format!("queueId[{queue}] is illegal, topic:[{topic}]");
        return refuse(Response::error(INVALID_PARAMETER, remark));
    }
    let wanted = wanted(request, flags)?;
    set(&mut broker.pulled, group, topic, queue, offset);
    if flags & COMMIT_OFFSET != 0 {
        set(&mut broker.offsets, group, topic, queue, optional(request, "commitOffset")?.unwrap_or(0));
    }
    let reset = take(&mut broker.pending, group, topic, queue);
    let view = broker.view(topic, queue);
    let found = match reset {
        Some(target) => Found::nothing(PULL_OFFSET_MOVED, "OFFSET_RESET", target),
        None => find(broker, settings, (topic, queue, offset), most, wanted.as_deref()),
    };
    let found = as_configured(found, settings, offset, view.min);
    let response =
        Response { code: found.code, remark: Some(found.status.to_owned()), ..Response::body(found.body) };
    let response = response.field("suggestWhichBrokerId", 0).field("nextBeginOffset", found.next);
    let response = response.field("minOffset", view.min).field("maxOffset", view.max);
    Ok(response.field("topicSysFlag", 0).field("groupSysFlag", 0))
}

/// An answer about an offset that is out of range, in the words of the kind of broker.
fn as_configured(mut found: Found, settings: &ClusterSettings, offset: i64, min: i64) -> Found {
    if found.code == PULL_OFFSET_MOVED && settings.slaves {
        (found.code, found.next) = (PULL_RETRY, offset);
    }
    if found.status == "OFFSET_OVERFLOW_BADLY" && settings.old_brokers && min == 0 {
        found.next = 0;
    }
    found
}

struct Found {
    code: i32,
    status: &'static str,
    next: i64,
    body: Vec<u8>,
}

impl Found {
    fn nothing(code: i32, status: &'static str, next: i64) -> Self {
        Self { code, status, next, body: Vec::new() }
    }
}

fn find(
    broker: &Broker,
    settings: &ClusterSettings,
    (topic, queue, offset): (&str, i32, i64),
    most: i32,
    wanted: Option<&[i32]>,
) -> Found {
    let view = broker.view(topic, queue);
    if view.max == 0 {
        let code = if offset == 0 { PULL_NOT_FOUND } else { PULL_OFFSET_MOVED };
        return Found::nothing(code, "NO_MESSAGE_IN_QUEUE", 0);
    }
    if offset < view.min {
        return Found::nothing(PULL_OFFSET_MOVED, "OFFSET_TOO_SMALL", view.min);
    }
    if offset == view.max {
        return Found::nothing(PULL_NOT_FOUND, "OFFSET_OVERFLOW_ONE", offset);
    }
    if offset > view.max {
        return Found::nothing(PULL_OFFSET_MOVED, "OFFSET_OVERFLOW_BADLY", view.max);
    }
    let most = usize::try_from(most).unwrap_or(0).clamp(1, settings.batch_messages.max(1));
    let mut found = Found::nothing(PULL_RETRY, "OFFSET_FOUND_NULL", offset);
    let (mut messages, mut looked) = (0, 0);
    for entry in view.from(offset) {
        // The gap of retention: what is gone is passed over in silence.
        if !broker.log.is_live(entry.record) {
            (found.status, found.next) = ("MESSAGE_WAS_REMOVING", entry.next);
            continue;
        }
        let record = broker.log.get(entry.record);
        let full = found.body.len() + record.raw.len() > settings.batch_bytes && messages > 0;
        if full || messages == most || (wanted.is_some() && looked == MOST_FILTERED) {
            break;
        }
        looked += 1;
        found.next = entry.next;
        if wanted.is_some_and(|tags| !tags.contains(&record.tag_code)) {
            found.status = "NO_MATCHED_MESSAGE";
            continue;
        }
        found.body.extend_from_slice(&record.raw);
        messages += 1;
    }
    if messages > 0 {
        (found.code, found.status) = (SUCCESS, "FOUND");
    }
    found
}
