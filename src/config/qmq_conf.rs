//! The unchanged configuration directory of an original backup server: `backup.properties` becomes one QMQ source and
//! some settings. Keys without a meaning here are reported and never an error. No file is written.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use url::Url;

use super::properties::{Entry, Properties};
use super::{Config, Follow, Http, QmqSource, SkipFile};
use crate::error::{Error, Result};

/// The file that must be there.
const BACKUP: &str = "backup.properties";

/// The file of subjects that are not stored.
const SKIP: &str = "skip_backup.properties";

/// Longest time in milliseconds: one day.
const MAX_MILLIS: u64 = 24 * 3600 * 1000;

/// Why the keys of HBase and its dictionaries are ignored.
const NO_HBASE: &str = "there is no HBase; tables are written to `data`";

/// Other files of the directory that the original reads.
const FILES: [(&str, &str); 3] = [
    ("dead_backup.properties", "not needed; dead letters are part of the same source"),
    ("hbase.properties", NO_HBASE),
    ("datasource.properties", "not needed; names are stored as they are, without a dictionary database"),
];

/// Keys of the original that have no effect here. A `.` at the end stands for all keys with this prefix.
const IGNORED: [(&str, &str); 25] = [
    ("max.query.threads", "not needed; see http.max_concurrency and sql.max_concurrency"),
    ("message.backup.batch.size", "commits go by follow.flush_every, flush_rows and flush_bytes"),
    ("record.backup.batch.size", "commits go by follow.flush_every, flush_rows and flush_bytes"),
    ("message.backup.max.retry.num", "rows are not discarded after failures"),
    ("record.backup.max.retry.num", "rows are not discarded after failures"),
    ("enable.index.log.delete", "the spool keeps what is not committed, within follow.spool_max"),
    ("checkpoint.retain.count", "positions are part of each commit"),
    ("log_dispatcher.pause.millis", "see follow.visible_every"),
    ("rocks.db.path", "acks are resolved without RocksDB"),
    ("rocks.db.ttl", "acks are resolved without RocksDB; see retention.unresolved_ack"),
    ("store.type", NO_HBASE),
    ("hbase_config_file", NO_HBASE),
    ("hbase.", NO_HBASE),
    ("table.qmq.", NO_HBASE),
    ("db_dic_table_name", NO_HBASE),
    ("delay_dic_table_name", NO_HBASE),
    ("offset.file.path", "positions are part of each commit"),
    ("index.log.dir.path", "see follow.spool"),
    ("dead.message.backup.thread.size", "not needed"),
    ("dead.record.backup.thread.size", "not needed"),
    ("messagelog.retention.hours", "a setting of brokers; see [retention]"),
    ("consumerlog.retention.hours", "a setting of brokers; see [retention]"),
    ("pulllog.retention.hours", "a setting of brokers; see [retention]"),
    ("smt.retention.hours", "a setting of brokers; see [retention]"),
    ("log.retention.check.interval.seconds", "a setting of brokers; see background.vacuum_every"),
];

/// How a configuration directory was taken over. It prints as one line per entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The directory.
    pub dir: PathBuf,
    /// Applied keys, each with the setting and its value.
    pub applied: Vec<(String, String)>,
    /// Known keys and files without effect, each with the reason.
    pub ignored: Vec<(String, String)>,
    /// Unknown keys.
    pub unknown: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(to, "{}:", self.dir.display())?;
        for (key, setting) in &self.applied {
            writeln!(to, "  applied  {key}: {setting}")?;
        }
        for (key, why) in &self.ignored {
            writeln!(to, "  ignored  {}: {why}", key.escape_debug())?;
        }
        for key in &self.unknown {
            writeln!(to, "  unknown  {}: no such key; check its spelling", key.escape_debug())?;
        }
        Ok(())
    }
}

/// Reads `backup.properties` and, if there is one, `skip_backup.properties` of `dir`. Adds one source to
/// `config.qmq`, and sets `http.listen`, `follow.spool` and `follow.spool_sync` where they still have their
/// defaults.
///
/// # Errors
/// [`Error::Input`] if `backup.properties` is missing or a file cannot be read; [`Error::Config`] with file
/// and line for a value of the wrong form, and without `meta.server.endpoint`.
pub fn read(dir: &Path, config: &mut Config) -> Result<Report> {
    let path = dir.join(BACKUP);
    let properties = Properties::read(&path)?;
    let mut conf = Conf {
        file: path.display().to_string(),
        properties: &properties,
        report: Report { dir: dir.to_owned(), ..Report::default() },
    };
    let source = conf.source(dir)?;
    conf.server(config)?;
    conf.rest();
    for (name, why) in FILES {
        if dir.join(name).exists() {
            conf.report.ignored.push((name.to_owned(), why.to_owned()));
        }
    }
    config.qmq.push(source);
    Ok(conf.report)
}

struct Conf<'a> {
    file: String,
    properties: &'a Properties,
    report: Report,
}

impl Conf<'_> {
    fn source(&mut self, dir: &Path) -> Result<QmqSource> {
        let Some(endpoint) = self.url("meta.server.endpoint")? else {
            return Err(Error::Config(format!(
                "{}: meta.server.endpoint is missing; it is the URL of the metaserver, such as \
                 http://meta.example:8080/meta/address",
                self.file
            )));
        };
        self.applied("meta.server.endpoint", format!("meta_server_endpoint = {}", shown(&endpoint)));
        let mut source = QmqSource::new(endpoint);
        if let Some(url) = self.url("acquire.server.meta.url")? {
            self.applied("acquire.server.meta.url", format!("acquire_server_meta_url = {}", shown(&url)));
            source.acquire_server_meta_url = Some(url);
        }
        if let Some(port) = self.number("broker.port", 1..=65_535)? {
            source.broker_port = port;
            self.applied("broker.port", format!("broker_port = {port}"));
        }
        if let Some(millis) = self.number::<u64>("slave.sync.timeout", 10..=MAX_MILLIS)? {
            source.request_timeout = Duration::from_millis(millis);
            self.applied("slave.sync.timeout", format!("request_timeout = {}", time(source.request_timeout)));
        }
        if let Some(records) = self.boolean("enable.record")? {
            source.records = records;
            self.applied("enable.record", format!("records = {records}"));
        }
        self.skip(dir.join(SKIP), &mut source)?;
        Ok(source)
    }

    /// Sets the file even if it is missing, since operators can create it later. A broken one is an error now.
    fn skip(&mut self, path: PathBuf, source: &mut QmqSource) -> Result<()> {
        let subjects = SkipFile::open(&path).poll()?.unwrap_or_default();
        if path.exists() {
            self.applied(SKIP, format!("skip_file = {}, {} subjects now", path.display(), subjects.len()));
        }
        source.skip_file = Some(path);
        Ok(())
    }

    fn server(&mut self, config: &mut Config) -> Result<()> {
        const PORT: &str = "backup.server.http.port";
        match self.number(PORT, 1..=65_535)? {
            Some(port) if config.http.listen == Http::default().listen => {
                config.http.listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
                self.applied(PORT, format!("http.listen = {}", config.http.listen));
            }
            Some(_) => self.ignored(PORT, format!("http.listen is {}", config.http.listen)),
            None => {}
        }
        if let Some(root) = self.text("store.root").map(|entry| entry.value.trim().to_owned()) {
            if let Some(spool) = &config.follow.spool {
                self.ignored("store.root", format!("follow.spool is {}", spool.display()));
            } else {
                let spool = Path::new(&root).join("mqlake-spool");
                self.applied("store.root", format!("follow.spool = {}", spool.display()));
                config.follow.spool = Some(spool);
            }
        }
        const SYNC: &str = "sync.offset.flush.interval";
        let follow = &mut config.follow;
        match self.number::<u64>(SYNC, 1..=MAX_MILLIS)? {
            Some(millis) if follow.spool_sync == Follow::default().spool_sync => {
                follow.spool_sync = Duration::from_millis(millis);
                self.applied(SYNC, format!("follow.spool_sync = {}", time(follow.spool_sync)));
            }
            Some(_) => self.ignored(SYNC, format!("follow.spool_sync is {}", time(follow.spool_sync))),
            None => {}
        }
        Ok(())
    }

    /// Reports all keys that were not used, each once.
    fn rest(&mut self) {
        const USED: [&str; 8] = [
            "meta.server.endpoint",
            "acquire.server.meta.url",
            "broker.port",
            "slave.sync.timeout",
            "enable.record",
            "backup.server.http.port",
            "store.root",
            "sync.offset.flush.interval",
        ];
        let mut seen = BTreeSet::from(USED);
        for Entry { key, .. } in self.properties.iter() {
            if !seen.insert(key) {
                continue;
            }
            let known = |name: &str| key == name || name.ends_with('.') && key.starts_with(name);
            match IGNORED.iter().find(|(name, _)| known(name)) {
                Some((_, why)) => self.report.ignored.push((key.clone(), (*why).to_owned())),
                None => self.report.unknown.push(key.clone()),
            }
        }
    }

    /// The entry of `key`. An empty value counts as not set, as in the original.
    fn text(&self, key: &str) -> Option<&Entry> {
        self.properties.get(key).filter(|entry| !entry.value.trim().is_empty())
    }

    fn url(&self, key: &str) -> Result<Option<Url>> {
        let Some(entry) = self.text(key) else { return Ok(None) };
        match Url::parse(entry.value.trim()) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Some(url)),
            _ => Err(self.bad(entry, "must be a URL such as http://meta.example:8080/path")),
        }
    }

    fn number<T: FromStr + PartialOrd + fmt::Display>(
        &self,
        key: &str,
        range: RangeInclusive<T>,
    ) -> Result<Option<T>> {
        let Some(entry) = self.text(key) else { return Ok(None) };
        match entry.value.trim().parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(self.bad(entry, &format!("must be a number from {} to {}", range.start(), range.end()))),
        }
    }

    fn boolean(&self, key: &str) -> Result<Option<bool>> {
        let Some(entry) = self.text(key) else { return Ok(None) };
        match entry.value.trim().to_ascii_lowercase().as_str() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(self.bad(entry, "must be true or false")),
        }
    }

    /// An error that does not quote the value: a URL may contain a password.
    fn bad(&self, entry: &Entry, reason: &str) -> Error {
        Error::Config(format!("{}, line {}: {} {reason}", self.file, entry.line, entry.key))
    }

    fn applied(&mut self, key: &str, setting: String) {
        self.report.applied.push((key.to_owned(), setting));
    }

    fn ignored(&mut self, key: &str, why: String) {
        self.report.ignored.push((key.to_owned(), why));
    }
}

/// A URL without user and password.
fn shown(url: &Url) -> Url {
    let mut url = url.clone();
    // neither can fail for http and https, which have a host
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url
}

fn time(duration: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(duration)
}

#[cfg(test)]
#[path = "qmq_conf_tests.rs"]
mod tests;
