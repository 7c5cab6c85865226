//! The detail servers of slaves: their addresses, and whole messages from them.
//!
//! Ingestion (contents of dead letters) and queries (`/api/message/detail`) share what is known of them. A server that
//! failed is not asked again for `FAILED_PAUSE`: both have another source.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use url::Url;

use crate::brokers::qmq::wire::detail::{DetailLimits, fetch};
use crate::brokers::qmq::wire::slave_http_address;

/// How long an address is cached.
const ADDRESS_AGE: Duration = Duration::from_secs(60);
/// How long a group is not asked again after a failure.
const FAILED_PAUSE: Duration = Duration::from_secs(10);
/// Most groups remembered; queries can name any.
const MOST_GROUPS: usize = 1000;

/// Detail servers by broker group.
pub(super) struct DetailServers {
    http: reqwest::Client,
    limits: DetailLimits,
    known: Mutex<HashMap<String, Known>>,
}

/// What is known of a server, and since when.
#[derive(Clone)]
enum Known {
    At(String, Instant),
    Failed(Instant),
}

impl DetailServers {
    pub(super) fn new(http: reqwest::Client, limits: DetailLimits) -> DetailServers {
        DetailServers { http, limits, known: Mutex::default() }
    }

    /// The payloads of those requested messages that the group's slave has, by sequence; `None` if the slave is unknown
    /// or did not answer properly. `acquire_urls` are asked for its address one after the other.
    pub(super) async fn payloads(
        &self,
        acquire_urls: &[Url],
        group: &str,
        queue: &str,
        sequences: &[i64],
    ) -> Option<Vec<(i64, Bytes)>> {
        let address = self.address(acquire_urls, group).await?;
        match fetch(&self.http, &address, queue, sequences, &self.limits).await {
            Ok(found) => Some(found),
            Err(error) => {
                tracing::warn!(group, %error, "the slave returned no contents");
                self.remember(group, Known::Failed(Instant::now()));
                None
            }
        }
    }

    async fn address(&self, acquire_urls: &[Url], group: &str) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(group).cloned();
        match known {
            Some(Known::At(address, since)) if since.elapsed() < ADDRESS_AGE => return Some(address),
            Some(Known::Failed(since)) if since.elapsed() < FAILED_PAUSE => return None,
            _ => {}
        }
        for url in acquire_urls {
            match slave_http_address(&self.http, url, group, self.limits.timeout).await {
                Ok(Some(address)) => {
                    self.remember(group, Known::At(address.clone(), Instant::now()));
                    return Some(address);
                }
                Ok(None) => tracing::debug!(group, %url, "the metaserver knows no slave of the group"),
                Err(error) => tracing::warn!(group, %error, "the metaserver did not say where the slave is"),
            }
        }
        self.remember(group, Known::Failed(Instant::now()));
        None
    }

    fn remember(&self, group: &str, known: Known) {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_GROUPS && !all.contains_key(group) {
            all.clear();
        }
        all.insert(group.to_owned(), known);
    }
}
