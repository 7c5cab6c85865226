//! Contents of dead letters, fetched from the slave's detail server by queue and sequence.
//!
//! It fetches what an index answer names, and nothing else of the broker's messages travels. Whatever goes wrong is
//! no loss: the caller reads the message log instead.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use url::Url;

use super::frames;
use super::index::is_dead_letter;
use crate::qmq::index_log::{self, Step};
use crate::qmq::payload::Payload;
use crate::source::remote::detail::{DetailLimits, fetch};
use crate::source::remote::{PeerError, slave_http_address};

/// How long the address of the detail server is believed.
const ADDRESS_AGE: Duration = Duration::from_secs(60);
/// How long it is left alone after a failure.
const FAILED_PAUSE: Duration = Duration::from_secs(10);

/// A group's detail server.
pub(super) struct Contents {
    http: reqwest::Client,
    acquire_url: Url,
    group: String,
    limits: DetailLimits,
    address: Mutex<Known>,
}

/// What is known of the server, and since when.
#[derive(Clone)]
enum Known {
    Nothing,
    At(String, Instant),
    Failed(Instant),
}

impl Contents {
    pub(super) fn new(
        http: reqwest::Client,
        acquire_url: Url,
        group: String,
        limits: DetailLimits,
    ) -> Contents {
        Contents { http, acquire_url, group, limits, address: Mutex::new(Known::Nothing) }
    }

    /// Turns an index answer into a [`frames::MESSAGES`] payload with the contents of its dead letters; `None` if not
    /// all of them could be fetched.
    pub(super) async fn with_dead_letters(&self, offset: u64, data: &[u8]) -> Option<Vec<u8>> {
        let address = self.address().await?;
        let mut wanted: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for record in records(data).filter(is_dead_letter) {
            wanted.entry(String::from_utf8(record.subject.to_vec()).ok()?).or_default().push(record.sequence);
        }
        let mut contents: BTreeMap<(&str, i64), Bytes> = BTreeMap::new();
        for (queue, sequences) in &wanted {
            match fetch(&self.http, &address, queue, sequences, &self.limits).await {
                Ok(found) => contents
                    .extend(found.into_iter().map(|(sequence, bytes)| ((queue.as_str(), sequence), bytes))),
                Err(error) => {
                    tracing::warn!(group = self.group, %error, "no contents; reading the message log instead");
                    self.remember(Known::Failed(Instant::now()));
                    return None;
                }
            }
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
            // a broker that crashed can have used the sequence for another message since
            if found.message_id != record.message_id || found.create_time_ms != record.create_time_ms {
                return None;
            }
            frames::put_fetched(&mut payload, offset, queue, record.sequence, bytes);
        }
        Some(payload)
    }

    async fn address(&self) -> Option<String> {
        let known = self.address.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Known::At(address, since) if since.elapsed() < ADDRESS_AGE => return Some(address),
            Known::Failed(since) if since.elapsed() < FAILED_PAUSE => return None,
            _ => {}
        }
        let found: Result<Option<String>, PeerError> =
            slave_http_address(&self.http, &self.acquire_url, &self.group, self.limits.timeout).await;
        match found {
            Ok(Some(address)) => {
                self.remember(Known::At(address.clone(), Instant::now()));
                Some(address)
            }
            other => {
                let reason =
                    other.err().map_or_else(|| "it knows none".to_owned(), |error| error.to_string());
                tracing::warn!(
                    group = self.group,
                    reason,
                    "the metaserver tells no detail server of the slave"
                );
                self.remember(Known::Failed(Instant::now()));
                None
            }
        }
    }

    fn remember(&self, known: Known) {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = known;
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
