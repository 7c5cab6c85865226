//! Queries of messages by key (12) and by physical offset (33).

use super::broker::Broker;
use super::frame::Frame;
use super::response::{Answer, QUERY_NOT_FOUND, Response, SYSTEM_ERROR, number, refuse};

/// Most messages of an answer.
const MOST: usize = 64;
/// Number of messages looked for by unique key, whatever was asked.
const MOST_UNIQUE: usize = 32;

pub(super) fn by_key(broker: &Broker, request: &Frame) -> Answer {
    let none = || Response::error(QUERY_NOT_FOUND, "can not find message, maybe time range not correct");
    let (Some(topic), Some(key)) = (request.field("topic"), request.field("key")) else {
        return refuse(none());
    };
    let asked: i32 = number(request, "maxNum")?;
    let (begin, end) = (number(request, "beginTimestamp")?, number(request, "endTimestamp")?);
    let unique = request.field("_UNIQUE_KEY_QUERY") == Some("true");
    let most = if unique { MOST_UNIQUE } else { usize::try_from(asked).unwrap_or(0).min(MOST) };
    let found = broker.log.find(topic, key, begin, end, most);
    if found.is_empty() {
        return refuse(none());
    }
    let body: Vec<_> =
        found.into_iter().flat_map(|record| broker.log.get(record).raw.iter().copied()).collect();
    let (time, physical) = broker.log.index_end();
    let response = Response::body(body).field("indexLastUpdateTimestamp", time);
    Ok(response.field("indexLastUpdatePhyoffset", physical))
}

pub(super) fn by_offset(broker: &Broker, request: &Frame) -> Answer {
    let offset: i64 = number(request, "offset")?;
    let none = || Response::error(SYSTEM_ERROR, format!("can not find message by the offset, {offset}"));
    broker.log.read(offset).map_or_else(|| refuse(none()), |bytes| Ok(Response::body(bytes)))
}
