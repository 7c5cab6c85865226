//! Sends (310): the message is stored as it comes. Delays, transactions and batches are not treated as such.

use super::broker::Broker;
use super::frame::Frame;
use super::record::{Message, offset_id, split_properties};
use super::response::{
    Answer, INVALID_PARAMETER, MESSAGE_ILLEGAL, NO_PERMISSION, Response, number, optional, refuse, required,
};
use super::topics::TopicConfig;
use std::net::SocketAddr;

const MAX_TOPIC_BYTES: usize = 127;
const MAX_PROPERTY_BYTES: usize = 32_000;

pub(super) fn send(broker: &mut Broker, request: &Frame, create: bool, peer: SocketAddr) -> Answer {
    send_message(broker, request, create, peer)
        .map_err(|refusal| Box::new(refusal.field("MSG_REGION", "DefaultRegion").field("TRACE_ON", true)))
}

fn send_message(broker: &mut Broker, request: &Frame, create: bool, peer: SocketAddr) -> Answer {
    required(request, "a")?;
    let topic = required(request, "b")?;
    if topic.len() > MAX_TOPIC_BYTES {
        return refuse(Response::error(
            INVALID_PARAMETER,
            "The specified topic is longer than topic max length 127.",
        ));
    }
    let queue: i32 = number(request, "e")?;
    let queues: i32 = number(request, "d")?;
    if create && !broker.topics.contains_key(topic) {
        broker.set_topic(topic, TopicConfig::new(queues));
    }
    let config = broker.topic(topic)?;
    if !config.is_writable() {
        return refuse(Response::error(
            NO_PERMISSION,
            format!("the topic[{topic}] sending message is forbidden"),
        ));
    }
    if queue >= config.write_queues {
        let remark = format!("request queueId[{queue}] is illegal, topic:[{topic}]");
        return refuse(Response::error(INVALID_PARAMETER, remark));
    }
    let queue = queue.max(0);
    // A record cannot hold more, with what the broker adds.
    if request.field("i").is_some_and(|text| text.len() > MAX_PROPERTY_BYTES) {
        return refuse(Response::error(MESSAGE_ILLEGAL, "the message's properties are too long"));
    }
    let mut properties = split_properties(request.field("i").unwrap_or_default());
    let added = [("MSG_REGION", "DefaultRegion"), ("CLUSTER", &*broker.cluster), ("TRACE_ON", "true")];
    for (name, value) in added {
        if properties.iter().all(|(of, _)| of != name) {
            properties.push((name.to_owned(), value.to_owned()));
        }
    }
    let unique = properties.iter().rev().find(|(name, _)| name == "UNIQ_KEY").map(|(_, key)| key.clone());
    let message = Message {
        properties,
        body: request.body.clone(),
        flag: number(request, "h")?,
        sys_flag: number(request, "f")?,
        born_time: Some(number(request, "g")?),
        born_host: peer,
        reconsume_times: optional(request, "j")?.unwrap_or(0),
        ..Message::default()
    };
    let (queue_offset, physical) = broker.append(topic, queue, &message);
    let response = Response::default().field("msgId", offset_id(broker.address(), physical));
    let response = response.field("queueId", queue).field("queueOffset", queue_offset);
    let response = response.field("MSG_REGION", "DefaultRegion").field("TRACE_ON", true);
    Ok(match unique {
        Some(key) => response.field("transactionId", key),
        None => response,
    })
}
