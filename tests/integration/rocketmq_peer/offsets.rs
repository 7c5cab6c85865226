//! Offsets of a queue: 29, 30, 31 and 32. They answer for queues that there are not, too.

use super::broker::Broker;
use super::frame::Frame;
use super::queue::View;
use super::response::{Answer, Response, number, required};

fn view<'a>(broker: &'a Broker, request: &Frame) -> Result<View<'a>, Box<Response>> {
    Ok(broker.view(required(request, "topic")?, number(request, "queueId")?))
}

fn offset(offset: i64) -> Answer {
    Ok(Response::default().field("offset", offset))
}

pub(super) fn search(broker: &Broker, request: &Frame, boundaries: bool) -> Answer {
    let view = view(broker, request)?;
    let time = number(request, "timestamp")?;
    let upper = request.field("boundaryType").is_some_and(|boundary| boundary.eq_ignore_ascii_case("UPPER"));
    offset(match (boundaries, upper) {
        (false, _) => view.nearest(time),
        (true, false) => view.lower(time),
        (true, true) => view.upper(time),
    })
}

pub(super) fn max(broker: &Broker, request: &Frame) -> Answer {
    offset(view(broker, request)?.max)
}

pub(super) fn min(broker: &Broker, request: &Frame) -> Answer {
    offset(view(broker, request)?.min)
}

pub(super) fn earliest(broker: &Broker, request: &Frame) -> Answer {
    let time = view(broker, request)?.earliest();
    Ok(Response::default().field("timestamp", time))
}
