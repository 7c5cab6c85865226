//! Which request is handled where.
//!
//! Unknown codes are refused, those of the other kind of server too.

use super::broker::Broker;
use super::frame::Frame;
use super::response::{Answer, NOT_SUPPORTED, Response, refuse};
use super::settings::ClusterSettings;
use super::{NAME_SERVER, Shared};
use super::{info, name_server, offsets, progress, pull, query, send};
use std::net::SocketAddr;

pub(super) const PULL_MESSAGE: i32 = 11;
const SEND_MESSAGE_V2: i32 = 310;

/// Executes a request.
pub(super) async fn answer(shared: &Shared, server: &str, request: &Frame, peer: SocketAddr) -> Response {
    let settings = shared.settings.read().unwrap().clone();
    let answer = if server == NAME_SERVER {
        name_server::answer(&settings, &shared.brokers.lock().unwrap(), request)
    } else if let Some(refusal) = settings.acl.as_ref().and_then(|acl| acl.check(request)) {
        Ok(refusal)
    } else if request.code == PULL_MESSAGE {
        pull::answer(shared, &settings, server, request).await
    } else {
        let answer = shared.with(server, |broker| ask(broker, &settings, request, peer));
        if request.code == SEND_MESSAGE_V2 {
            shared.wake();
        }
        answer
    };
    answer.unwrap_or_else(|refusal| *refusal)
}

fn ask(broker: &mut Broker, settings: &ClusterSettings, request: &Frame, peer: SocketAddr) -> Answer {
    match request.code {
        12 => query::by_key(broker, request),
        14 => progress::query_offset(broker, request),
        15 => progress::update_offset(broker, request),
        21 => info::topics(broker),
        26 => info::settings(broker, settings),
        28 => info::runtime(broker),
        29 => offsets::search(broker, request, settings.boundaries),
        30 => offsets::max(broker, request),
        31 => offsets::min(broker, request),
        32 => offsets::earliest(broker, request),
        33 => query::by_offset(broker, request),
        43 => progress::all_offsets(broker),
        45 => progress::delay_offsets(broker),
        201 => info::groups(broker),
        202 => info::topic_stats(broker, request),
        208 => progress::stats(broker, request),
        222 => progress::reset(broker, request, settings.server_side_reset),
        300 => progress::groups_of_topic(broker, request),
        SEND_MESSAGE_V2 => send::send(broker, request, settings.create_topics, peer),
        code => unknown(code),
    }
}

pub(super) fn unknown(code: i32) -> Answer {
    refuse(Response::error(NOT_SUPPORTED, format!(" request type {code} not supported")))
}
