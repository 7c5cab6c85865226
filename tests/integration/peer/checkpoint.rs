//! The answer to a checkpoint request: how far subjects and consumers are, as text.

use std::collections::BTreeMap;
use std::fmt::Write;

use mqlake::brokers::qmq::format::action_log;
use mqlake::brokers::qmq::format::action_log::{ActionKind, Step};

use super::cluster::State;

#[derive(Default)]
struct Consumers {
    broadcast: bool,
    max_pulled: Option<i64>,
    /// Last pull and last ack of each.
    consumers: BTreeMap<String, (i64, i64)>,
}

/// Appends the body of the response.
pub(super) fn write(state: &State, out: &mut Vec<u8>) {
    out.push(1);
    for text in [messages(state), actions(state)] {
        out.extend_from_slice(&(text.len() as u32).to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    }
}

fn messages(state: &State) -> String {
    let visible = state.visible.0;
    let mut newest = BTreeMap::new();
    state.logs.messages.messages(state.logs.messages.minimum, visible, |_, message| {
        newest.insert(String::from_utf8_lossy(message.subject).into_owned(), message.sequence);
    });
    let mut text = format!("2\n{visible}\n");
    for (subject, sequence) in newest {
        let _ = writeln!(text, "{subject}/{sequence}");
    }
    text
}

fn actions(state: &State) -> String {
    let visible = state.visible.1;
    let mut subjects: BTreeMap<String, BTreeMap<String, Consumers>> = BTreeMap::new();
    for segment in &state.logs.actions.segments {
        let end = segment.data.len().min(visible.saturating_sub(segment.base) as usize);
        let mut rest = &segment.data[..end];
        while let Step::Action { action, size } = action_log::step(rest, rest.len()) {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            let groups = subjects.entry(text(action.subject)).or_default();
            let group = groups.entry(text(action.consumer_group)).or_default();
            let id = text(action.consumer_id);
            match action.kind {
                ActionKind::Pull { broadcast, last_sequence, last_message_sequence, .. } => {
                    group.broadcast = broadcast;
                    group.max_pulled = group.max_pulled.max(Some(last_message_sequence));
                    group.consumers.entry(id).or_insert((-1, -1)).0 = last_sequence;
                }
                ActionKind::RangeAck { last_sequence, .. } => {
                    group.consumers.entry(id).or_insert((-1, -1)).1 = last_sequence;
                }
                ActionKind::ForeverOffline => {
                    group.consumers.remove(&id);
                }
            }
            rest = &rest[size..];
        }
    }
    let mut text = format!("3\n{visible}\n");
    for (subject, groups) in subjects {
        let _ = writeln!(text, "{subject}/{}", groups.len());
        for (name, group) in groups {
            let (broadcast, pulled) = (u8::from(group.broadcast), group.max_pulled.unwrap_or(-1));
            let _ = writeln!(text, "{name}/{broadcast}/{pulled}/{}", group.consumers.len());
            for (id, (pull, ack)) in group.consumers {
                let _ = writeln!(text, "{id}/{pull}/{ack}");
            }
        }
    }
    text
}
