//! Offsets of consumer groups: 14, 15, 43, 45, 208, 222 and 300.
//!
//! No consumer ever is online here.

use super::broker::{Broker, get, set};
use super::frame::Frame;
use super::json::{DATA_VERSION, list, map, queue_key, quoted};
use super::queue::View;
use super::response::{
    Answer, CONSUMER_NOT_ONLINE, INVALID_PARAMETER, QUERY_NOT_FOUND, Response, SYSTEM_ERROR, number,
    optional, refuse, required,
};
use std::collections::{BTreeMap, BTreeSet};

struct Named<'a> {
    group: &'a str,
    topic: &'a str,
    queue: i32,
}

fn named(request: &Frame) -> Result<Named<'_>, Box<Response>> {
    let (group, topic) = (required(request, "consumerGroup")?, required(request, "topic")?);
    Ok(Named { group, topic, queue: number(request, "queueId")? })
}

/// 14.
pub(super) fn query_offset(broker: &Broker, request: &Frame) -> Answer {
    let Named { group, topic, queue } = named(request)?;
    let stored = broker.pending(group, topic, queue).or_else(|| broker.offset(group, topic, queue));
    let stored = stored.filter(|offset| *offset >= 0);
    let view = broker.view(topic, queue);
    let young = request.field("setZeroIfNotFound") != Some("false") && view.min == 0 && view.max > 0;
    match stored.or_else(|| young.then_some(0)) {
        Some(offset) => Ok(Response::default().field("offset", offset)),
        None => {
            let remark = "Not found, maybe this group consumer boot first";
            refuse(Response::error(QUERY_NOT_FOUND, remark))
        }
    }
}

/// 15.
pub(super) fn update_offset(broker: &mut Broker, request: &Frame) -> Answer {
    let Named { group, topic, queue } = named(request)?;
    broker.topic(topic)?;
    broker.check_group(group)?;
    let Some(offset) = optional(request, "commitOffset")? else {
        return refuse(Response::error(INVALID_PARAMETER, "Offset is null"));
    };
    if broker.pending(group, topic, queue).is_some() {
        return Ok(Response::error(0, "Offset has been previously reset"));
    }
    set(&mut broker.offsets, group, topic, queue, offset);
    Ok(Response::default())
}

/// 43.
pub(super) fn all_offsets(broker: &Broker) -> Answer {
    let mut topics: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
    for (topic, group) in broker.offsets.keys() {
        topics.entry(group).or_default().insert(topic);
    }
    let topics = map(topics.into_iter().map(|(group, topics)| (quoted(group), list(topics))));
    let rows = broker.offsets.iter();
    let rows =
        map(rows.map(|((topic, group), queues)| (quoted(&format!("{topic}@{group}")), numbers(queues))));
    Ok(Response::body(format!(r#"{{{DATA_VERSION},"groupTopicMap":{topics},"offsetTable":{rows}}}"#)))
}

/// 45.
pub(super) fn delay_offsets(broker: &Broker) -> Answer {
    Ok(Response::body(format!(r#"{{{DATA_VERSION},"offsetTable":{}}}"#, numbers(&broker.delay_offsets))))
}

fn numbers(table: &BTreeMap<i32, i64>) -> String {
    map(table.iter().map(|(key, value)| (key.to_string(), value.to_string())))
}

/// 208.
pub(super) fn stats(broker: &Broker, request: &Frame) -> Answer {
    let group = required(request, "consumerGroup")?;
    let topics: Vec<&str> = match (request.field("topicList"), request.field("topic")) {
        (Some(topics), _) => topics.split(';').collect(),
        (None, Some(topic)) => vec![topic],
        (None, None) => {
            broker.offsets.keys().filter(|(_, of)| of == group).map(|(topic, _)| topic.as_str()).collect()
        }
    };
    let mut rows = Vec::new();
    for topic in topics {
        let config = broker.topics.get(topic).filter(|_| broker.groups.contains(group));
        for queue in 0..config.map_or(0, |config| config.read_queues) {
            let view = broker.view(topic, queue);
            let consumed = broker.offset(group, topic, queue).unwrap_or(0).max(0);
            let pulled = get(&broker.pulled, group, topic, queue).unwrap_or(0).max(consumed);
            let time = if consumed > 0 { view.time_at(consumed - 1).unwrap_or(0) } else { 0 };
            let row = format!(
                r#"{{"brokerOffset":{},"consumerOffset":{consumed},"lastTimestamp":{time},"pullOffset":{pulled}}}"#,
                view.max
            );
            rows.push((queue_key(topic, &broker.name, queue), row));
        }
    }
    Ok(Response::body(format!(r#"{{"consumeTps":0.0,"offsetTable":{}}}"#, map(rows))))
}

/// 300.
pub(super) fn groups_of_topic(broker: &Broker, request: &Frame) -> Answer {
    let topic = required(request, "topic")?;
    let groups: BTreeSet<_> =
        broker.offsets.keys().filter(|(of, _)| of == topic).map(|(_, group)| group).collect();
    Ok(Response::body(format!(r#"{{"groupList":{}}}"#, list(groups))))
}

/// 222.
pub(super) fn reset(broker: &mut Broker, request: &Frame, server_side: bool) -> Answer {
    let (topic, group) = (required(request, "topic")?, required(request, "group")?);
    let time: i64 = optional(request, "timestamp")?.unwrap_or(0);
    let one: Option<i32> = optional(request, "queueId")?.filter(|queue| *queue >= 0);
    let offset: Option<i64> = optional(request, "offset")?.filter(|offset| *offset != -1);
    let config = broker.topic(topic)?;
    let (readable, writable) = (config.read_queues, config.write_queues);
    if !server_side {
        if (0..writable).any(|queue| broker.offset(group, topic, queue).is_none()) {
            return refuse(Response::error(SYSTEM_ERROR, format!("THe consumer group <{group}> not exist")));
        }
        let remark = format!("Consumer not online, so can not reset offset, Group: {group} Topic: {topic}");
        return refuse(Response::error(CONSUMER_NOT_ONLINE, remark));
    }
    broker.check_group(group)?;
    let mut targets = Vec::new();
    for queue in one.map_or(0..readable, |one| one..one + 1) {
        let view = broker.view(topic, queue);
        targets.push((queue, target(&view, time, offset.filter(|_| one.is_some()))?));
    }
    for (queue, target) in &targets {
        set(&mut broker.offsets, group, topic, *queue, *target);
        set(&mut broker.pending, group, topic, *queue, *target);
    }
    let rows =
        targets.iter().map(|(queue, target)| (queue_key(topic, &broker.name, *queue), target.to_string()));
    Ok(Response::body(format!(r#"{{"offsetTable":{}}}"#, map(rows))))
}

fn target(view: &View<'_>, time: i64, offset: Option<i64>) -> Result<i64, Box<Response>> {
    let (min, max) = (view.min, view.max);
    match offset {
        Some(offset) if (min..=max + 1).contains(&offset) => Ok(offset),
        Some(offset) => {
            let remark = format!("Target offset {offset} not in consume queue range [{min}-{max}]");
            refuse(Response::error(SYSTEM_ERROR, remark))
        }
        None if time < 0 => Ok(max),
        None => Ok(view.lower(time)),
    }
}
