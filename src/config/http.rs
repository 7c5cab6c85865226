//! `[http]`: where the server listens, which clients it answers, and how much time and memory one client may take. It
//! only holds and checks values.

use std::net::SocketAddr;
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use super::hosts::{HostPattern, Origin};
use super::limits::exact_size;
use super::{address, limits};
use crate::error::{Error, Result};

/// Shortest time limit of a connection.
const SHORTEST: Duration = Duration::from_millis(10);

/// `[http]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Allowed `Host` names, besides the address and `localhost`: `mq.example.com`, `*.example.com`, or `*` for all.
    #[serde(deserialize_with = "address::list")]
    pub hosts: Vec<String>,
    /// Other origins whose pages may send state-changing requests.
    #[serde(deserialize_with = "address::list")]
    pub origins: Vec<String>,
    /// IANA name of the zone of dates without a zone; default: the system's (`TZ`).
    pub time_zone: Option<String>,
    /// `true`: answer unusable queries and failures with status 200 and an empty result, as the original did.
    pub legacy_errors: bool,
    /// Rows of a page when `len` is missing or not positive.
    pub default_len: usize,
    /// Maximum rows of one page of a list; a longer `len` is cut to this, with `next`.
    pub max_len: usize,
    /// How far back a list without `msgCreateTimeBegin` looks, in calendar days.
    pub default_window_days: u32,
    /// How far back the retry records of a message are searched, in calendar days; 0: without limit.
    pub retry_records_window_days: u32,
    /// Longest time for one documented query.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Maximum concurrent requests; more wait, then get 503.
    pub max_concurrency: usize,
    /// Maximum bytes of one answer; a page of a list ends before it and has `next`.
    #[serde(serialize_with = "exact_size")]
    pub max_answer_bytes: ByteSize,
    /// Memory of all larger answers together, from reading their rows until the client has received them.
    #[serde(serialize_with = "exact_size")]
    pub answer_memory: ByteSize,
    /// Memory of all request bodies together.
    #[serde(serialize_with = "exact_size")]
    pub body_memory: ByteSize,
    /// Maximum rows of a table that one lookup reads.
    pub max_lookup_rows: usize,
    /// Maximum connections at once.
    pub max_connections: usize,
    /// Maximum bytes of a request's head: request line and headers.
    #[serde(serialize_with = "exact_size")]
    pub max_head_bytes: ByteSize,
    /// Maximum headers of a request.
    pub max_headers: usize,
    /// Longest time for the head of a request to arrive.
    #[serde(with = "humantime_serde")]
    pub head_timeout: Duration,
    /// Longest time for the body of a request to arrive.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// How long a connection may wait for its next request.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// How long a client may read nothing of its answer.
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    /// How often the server checks for new commits.
    #[serde(with = "humantime_serde")]
    pub refresh: Duration,
    /// How long requests may run after a stop was requested.
    #[serde(with = "humantime_serde")]
    pub shutdown_grace: Duration,
}

impl Default for Http {
    fn default() -> Self {
        Http {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            hosts: Vec::new(),
            origins: Vec::new(),
            time_zone: None,
            legacy_errors: false,
            default_len: 20,
            max_len: 1000,
            default_window_days: 30,
            retry_records_window_days: 30,
            timeout: Duration::from_secs(30),
            max_concurrency: 256,
            max_answer_bytes: ByteSize::mib(16),
            answer_memory: ByteSize::mib(256),
            body_memory: ByteSize::mib(64),
            max_lookup_rows: 1_000_000,
            max_connections: 1024,
            max_head_bytes: ByteSize::kib(64),
            max_headers: 100,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
            refresh: Duration::from_secs(1),
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

impl Http {
    /// Checks every bound and the form of names and origins.
    ///
    /// # Errors
    /// [`Error::Config`] that names the setting.
    pub(super) fn check(&self) -> Result<()> {
        let positive = [
            ("http.default_len", self.default_len),
            ("http.max_len", self.max_len),
            ("http.max_concurrency", self.max_concurrency),
            ("http.max_lookup_rows", self.max_lookup_rows),
            ("http.max_connections", self.max_connections),
            ("http.max_headers", self.max_headers),
        ];
        for (name, value) in positive {
            limits::positive(name, value)?;
        }
        let durations = [
            ("http.head_timeout", self.head_timeout),
            ("http.body_timeout", self.body_timeout),
            ("http.idle_timeout", self.idle_timeout),
            ("http.write_timeout", self.write_timeout),
        ];
        for (name, value) in durations {
            limits::duration(name, value, SHORTEST..=limits::LONGEST)?;
        }
        let largest = ByteSize::tib(1);
        limits::size("http.max_head_bytes", self.max_head_bytes, ByteSize::kib(8)..=ByteSize::mib(1))?;
        limits::size("http.max_answer_bytes", self.max_answer_bytes, ByteSize::kib(64)..=ByteSize::gib(1))?;
        // while an answer is written, it is in memory twice: as rows and as text
        let least = ByteSize(self.max_answer_bytes.as_u64().saturating_mul(4));
        limits::size("http.answer_memory", self.answer_memory, least..=largest)?;
        limits::size("http.body_memory", self.body_memory, ByteSize::mib(16)..=largest)?;
        for host in &self.hosts {
            if HostPattern::parse(host).is_none() {
                return Err(Error::Config(format!(
                    "http.hosts has `{}`; an entry is a host name or address without a scheme, such as \
                     mq.example.com, *.example.com, or * for all",
                    host.escape_debug()
                )));
            }
        }
        for origin in &self.origins {
            if Origin::parse(origin).is_none() {
                return Err(Error::Config(format!(
                    "http.origins has `{}`; an entry is a scheme and a host, such as https://mq.example.com",
                    origin.escape_debug()
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_bound_is_refused_by_name() {
        Http::default().check().unwrap();
        let on = |change: fn(&mut Http)| {
            let mut http = Http::default();
            change(&mut http);
            http.check().unwrap_err().to_string()
        };
        type Case = (&'static str, fn(&mut Http));
        let cases: [Case; 16] = [
            ("http.default_len", |http| http.default_len = 0),
            ("http.max_len", |http| http.max_len = 0),
            ("http.max_concurrency", |http| http.max_concurrency = 0),
            ("http.max_lookup_rows", |http| http.max_lookup_rows = 0),
            ("http.max_connections", |http| http.max_connections = 0),
            ("http.max_headers", |http| http.max_headers = 0),
            ("http.head_timeout", |http| http.head_timeout = Duration::ZERO),
            ("http.body_timeout", |http| http.body_timeout = Duration::ZERO),
            ("http.idle_timeout", |http| http.idle_timeout = Duration::from_secs(48 * 3600)),
            ("http.write_timeout", |http| http.write_timeout = Duration::ZERO),
            ("http.max_head_bytes", |http| http.max_head_bytes = ByteSize::kib(7)),
            ("http.max_answer_bytes", |http| http.max_answer_bytes = ByteSize::kib(63)),
            ("http.answer_memory", |http| http.answer_memory = ByteSize::mib(63)),
            ("http.body_memory", |http| http.body_memory = ByteSize::mib(15)),
            ("http.hosts", |http| http.hosts = vec!["http://mq.example.com".to_owned()]),
            ("http.origins", |http| http.origins = vec!["mq.example.com".to_owned()]),
        ];
        for (name, change) in cases {
            let error = on(change);
            assert!(error.contains(name), "{name}: {error}");
        }
    }
}
