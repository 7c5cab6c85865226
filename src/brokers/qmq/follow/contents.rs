//! Contents of dead letters, fetched from the slave's detail server by queue and sequence.
//!
//! It fetches only the messages that an index answer names. A failure loses nothing: the caller then reads the message
//! log instead.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use url::Url;

use super::detail_servers::DetailServers;
use super::frames;
use super::index::is_dead_letter;
use crate::brokers::qmq::format::index_log;
use crate::brokers::qmq::format::index_log::Step;
use crate::brokers::qmq::format::payload::Payload;

/// A group's contents.
pub(super) struct Contents {
    pub(super) servers: Arc<DetailServers>,
    pub(super) acquire_url: Url,
    pub(super) group: String,
}

impl Contents {
    /// Turns an index answer into a [`frames::MESSAGES`] payload with the contents of its dead letters; `None` if not
    /// all of them could be fetched.
    pub(super) async fn with_dead_letters(&self, offset: u64, data: &[u8]) -> Option<Vec<u8>> {
        let mut wanted: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for record in records(data).filter(is_dead_letter) {
            wanted.entry(String::from_utf8(record.subject.to_vec()).ok()?).or_default().push(record.sequence);
        }
        let urls = std::slice::from_ref(&self.acquire_url);
        let mut contents: BTreeMap<(&str, i64), Bytes> = BTreeMap::new();
        for (queue, sequences) in &wanted {
            let found = self.servers.payloads(urls, &self.group, queue, sequences).await?;
            contents.extend(found.into_iter().map(|(sequence, bytes)| ((queue.as_str(), sequence), bytes)));
        }
        let mut payload = Vec::with_capacity(data.len() * 2);
        for record in records(data) {
            if !is_dead_letter(&record) {
                frames::put_indexed(&mut payload, offset, &record);
                continue;
            }
            let queue = std::str::from_utf8(record.subject).ok()?;
            let bytes = contents.get(&(queue, record.sequence))?;
            let found = Payload::decode(bytes).ok()?;
            // after a crash the broker can have used the sequence for another message
            if found.message_id != record.message_id || found.create_time_ms != record.create_time_ms {
                return None;
            }
            frames::put_fetched(&mut payload, offset, queue, record.sequence, bytes);
        }
        Some(payload)
    }
}

fn records(data: &[u8]) -> impl Iterator<Item = index_log::IndexRecord<'_>> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let Step::Record(record) = index_log::step(rest, rest.len()) else { return None };
        rest = rest.get(record.size..).unwrap_or_default();
        Some(record)
    })
}
