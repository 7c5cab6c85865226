//! The HTTP server of a slave that gives out whole messages by subject and sequence.
//!
//! It knows what is visible and not removed, nothing else, and leaves out what it does not find.

use super::Cluster;
use super::cluster::{Group, State};
use super::net::{HttpRequest, HttpResponse};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::time::sleep;

/// Where messages are, filled up to some offset of the message log.
#[derive(Default)]
pub(super) struct Places {
    filled_to: u64,
    /// Per subject of the record header: sequences and offsets, by sequence.
    subjects: HashMap<Vec<u8>, Vec<(i64, u64)>>,
}

impl Places {
    /// Takes in what became visible. Of two messages with one sequence the later counts.
    fn fill(&mut self, state: &State) {
        let visible = state.visible.0;
        let subjects = &mut self.subjects;
        let mut whole = self.filled_to;
        state.logs.messages.messages(self.filled_to, visible, |offset, message| {
            let places = match subjects.get_mut(message.subject) {
                Some(places) => places,
                None => subjects.entry(message.subject.to_vec()).or_default(),
            };
            match places.binary_search_by_key(&message.sequence, |(sequence, _)| *sequence) {
                Ok(known) => places[known].1 = offset,
                Err(at) => places.insert(at, (message.sequence, offset)),
            }
            whole = offset + 1;
        });
        self.filled_to = whole;
    }

    fn find(&self, subject: &str, sequence: i64) -> Option<u64> {
        let places = self.subjects.get(subject.as_bytes())?;
        let at = places.binary_search_by_key(&sequence, |(sequence, _)| *sequence).ok()?;
        places.get(at).map(|(_, offset)| *offset)
    }

    /// Forgets everything; the logs were replaced or hidden.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Answers `/api/broker/message`.
pub(super) async fn http(cluster: Arc<Cluster>, group: Arc<Group>, request: HttpRequest) -> HttpResponse {
    if request.path != "/api/broker/message" {
        return HttpResponse::text(404, "");
    }
    group.count(|counters| counters.details += 1);
    let settings = cluster.settings.read().unwrap().clone();
    if !settings.delay.is_zero() {
        sleep(settings.delay).await;
    }
    if let Some(status) = settings.detail_status {
        return HttpResponse::text(status, "");
    }
    let query: Option<Value> = serde_json::from_str(request.field("backupQuery").unwrap_or_default()).ok();
    let Some(query) = query else { return chunked(Vec::new()) };
    let subject = query.get("subject").and_then(Value::as_str).unwrap_or_default();
    let Some(keys) = query.get("keys").and_then(Value::as_array).filter(|_| !subject.is_empty()) else {
        // The worker of the original dies here.
        sleep(settings.hang).await;
        return HttpResponse::text(500, "");
    };
    let mut response = chunked(collect(&group, subject, keys));
    response.cut = Some(Box::new(move |length| {
        let cut = cluster.dice.cut(settings.cut, length);
        group.count(|counters| counters.faults.cut += u64::from(cut.is_some()));
        cut
    }));
    response
}

fn chunked(body: Vec<u8>) -> HttpResponse {
    HttpResponse { chunked: true, ..HttpResponse::text(200, body) }
}

fn collect(group: &Group, subject: &str, keys: &[Value]) -> Vec<u8> {
    let state = group.state.read().unwrap();
    let mut places = group.details.lock().unwrap();
    places.fill(&state);
    let mut out = Vec::new();
    for key in keys {
        let sequence = key.get("sequence");
        let sequence = sequence.and_then(|number| number.as_i64().or_else(|| number.as_str()?.parse().ok()));
        // The whole query counts as not parsable.
        let Some(sequence) = sequence else { return Vec::new() };
        let offset = places.find(subject, sequence).filter(|offset| *offset >= state.logs.messages.minimum);
        if let Some(message) = offset.and_then(|offset| state.logs.messages.message(offset)) {
            out.extend_from_slice(&sequence.to_be_bytes());
            out.extend_from_slice(message.payload);
            group.count(|counters| counters.detail_messages += 1);
        }
    }
    out
}
