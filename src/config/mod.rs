//! Settings: defaults, then `backup.properties` of an original server if asked for, then `mqlake.toml`, then
//! `MQLAKE_SECTION__KEY` variables, then the command line.
//!
//! Every limit of the program is a field here with its unit and default. An unknown key is an error.
//! This room reads no clock and opens no store.

mod address;
mod admin;
mod follow;
mod limits;
mod one_or_many;
pub mod properties;
mod qmq;
pub mod qmq_conf;
mod rocketmq;
mod secret;
mod sections;
mod skip_file;
mod topic_pattern;
mod upkeep;
mod zone;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

pub use admin::Admin;
pub use follow::Follow;
pub use qmq::QmqSource;
pub use rocketmq::{RocketMqSource, RocketMqTls};
pub(crate) use secret::MASK;
pub use secret::Secret;
pub use sections::{Acks, Cache, ContentPolicy, Http, Import, Lake, Sql};
pub use skip_file::SkipFile;
pub use upkeep::{Background, Retention};
pub use zone::{parse_zone, system_zone};

use crate::error::{Error, Result};

/// All settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Root of the tables: a directory or an object store URL (`s3://bucket/prefix`).
    pub data: String,
    /// The HTTP server.
    pub http: Http,
    /// Reading broker stores.
    pub import: Import,
    /// Resolution of acks to messages.
    pub acks: Acks,
    /// Files and tables.
    pub lake: Lake,
    /// SQL queries.
    pub sql: Sql,
    /// Memory kept for files that were read before.
    pub cache: Cache,
    /// Running QMQ clusters that are followed.
    #[serde(deserialize_with = "one_or_many::one_or_many")]
    pub qmq: Vec<QmqSource>,
    /// Running RocketMQ clusters that are followed.
    #[serde(deserialize_with = "one_or_many::one_or_many")]
    pub rocketmq: Vec<RocketMqSource>,
    /// How clusters are followed.
    pub follow: Follow,
    /// How long rows stay.
    pub retention: Retention,
    /// Work in the background.
    pub background: Background,
    /// Actions that change something in a broker.
    pub admin: Admin,
    /// Options for the object store, by their usual names (`aws_endpoint`, `aws_region`, …);
    /// the `AWS_…` variables of the environment are read too.
    #[serde(deserialize_with = "texts")]
    pub storage: BTreeMap<String, String>,
}

/// Options are text for the store, but `true` and `5` in a file or a variable arrive as what they look like.
fn texts<'de, D: serde::Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let values = BTreeMap::<String, serde_json::Value>::deserialize(from)?;
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(values.into_iter().map(|(name, value)| (name, text(value))).collect())
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data: "./mqlake-data".to_owned(),
            http: Http::default(),
            import: Import::default(),
            acks: Acks::default(),
            lake: Lake::default(),
            sql: Sql::default(),
            cache: Cache::default(),
            qmq: Vec::new(),
            rocketmq: Vec::new(),
            follow: Follow::default(),
            retention: Retention::default(),
            background: Background::default(),
            admin: Admin::default(),
            storage: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Defaults, then `file` (or `mqlake.toml` in the working directory if there is one), then `MQLAKE_…`.
    ///
    /// # Errors
    /// [`Error::Config`] for a file that is named but missing, an unknown key, or a value of the wrong form.
    pub fn load(file: Option<&Path>) -> Result<Config> {
        Config::layered(Config::default(), file)
    }

    /// As [`Config::load`], with the settings of an original server's directory `qmq_conf` between the
    /// defaults and `file`. Its source comes before those of `file` and of the variables and does not
    /// replace them.
    ///
    /// # Errors
    /// Those of [`Config::load`] and of [`qmq_conf::read`].
    pub fn load_with(file: Option<&Path>, qmq_conf: &Path) -> Result<(Config, qmq_conf::Report)> {
        let mut base = Config::default();
        let report = qmq_conf::read(qmq_conf, &mut base)?;
        let sources = std::mem::take(&mut base.qmq);
        let mut config = Config::layered(base, file)?;
        config.qmq.splice(..0, sources);
        config.check()?;
        Ok((config, report))
    }

    fn layered(base: Config, file: Option<&Path>) -> Result<Config> {
        let mut figment = Figment::from(Serialized::defaults(base));
        match file {
            Some(path) if !path.is_file() => {
                return Err(Error::Config(format!("{}: no such file", path.display())));
            }
            Some(path) => figment = figment.merge(Toml::file_exact(path)),
            None => figment = figment.merge(Toml::file("mqlake.toml")),
        }
        let variables =
            Env::prefixed("MQLAKE_").ignore(&["config", "log", "log_json", "qmq_conf"]).split("__");
        let config: Config =
            figment.merge(variables).extract().map_err(|error| Error::Config(error.to_string()))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let positive = [
            ("http.default_len", self.http.default_len),
            ("http.max_len", self.http.max_len),
            ("http.max_concurrency", self.http.max_concurrency),
            ("import.flush_rows", self.import.flush_rows),
            ("acks.max_ranges", self.acks.max_ranges),
            ("lake.settled_rows", self.lake.settled_rows),
            ("lake.row_group_rows", self.lake.row_group_rows),
            ("lake.page_rows", self.lake.page_rows),
            ("lake.commit_attempts", self.lake.commit_attempts),
            ("sql.max_rows", self.sql.max_rows),
            ("sql.max_concurrency", self.sql.max_concurrency),
        ];
        for (name, value) in positive {
            limits::positive(name, value)?;
        }
        if !(1..=22).contains(&self.lake.zstd_level) {
            return Err(Error::Config("lake.zstd_level must be between 1 and 22".into()));
        }
        qmq::check(&self.qmq)?;
        rocketmq::check(&self.rocketmq)?;
        self.follow.check()?;
        self.retention.check()?;
        self.background.check()?;
        self.admin.check(self.http.listen)?;
        self.zone()?;
        Ok(())
    }

    /// The directory of the spool: `follow.spool`, else `_spool` below a local `data`, else `./mqlake-spool`.
    #[must_use]
    pub fn spool_dir(&self) -> PathBuf {
        if let Some(path) = &self.follow.spool {
            return path.clone();
        }
        match local_dir(&self.data) {
            Some(data) => data.join("_spool"),
            None => PathBuf::from("./mqlake-spool"),
        }
    }

    /// The zone of dates without a zone.
    ///
    /// # Errors
    /// [`Error::Config`] if `http.time_zone` is not an IANA name.
    pub fn zone(&self) -> Result<chrono_tz::Tz> {
        match &self.http.time_zone {
            Some(name) => parse_zone(name),
            None => Ok(system_zone()),
        }
    }
}

/// The directory that `data` means, unless it lies in an object store.
fn local_dir(data: &str) -> Option<PathBuf> {
    if !data.contains("://") {
        return Some(PathBuf::from(data));
    }
    let url = url::Url::parse(data).ok()?;
    if url.scheme() == "file" { url.to_file_path().ok() } else { None }
}

#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;
