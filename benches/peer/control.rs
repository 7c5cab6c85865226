//! The control API of the example: what is visible, which requests came, and switches for faults.

use super::peer::{Asked, Counters, HttpRequest, HttpResponse, Peer, now_ms, serve_http};
use serde_json::{Value, json};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Serves the API for ever.
pub(super) async fn serve(listener: TcpListener, peer: Arc<Peer>) {
    while let Ok((stream, _)) = listener.accept().await {
        let peer = Arc::clone(&peer);
        tokio::spawn(serve_http(stream, move |request| std::future::ready(answer(&peer, &request))));
    }
}

fn answer(peer: &Peer, request: &HttpRequest) -> HttpResponse {
    let done = match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/control/status") => true,
        ("POST", path) => act(peer, path, request),
        _ => false,
    };
    if !done {
        return json(404, &json!({"error": "no such switch, or a value missing or wrong"}));
    }
    json(200, &status(peer, request))
}

fn json(status: u16, value: &Value) -> HttpResponse {
    let content_type = Some("application/json");
    HttpResponse { content_type, ..HttpResponse::text(status, value.to_string()) }
}

fn number<T: FromStr>(request: &HttpRequest, name: &str) -> Option<T> {
    request.field(name)?.parse().ok()
}

/// The groups that a request concerns: the one named, or all.
fn chosen(peer: &Peer, request: &HttpRequest) -> Vec<String> {
    let groups = peer.groups().into_iter();
    groups.filter(|name| request.field("bg").is_none_or(|chosen| chosen == name)).collect()
}

fn act(peer: &Peer, path: &str, request: &HttpRequest) -> bool {
    match path {
        "/control/reveal" if request.field("all").is_some() => peer.reveal_all(),
        "/control/reveal" => {
            let Some(records) = number(request, "records") else { return false };
            chosen(peer, request).iter().for_each(|group| peer.reveal_records(group, records));
        }
        "/control/rate" => {
            let Some(rate) = number(request, "rate") else { return false };
            peer.reveal_at_rate(rate);
        }
        "/control/set" => set(peer, request),
        "/control/drop" => peer.drop_connections(),
        "/control/move" => chosen(peer, request).iter().for_each(|group| peer.move_slave(group)),
        _ => return false,
    }
    true
}

fn set(peer: &Peer, request: &HttpRequest) {
    peer.set(|settings| {
        let chances =
            [("cut", &mut settings.cut), ("error", &mut settings.error), ("silent", &mut settings.silent)];
        for (name, chance) in chances {
            *chance = number(request, name).unwrap_or(*chance);
        }
        if let Some(delay) = number(request, "delay") {
            settings.delay = Duration::from_millis(delay);
        }
        settings.batch_size = number(request, "batch").unwrap_or(settings.batch_size);
        settings.role = number(request, "role").unwrap_or(settings.role);
        settings.torn = number(request, "torn").unwrap_or(settings.torn);
    });
}

/// All addresses, for the first line on stdout and the status.
pub(super) fn addresses(peer: &Peer, control: &str) -> Value {
    let groups = peer.groups().into_iter().map(|name| {
        let (hostname, serve_port) = peer.identity(&name);
        let address = json!({
            "identity": {"hostname": hostname, "serve_port": serve_port},
            "sync": peer.sync_addr(&name).to_string(),
            "detail": peer.detail_addr(&name).to_string(),
        });
        (name, address)
    });
    json!({
        "meta_url": peer.meta_url(),
        "slave_meta_url": peer.slave_meta_url(),
        "meta_tcp": peer.meta_tcp_addr().to_string(),
        "control": control,
        "groups": groups.collect::<serde_json::Map<_, _>>(),
    })
}

fn status(peer: &Peer, request: &HttpRequest) -> Value {
    let settings = peer.settings();
    let since = number(request, "since").unwrap_or(0);
    let groups = chosen(peer, request).into_iter().map(|name| {
        let status = group_status(peer, &name, since);
        (name, status)
    });
    json!({
        "now_ms": now_ms(),
        "all_visible": peer.is_all_visible(),
        "settings": {
            "batch": settings.batch_size,
            "cut": settings.cut,
            "error": settings.error,
            "silent": settings.silent,
            "delay_ms": settings.delay.as_millis() as u64,
            "torn": settings.torn,
            "role": settings.role,
        },
        "groups": groups.collect::<serde_json::Map<_, _>>(),
    })
}

fn group_status(peer: &Peer, name: &str, since: u64) -> Value {
    let (message_end, action_end) = peer.ends(name);
    let (message_minimum, action_minimum) = peer.minimums(name);
    let (message_visible, action_visible) = peer.visible(name);
    let (visible, total) = peer.records(name);
    let reveals = peer.reveals(name).into_iter().filter(|reveal| reveal.at_ms >= since);
    json!({
        "sync": peer.sync_addr(name).to_string(),
        "detail": peer.detail_addr(name).to_string(),
        "connections": peer.sync_connections(name),
        "records_visible": visible,
        "records_total": total,
        "message": {"minimum": message_minimum, "visible": message_visible, "end": message_end},
        "action": {"minimum": action_minimum, "visible": action_visible, "end": action_end},
        "counters": counters(&peer.counters(name)),
        "reveals": reveals.map(|reveal| json!([reveal.at_ms, reveal.message_end, reveal.action_end])).collect::<Vec<_>>(),
    })
}

fn counters(counters: &Counters) -> Value {
    json!({
        "action": asked(&counters.action),
        "message": asked(&counters.message),
        "heartbeat": asked(&counters.heartbeat),
        "index": asked(&counters.index),
        "refused": counters.refused,
        "checkpoints": counters.checkpoints,
        "unknown": counters.unknown,
        "acquires": counters.acquires,
        "registers": counters.registers,
        "slave_lookups": counters.slave_lookups,
        "details": counters.details,
        "detail_messages": counters.detail_messages,
        "faults": {
            "cut": counters.faults.cut,
            "error": counters.faults.error,
            "silent": counters.faults.silent,
            "swallowed": counters.faults.swallowed,
        },
    })
}

fn asked(asked: &Asked) -> Value {
    json!({
        "requests": asked.requests,
        "message_offset": asked.message_offset,
        "action_offset": asked.action_offset,
        "at_ms": asked.at_ms,
        "bytes": asked.bytes,
    })
}
