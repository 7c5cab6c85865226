//! Settings: defaults, then `backup.properties` of an original server if `--qmq-conf` is given, then `mqlake.toml`, then
//! `MQLAKE_SECTION__KEY` variables, then the command line.
//!
//! Every limit of the program is a field here with its unit and default. An unknown key of a file is an error. An
//! unknown variable is only reported, since other programs set variables with our prefix, too. This module reads no
//! clock, opens no store, and takes the variables as an argument.

mod address;
mod admin;
mod data;
mod follow;
pub(crate) mod hosts;
mod http;
mod known;
mod layers;
mod limits;
mod one_or_many;
pub mod properties;
mod qmq;
pub mod qmq_conf;
mod rocketmq;
mod secret;
mod sections;
mod skip_file;
mod surroundings;
mod topic_pattern;
mod upkeep;
mod variables;
mod zone;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::Serialized;
use serde::{Deserialize, Serialize};

pub use admin::Admin;
pub use follow::Follow;
pub use http::Http;
pub use layers::{Ignored, UnknownVariable};
pub use qmq::QmqSource;
pub use rocketmq::{RocketMqSource, RocketMqTls};
pub(crate) use secret::MASK;
pub use secret::Secret;
pub use sections::{Acks, Cache, ContentPolicy, Import, Lake, Sql};
pub use skip_file::SkipFile;
pub use surroundings::Surroundings;
pub use upkeep::{Background, Retention};
pub use variables::Variables;

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
    /// Caches of footers and indexes of files.
    pub cache: Cache,
    /// Running QMQ clusters that are followed.
    #[serde(deserialize_with = "one_or_many::one_or_many")]
    pub qmq: Vec<QmqSource>,
    /// Running RocketMQ clusters that are followed.
    #[serde(deserialize_with = "one_or_many::one_or_many")]
    pub rocketmq: Vec<RocketMqSource>,
    /// How clusters are followed.
    pub follow: Follow,
    /// How long rows are kept.
    pub retention: Retention,
    /// Background work.
    pub background: Background,
    /// Actions that change something in a broker.
    pub admin: Admin,
    /// Options for the object store, by their usual names (`aws_endpoint`, `aws_region`, …);
    /// the `AWS_…` variables of the environment are read too.
    #[serde(deserialize_with = "texts")]
    pub storage: BTreeMap<String, String>,
    /// Defaults that come from the machine.
    #[serde(skip)]
    pub surroundings: Surroundings,
}

/// Sources of settings, besides their defaults.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The settings file; default: `mqlake.toml` in the working directory, if there is one.
    pub file: Option<&'a Path>,
    /// The directory of an original server's settings, a layer between the defaults and the file. Its source is added
    /// before the sources of the file and of the variables; it does not replace them.
    pub qmq_conf: Option<&'a Path>,
    /// The variables.
    pub variables: &'a Variables,
}

/// Loaded settings, and reports about loading them.
#[derive(Debug)]
pub struct Loaded {
    /// The checked settings.
    pub config: Config,
    /// How the settings of [`Origin::qmq_conf`] were taken over.
    pub report: Option<qmq_conf::Report>,
    /// Variables that set nothing.
    pub ignored: Ignored,
}

/// The store takes options as texts, but `true` and `5` in a file or a variable are parsed as a boolean and a number.
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
            surroundings: Surroundings::default(),
        }
    }
}

impl Config {
    /// Loads defaults, then an original server's directory, then the file, then `MQLAKE_…` variables.
    ///
    /// # Errors
    /// [`Error::Config`] for a file that is named but missing or unusable, an unknown key in it, or a value of the wrong
    /// form; those of [`qmq_conf::read`].
    pub fn load(origin: &Origin<'_>) -> Result<Loaded> {
        let mut base = Config::default();
        let report = origin.qmq_conf.map(|dir| qmq_conf::read(dir, &mut base)).transpose()?;
        let sources = std::mem::take(&mut base.qmq);
        let known = known::Known::new();
        let figment = layers::add_file(Figment::from(Serialized::defaults(base)), origin.file)?;
        let (figment, ignored) = layers::add_variables(figment, &known, origin.variables);
        let mut config: Config =
            figment.extract().map_err(|error| layers::explain(error, &figment, &known))?;
        config.surroundings = Surroundings::of(origin.variables);
        // checked first, so that errors number the file's own sources from 0
        config.check()?;
        if !sources.is_empty() {
            config.qmq.splice(..0, sources);
            config.check()?;
        }
        Ok(Loaded { config, report, ignored })
    }

    fn check(&self) -> Result<()> {
        data::check(&self.data)?;
        let positive = [
            ("import.flush_rows", self.import.flush_rows),
            ("import.index_entries", self.import.index_entries),
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
        self.lake.check()?;
        self.sql.check()?;
        qmq::check(&self.qmq)?;
        rocketmq::check(&self.rocketmq)?;
        self.follow.check()?;
        self.retention.check()?;
        self.background.check()?;
        self.http.check()?;
        self.admin.check(&self.http)?;
        self.zone()?;
        Ok(())
    }

    /// Sets the root of the tables.
    ///
    /// # Errors
    /// [`Error::Config`] if `data` is neither a directory nor the URL of a supported store.
    pub(crate) fn set_data(&mut self, data: String) -> Result<()> {
        data::check(&data)?;
        self.data = data;
        Ok(())
    }

    /// The directory of the tables; `None` if they are in an object store.
    #[must_use]
    pub(crate) fn data_dir(&self) -> Option<PathBuf> {
        data::local_dir(&self.data)
    }

    /// The directory of the spool: `follow.spool`, else `_spool` below a local `data`, else `./mqlake-spool`.
    #[must_use]
    pub fn spool_dir(&self) -> PathBuf {
        if let Some(path) = &self.follow.spool {
            return path.clone();
        }
        match self.data_dir() {
            Some(data) => data.join("_spool"),
            None => PathBuf::from("./mqlake-spool"),
        }
    }

    /// The time zone of dates without a zone.
    ///
    /// # Errors
    /// [`Error::Config`] if `http.time_zone` is not an IANA name.
    pub fn zone(&self) -> Result<chrono_tz::Tz> {
        match &self.http.time_zone {
            Some(name) => zone::parse_zone(name),
            None => Ok(self.surroundings.zone),
        }
    }
}

#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;
