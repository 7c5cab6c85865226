//! `[[rocketmq]]`: which RocketMQ clusters are followed, with which topics and credentials. It only holds and checks
//! values; no name is resolved, no connection opened and no certificate read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::limits::{self, LONGEST};
use super::{ContentPolicy, Secret, address, topic_pattern};
use crate::error::{Error, Result};

/// Maximum sources of one process.
const MAX_SOURCES: usize = 64;

/// Maximum name servers of one cluster.
const MAX_NAME_SERVERS: usize = 16;

/// Maximum bytes of a label or a key.
const MAX_NAME: usize = 255;

/// Maximum bytes of a secret or a token.
const MAX_SECRET: usize = 16 << 10;

/// Maximum entries of a list of topics, and of `broker_aliases`.
const MAX_ENTRIES: usize = 4096;

/// `[[rocketmq]]`: one followed cluster. The default has no name server, so it is not usable.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RocketMqSource {
    /// Name servers of the cluster as `host:port`, 1 to 16; required. A list, or one text with `;` or `,` between them.
    #[serde(deserialize_with = "address::list")]
    pub name_servers: Vec<String>,
    /// Label in logs, status and metrics; default: the first name server. No two sources share one.
    pub name: Option<String>,
    /// Patterns (`*`: any characters) of the topics that are followed; default `*`. Topics of retries
    /// (`%RETRY%group`) and dead letters (`%DLQ%group`) are matched like others; system topics never match.
    /// See [`RocketMqSource::wants`].
    pub topics: Vec<String>,
    /// Patterns of topics that are not followed although they match `topics`; default none.
    pub exclude_topics: Vec<String>,
    /// Names of the topics whose messages are traces; default `RMQ_SYS_TRACE_TOPIC`. They are always followed.
    pub trace_topics: Vec<String>,
    /// Names of system topics that are followed nevertheless; default none.
    pub system_topics: Vec<String>,
    /// Whose message bodies are kept; default `dead`.
    pub content: ContentPolicy,
    /// Access key (user name) with which requests are signed; default: they are not signed.
    pub access_key: Option<String>,
    /// Secret of `access_key`; both or none.
    pub secret_key: Option<Secret>,
    /// Token of temporary keys, sent beside them; default none.
    pub security_token: Option<Secret>,
    /// Encryption of connections; default none.
    pub tls: RocketMqTls,
    /// Whether requests have RocketMQ's compact headers instead of JSON; default false.
    pub compact_headers: bool,
    /// Longest time for one request to a name server or a broker, beyond `suspend` for a pull that waits; 10 ms
    /// to 1 day, default 3 s.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// How long a broker may hold a pull until there is a new message, 1 s to 30 s; default 15 s.
    #[serde(with = "humantime_serde")]
    pub suspend: Duration,
    /// How often routes, new topics and new queues are discovered, 100 ms to 1 hour; default 10 s.
    #[serde(with = "humantime_serde")]
    pub discover_every: Duration,
    /// How often the progress of consumer groups is read, 1 s to 1 day; default 60 s.
    #[serde(with = "humantime_serde")]
    pub progress_every: Duration,
    /// Addresses that brokers report but that this machine cannot reach, each with the one to connect to instead, as
    /// `host:port`; default none. See [`RocketMqSource::reachable`].
    pub broker_aliases: BTreeMap<String, String>,
}

/// `[rocketmq.tls]`: encryption of the connections to name servers and brokers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RocketMqTls {
    /// Whether connections are encrypted; default false. Without it nothing else may be set here.
    pub enabled: bool,
    /// PEM file of the trusted authorities; required unless any certificate is accepted.
    pub ca_file: Option<PathBuf>,
    /// PEM file of the client certificate and its chain; default: no client certificate.
    pub cert_file: Option<PathBuf>,
    /// PEM file of the key of `cert_file`; both or none.
    pub key_file: Option<PathBuf>,
    /// Whether any certificate of a peer is accepted: expired, for another host, or self-signed. Connections are then
    /// protected against eavesdropping only, not against impersonation. Default false.
    pub accept_any_certificate: bool,
}

impl Default for RocketMqSource {
    fn default() -> Self {
        RocketMqSource {
            name_servers: Vec::new(),
            name: None,
            topics: vec!["*".to_owned()],
            exclude_topics: Vec::new(),
            trace_topics: vec!["RMQ_SYS_TRACE_TOPIC".to_owned()],
            system_topics: Vec::new(),
            content: ContentPolicy::Dead,
            access_key: None,
            secret_key: None,
            security_token: None,
            tls: RocketMqTls::default(),
            compact_headers: false,
            request_timeout: Duration::from_secs(3),
            suspend: Duration::from_secs(15),
            discover_every: Duration::from_secs(10),
            progress_every: Duration::from_secs(60),
            broker_aliases: BTreeMap::new(),
        }
    }
}

impl RocketMqSource {
    /// The source's name in logs, status and metrics.
    #[must_use]
    pub fn label(&self) -> &str {
        self.name.as_deref().or(self.name_servers.first().map(String::as_str)).unwrap_or_default()
    }

    /// Whether `topic` is followed; `is_system` is true for the broker's own topics.
    ///
    /// Topics in `trace_topics` or `system_topics` are always followed, even if `exclude_topics` matches. Other system
    /// topics never are. The rest are followed if a pattern of `topics` matches and none of `exclude_topics` does.
    #[must_use]
    pub fn wants(&self, topic: &str, is_system: bool) -> bool {
        if self.is_trace(topic) || self.system_topics.iter().any(|name| name == topic) {
            return true;
        }
        let fits = |patterns: &[String]| patterns.iter().any(|pattern| topic_pattern::fits(pattern, topic));
        !is_system && fits(&self.topics) && !fits(&self.exclude_topics)
    }

    /// Whether the messages of `topic` are traces.
    #[must_use]
    pub fn is_trace(&self, topic: &str) -> bool {
        self.trace_topics.iter().any(|name| name == topic)
    }

    /// The address to connect to for one that a broker reports: its alias if it has one, else itself. An alias is not
    /// looked up again.
    #[must_use]
    pub fn reachable<'a>(&'a self, reported: &'a str) -> &'a str {
        self.broker_aliases.get(reported).map_or(reported, String::as_str)
    }

    fn check(&self, at: &str) -> Result<()> {
        if !(1..=MAX_NAME_SERVERS).contains(&self.name_servers.len()) {
            return Err(Error::Config(format!(
                "{at}.name_servers must have 1 to {MAX_NAME_SERVERS} addresses, such as [\"10.0.0.1:9876\"]"
            )));
        }
        for server in &self.name_servers {
            address::check(&format!("{at}.name_servers"), server)?;
        }
        if let Some(name) = &self.name {
            limits::name(&format!("{at}.name"), name, MAX_NAME)?;
        }
        self.check_topics(at)?;
        self.check_keys(at)?;
        self.tls.check(&format!("{at}.tls"))?;
        self.check_times(at)?;
        at_most(&format!("{at}.broker_aliases"), self.broker_aliases.len())?;
        for address in self.broker_aliases.iter().flat_map(<[&String; 2]>::from) {
            address::check(&format!("{at}.broker_aliases"), address)?;
        }
        Ok(())
    }

    fn check_topics(&self, at: &str) -> Result<()> {
        let lists = [
            ("topics", &self.topics, true),
            ("exclude_topics", &self.exclude_topics, true),
            ("trace_topics", &self.trace_topics, false),
            ("system_topics", &self.system_topics, false),
        ];
        for (field, entries, patterns) in lists {
            let field = format!("{at}.{field}");
            at_most(&field, entries.len())?;
            for entry in entries {
                if let Some(must_have) = topic_pattern::mistake(entry) {
                    let shown = entry.escape_debug();
                    return Err(Error::Config(format!("{field} has `{shown}`; a topic has {must_have}")));
                }
                if !patterns && entry.contains('*') {
                    return Err(Error::Config(format!(
                        "{field} has `{entry}`; it takes names, not patterns"
                    )));
                }
            }
        }
        if self.topics.is_empty() && self.trace_topics.is_empty() && self.system_topics.is_empty() {
            return Err(Error::Config(format!(
                "{at}.topics must not be empty if trace_topics and system_topics are"
            )));
        }
        Ok(())
    }

    fn check_keys(&self, at: &str) -> Result<()> {
        if self.access_key.is_some() != self.secret_key.is_some() {
            return Err(Error::Config(format!("{at}.access_key and {at}.secret_key need each other")));
        }
        if self.security_token.is_some() && self.access_key.is_none() {
            return Err(Error::Config(format!("{at}.security_token needs access_key and secret_key")));
        }
        if let Some(key) = &self.access_key {
            limits::name(&format!("{at}.access_key"), key, MAX_NAME)?;
        }
        for (field, secret) in [("secret_key", &self.secret_key), ("security_token", &self.security_token)] {
            let Some(secret) = secret.as_ref().map(Secret::expose) else { continue };
            if secret.is_empty() || secret.len() > MAX_SECRET || secret.chars().any(char::is_control) {
                return Err(Error::Config(format!(
                    "{at}.{field} must have 1 to {MAX_SECRET} bytes and no control characters"
                )));
            }
        }
        Ok(())
    }

    fn check_times(&self, at: &str) -> Result<()> {
        let second = Duration::from_secs(1);
        let times = [
            ("request_timeout", self.request_timeout, Duration::from_millis(10)..=LONGEST),
            ("suspend", self.suspend, second..=Duration::from_secs(30)),
            ("discover_every", self.discover_every, Duration::from_millis(100)..=Duration::from_secs(3600)),
            ("progress_every", self.progress_every, second..=LONGEST),
        ];
        for (field, value, range) in times {
            limits::duration(&format!("{at}.{field}"), value, range)?;
        }
        Ok(())
    }
}

impl RocketMqTls {
    fn check(&self, at: &str) -> Result<()> {
        // whoever sets certificates but not `enabled` expects encryption
        if !self.enabled && *self != RocketMqTls::default() {
            return Err(Error::Config(format!(
                "{at}.enabled must be true if other settings of {at} are given"
            )));
        }
        if self.cert_file.is_some() != self.key_file.is_some() {
            return Err(Error::Config(format!("{at}.cert_file and {at}.key_file need each other")));
        }
        let files =
            [("ca_file", &self.ca_file), ("cert_file", &self.cert_file), ("key_file", &self.key_file)];
        for (field, path) in files {
            if path.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
                return Err(Error::Config(format!("{at}.{field} must not be empty")));
            }
        }
        Ok(())
    }
}

/// Checks every source, and that no two have the same name.
pub(super) fn check(sources: &[RocketMqSource]) -> Result<()> {
    if sources.len() > MAX_SOURCES {
        return Err(Error::Config(format!("rocketmq must not have more than {MAX_SOURCES} sources")));
    }
    for (index, source) in sources.iter().enumerate() {
        source.check(&format!("rocketmq[{index}]"))?;
        let same = |other: &RocketMqSource| other.label() == source.label();
        if let Some(first) = sources.iter().take(index).position(same) {
            return Err(Error::Config(format!(
                "rocketmq[{index}].name is `{}`, as that of rocketmq[{first}]; give each source a name of its own",
                source.label()
            )));
        }
    }
    Ok(())
}

fn at_most(name: &str, entries: usize) -> Result<()> {
    if entries > MAX_ENTRIES {
        return Err(Error::Config(format!("{name} must not have more than {MAX_ENTRIES} entries")));
    }
    Ok(())
}

#[cfg(test)]
#[path = "rocketmq_tests.rs"]
mod tests;
