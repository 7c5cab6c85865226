//! Whole messages from the HTTP server of a slave, by subject and sequence.
//!
//! The answer of a broker has no count and no separators, leaves out what it does not find, and can break off. This
//! module returns the requested messages that arrived whole. It never asks twice for one and never says why a message
//! is missing, since the broker does not.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Client;
use serde_json::Value;
use tracing::debug;
use url::Url;

use super::error::PeerError;
use super::http;
use crate::brokers::qmq::format::payload::Payload;
use crate::codec::cursor::Cursor;

/// Most messages requested at once, so that its URL stays below the 8 KiB many servers allow.
pub const MAX_KEYS: usize = 100;

/// Limits of [`fetch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DetailLimits {
    /// Longest time of one request, of which there is one per [`MAX_KEYS`] messages.
    pub timeout: Duration,
    /// Most bytes read in one call, over all its requests.
    pub max_bytes: usize,
}

/// Fetches messages from `address`, the `host:port` of a slave's HTTP server.
///
/// `subject` is the full name as in the log record, retry prefix included. Returns sequence and message for every
/// message found, in the order of the answer; the bytes of a message are those that [`Payload::decode`] takes. When an
/// answer breaks off or the byte limit is reached, the messages that are not whole are missing like those not found.
///
/// # Errors
/// [`PeerError::Http`] if a request fails, if the subject is empty (a broker would not answer), or if an answer is cut
/// or unreadable and the call has not one whole message.
pub async fn fetch(
    http: &Client,
    address: &str,
    subject: &str,
    sequences: &[i64],
    limits: &DetailLimits,
) -> Result<Vec<(i64, Bytes)>, PeerError> {
    let text = format!("http://{address}/api/broker/message");
    let url = match Url::parse(&text) {
        Ok(url) => url,
        Err(error) => return Err(PeerError::Http { url: text, reason: error.to_string() }),
    };
    if subject.is_empty() {
        return Err(http::failure(&url, "cannot ask for messages of an empty subject"));
    }
    let mut wanted: HashSet<i64> = HashSet::with_capacity(sequences.len());
    let unique: Vec<i64> = sequences.iter().copied().filter(|sequence| wanted.insert(*sequence)).collect();
    let mut messages = Vec::new();
    let mut room = limits.max_bytes;
    let mut cut = None;
    for keys in unique.chunks(MAX_KEYS) {
        let asked = url_of(&url, subject, keys);
        let fetched = http::get(http, &asked, limits.timeout, room).await?;
        room = room.saturating_sub(fetched.body.len());
        let unreadable = take_messages(&fetched.body, &mut wanted, &mut messages).err();
        // The limit or the broken connection explains a cut message better than the message does.
        let Some(reason) = fetched.cut.or(unreadable) else { continue };
        debug!(address, subject, reason, "answer with message details is incomplete");
        cut = Some(reason);
        if room == 0 {
            break;
        }
    }
    match cut {
        Some(reason) if messages.is_empty() => Err(http::failure(&url, reason)),
        _ => Ok(messages),
    }
}

fn url_of(base: &Url, subject: &str, keys: &[i64]) -> Url {
    let keys: Vec<String> = keys.iter().map(|key| format!(r#"{{"sequence":"{key}"}}"#)).collect();
    let query = format!(r#"{{"subject":{},"keys":[{}]}}"#, Value::from(subject), keys.join(","));
    let mut url = base.clone();
    url.query_pairs_mut().append_pair("backupQuery", &query);
    url
}

/// Appends the whole messages of an answer that are still wanted. The error says why the answer could not be read to
/// its end; what comes before is appended all the same.
fn take_messages(
    body: &Bytes,
    wanted: &mut HashSet<i64>,
    messages: &mut Vec<(i64, Bytes)>,
) -> Result<(), String> {
    let mut cursor = Cursor::new(body);
    while cursor.remaining() > 0 {
        let sequence = cursor.i64().map_err(|_| "the answer ends inside a sequence".to_owned())?;
        let payload = Payload::decode(cursor.rest()).map_err(|error| error.to_string())?;
        let message = cursor.bytes(payload.size).map_err(|error| error.to_string())?;
        if wanted.remove(&sequence) {
            messages.push((sequence, body.slice_ref(message)));
        } else {
            debug!(sequence, "dropped a message that was not asked for");
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "detail_tests.rs"]
mod tests;
