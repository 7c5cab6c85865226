//! `[[qmq]]`: which QMQ broker groups are followed, and with which identity. It only holds and checks values; no name is
//! resolved and no connection opened.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::ContentPolicy;
use super::limits::{self, LONGEST};
use crate::error::{Error, Result};

/// Maximum sources of one process.
const MAX_SOURCES: usize = 256;

/// Maximum bytes of a host name, an address or a label.
const MAX_NAME: usize = 255;

/// Maximum entries of `skip_subjects`.
const MAX_SKIPPED: usize = 65_536;

/// `[[qmq]]`: one followed broker group, with one identity.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QmqSource {
    /// Full URL (http or https) that returns the TCP address of the metaserver; required.
    pub meta_server_endpoint: Url,
    /// Full URL (http or https) that returns the HTTP address of a broker group; default: the endpoint's scheme,
    /// host and port with the path `/slave/meta`. See [`QmqSource::acquire_url`].
    #[serde(default)]
    pub acquire_server_meta_url: Option<Url>,
    /// Second part of the identity, 1 to 65535; default 20881. Nothing listens on it.
    #[serde(default = "default_port")]
    pub broker_port: u16,
    /// First part of the identity; default: the variable `QMQ_HOST`, else the machine's host name.
    #[serde(default)]
    pub host_name: Option<String>,
    /// Address sent to the metaserver with registrations, without a port; default: the local address of the
    /// connection to the slave.
    #[serde(default)]
    pub local_address: Option<String>,
    /// Whose message bodies are fetched and kept; default `dead`.
    #[serde(default = "default_content")]
    pub content: ContentPolicy,
    /// Whether pulls and acks are stored; default true.
    #[serde(default = "default_records")]
    pub records: bool,
    /// Real subjects that are not stored, at most 65536; default none. Dead letters are stored all the same.
    #[serde(default)]
    pub skip_subjects: Vec<String>,
    /// A `.properties` file of further subjects that are not stored (`subject=true`), read again when it
    /// changes; default none. See [`SkipFile`](super::SkipFile).
    #[serde(default)]
    pub skip_file: Option<PathBuf>,
    /// Longest time for one request to a broker or a metaserver, 10 ms to 1 day; default 3 s.
    #[serde(default = "default_timeout", with = "humantime_serde")]
    pub request_timeout: Duration,
    /// Label in logs, status and metrics; default: the host of the endpoint and `broker_port`.
    #[serde(default)]
    pub name: Option<String>,
}

fn default_port() -> u16 {
    20881
}

fn default_content() -> ContentPolicy {
    ContentPolicy::Dead
}

fn default_records() -> bool {
    true
}

fn default_timeout() -> Duration {
    Duration::from_secs(3)
}

impl QmqSource {
    /// A source with defaults for all but the endpoint.
    #[must_use]
    pub fn new(meta_server_endpoint: Url) -> Self {
        QmqSource {
            meta_server_endpoint,
            acquire_server_meta_url: None,
            broker_port: default_port(),
            host_name: None,
            local_address: None,
            content: default_content(),
            records: default_records(),
            skip_subjects: Vec::new(),
            skip_file: None,
            request_timeout: default_timeout(),
            name: None,
        }
    }

    /// The URL that returns the HTTP address of a broker group, without the query.
    #[must_use]
    pub fn acquire_url(&self) -> Url {
        if let Some(url) = &self.acquire_server_meta_url {
            return url.clone();
        }
        let mut url = self.meta_server_endpoint.clone();
        url.set_path("/slave/meta");
        url.set_query(None);
        url.set_fragment(None);
        url
    }

    /// The source's name in logs, status and metrics.
    #[must_use]
    pub fn label(&self) -> String {
        let host = || self.meta_server_endpoint.host_str().unwrap_or("qmq");
        self.name.clone().unwrap_or_else(|| format!("{}/{}", host(), self.broker_port))
    }

    fn check(&self, at: &str) -> Result<()> {
        check_url(&format!("{at}.meta_server_endpoint"), &self.meta_server_endpoint)?;
        if let Some(url) = &self.acquire_server_meta_url {
            check_url(&format!("{at}.acquire_server_meta_url"), url)?;
        }
        if self.broker_port == 0 {
            return Err(Error::Config(format!("{at}.broker_port must be between 1 and 65535")));
        }
        let names =
            [("host_name", &self.host_name), ("local_address", &self.local_address), ("name", &self.name)];
        for (field, value) in names {
            if let Some(text) = value {
                limits::name(&format!("{at}.{field}"), text, MAX_NAME)?;
            }
        }
        if self.local_address.as_ref().is_some_and(|address| address.contains(':')) {
            return Err(Error::Config(format!(
                "{at}.local_address must not have a port; broker_port is added"
            )));
        }
        if self.skip_subjects.len() > MAX_SKIPPED {
            return Err(Error::Config(format!(
                "{at}.skip_subjects must not have more than {MAX_SKIPPED} entries"
            )));
        }
        if self.skip_subjects.iter().any(|subject| subject.trim().is_empty()) {
            return Err(Error::Config(format!("{at}.skip_subjects must not contain an empty subject")));
        }
        limits::duration(
            &format!("{at}.request_timeout"),
            self.request_timeout,
            Duration::from_millis(10)..=LONGEST,
        )
    }
}

/// Checks every source, and that no two have the same identity at the same metaserver: an identity belongs to exactly
/// one broker group.
pub(super) fn check(sources: &[QmqSource]) -> Result<()> {
    if sources.len() > MAX_SOURCES {
        return Err(Error::Config(format!("qmq must not have more than {MAX_SOURCES} sources")));
    }
    for (index, source) in sources.iter().enumerate() {
        source.check(&format!("qmq[{index}]"))?;
        let same = |other: &QmqSource| {
            other.meta_server_endpoint == source.meta_server_endpoint
                && other.host_name == source.host_name
                && other.broker_port == source.broker_port
        };
        if let Some(first) = sources.iter().take(index).position(same) {
            return Err(Error::Config(format!(
                "qmq[{index}] has the endpoint, host_name and broker_port of qmq[{first}]; one identity \
                 belongs to one broker group"
            )));
        }
    }
    Ok(())
}

fn check_url(name: &str, url: &Url) -> Result<()> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Error::Config(format!(
            "{name} must begin with http:// or https://, not {}:",
            url.scheme()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> QmqSource {
        QmqSource::new("http://meta.example:8080/meta/address?x=1".parse().unwrap())
    }

    #[test]
    fn the_acquire_url_follows_the_endpoint_unless_it_is_set() {
        assert_eq!(source().acquire_url().as_str(), "http://meta.example:8080/slave/meta");
        let set: Url = "https://other.example/a/b".parse().unwrap();
        let other = QmqSource { acquire_server_meta_url: Some(set.clone()), ..source() };
        assert_eq!(other.acquire_url(), set);
    }

    #[test]
    fn the_label_is_the_name_or_metaserver_and_port() {
        assert_eq!(source().label(), "meta.example/20881");
        assert_eq!(QmqSource { name: Some("east".into()), ..source() }.label(), "east");
    }

    #[test]
    fn a_wrong_field_is_refused_by_name() {
        let text = |value: &str| Some(value.to_owned());
        let url = |value: &str| value.parse::<Url>().unwrap();
        let cases = [
            ("qmq[0].meta_server_endpoint", QmqSource::new(url("ftp://meta.example/"))),
            (
                "qmq[0].acquire_server_meta_url",
                QmqSource { acquire_server_meta_url: Some(url("file:///slave/meta")), ..source() },
            ),
            ("qmq[0].broker_port", QmqSource { broker_port: 0, ..source() }),
            ("qmq[0].host_name", QmqSource { host_name: text(""), ..source() }),
            ("qmq[0].host_name", QmqSource { host_name: text(&"h".repeat(256)), ..source() }),
            ("qmq[0].local_address", QmqSource { local_address: text("10.0. 0.1"), ..source() }),
            ("qmq[0].local_address", QmqSource { local_address: text("10.0.0.1:1"), ..source() }),
            ("qmq[0].name", QmqSource { name: text("a\nb"), ..source() }),
            ("qmq[0].skip_subjects", QmqSource { skip_subjects: vec![" ".into()], ..source() }),
            ("qmq[0].request_timeout", QmqSource { request_timeout: Duration::ZERO, ..source() }),
        ];
        for (name, wrong) in cases {
            let error = check(&[wrong]).unwrap_err().to_string();
            assert!(error.contains(name), "{name}: {error}");
        }
        check(&[source()]).unwrap();
    }

    #[test]
    fn an_identity_is_used_once_per_metaserver() {
        let second_port = QmqSource { broker_port: 20882, ..source() };
        check(&[source(), second_port.clone()]).unwrap();
        let elsewhere = QmqSource::new("http://meta2.example/meta/address".parse().unwrap());
        check(&[source(), elsewhere]).unwrap();
        let error = check(&[source(), second_port, source()]).unwrap_err().to_string();
        assert!(error.contains("qmq[2]") && error.contains("qmq[0]"), "{error}");
    }
}
