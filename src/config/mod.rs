//! Settings: defaults, then `mqlake.toml`, then `MQLAKE_SECTION__KEY` variables, then the command line.
//!
//! Every limit of the program is a field here with its unit and default. An unknown key is an error.
//! This room reads no clock and opens no store.

mod zone;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytesize::ByteSize;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

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

/// `[http]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// IANA name of the zone of dates without a zone; default: the system's (`TZ`).
    pub time_zone: Option<String>,
    /// `true`: answer unusable queries and failures with status 200 and an empty form, as the original did.
    pub legacy_errors: bool,
    /// Rows of a page when `len` is missing or not positive.
    pub default_len: usize,
    /// Most rows of one page of a list; a longer `len` is cut to this, with `next`.
    pub max_len: usize,
    /// How far back a list without `msgCreateTimeBegin` looks, in calendar days.
    pub default_window_days: u32,
    /// How far back the retry records of a message are looked for, in calendar days; 0: without limit.
    pub retry_records_window_days: u32,
    /// Longest time for one documented query.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Most requests worked on at once; more wait, then get 503.
    pub max_concurrency: usize,
    /// How often new commits are looked for.
    #[serde(with = "humantime_serde")]
    pub refresh: Duration,
    /// How long requests may go on after a stop was asked for.
    #[serde(with = "humantime_serde")]
    pub shutdown_grace: Duration,
}

/// Which message contents an import keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ContentPolicy {
    /// Attributes, tags, flags and times of every message.
    All,
    /// Only of dead letters.
    Dead,
    /// Of none.
    None,
}

/// `[import]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Import {
    /// Which message contents are kept.
    pub content: ContentPolicy,
    /// Largest body that is kept; of a larger one only its size, flags and times.
    pub max_body: ByteSize,
    /// Rows gathered before a commit.
    pub flush_rows: usize,
    /// Bytes of ids and contents gathered before a commit.
    pub flush_bytes: ByteSize,
}

/// `[acks]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Acks {
    /// Most pull ranges remembered per broker group; beyond it the oldest are forgotten and counted.
    pub max_ranges: usize,
    /// Acknowledged ranges remembered per consumer, for acks that a broker writes twice.
    pub settled_ranges_per_consumer: usize,
}

/// `[lake]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lake {
    /// Rows from which a file of one day is written as settled at once.
    pub settled_rows: usize,
    /// How long after its end (UTC) a day counts as closed, so that its recent files are settled.
    #[serde(with = "humantime_serde")]
    pub settle_after: Duration,
    /// How long removed files stay for readers that still use them.
    #[serde(with = "humantime_serde")]
    pub grace_period: Duration,
    /// zstd level of Parquet pages, 1 to 22.
    pub zstd_level: i32,
    /// Rows of one row group.
    pub row_group_rows: usize,
    /// Rows of one page: what a point lookup decodes at least.
    pub page_rows: usize,
    /// Memory for merging the recent files of a day.
    pub settle_memory: ByteSize,
    /// Attempts of one commit against competing writers.
    pub commit_attempts: usize,
}

/// `[sql]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sql {
    /// Most rows of one answer.
    pub max_rows: usize,
    /// Longest time of one statement.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Memory of all statements together.
    pub memory: ByteSize,
    /// Statements running at once; more wait.
    pub max_concurrency: usize,
    /// Longest statement.
    pub max_statement: ByteSize,
}

/// `[cache]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    /// Parquet footers and page indexes.
    pub metadata: ByteSize,
    /// Bloom filters.
    pub bloom: ByteSize,
    /// Where each subject lies in each file.
    pub runs: ByteSize,
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
            storage: BTreeMap::new(),
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Http {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            time_zone: None,
            legacy_errors: false,
            default_len: 20,
            max_len: 1000,
            default_window_days: 30,
            retry_records_window_days: 30,
            timeout: Duration::from_secs(30),
            max_concurrency: 256,
            refresh: Duration::from_secs(1),
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

impl Default for Import {
    fn default() -> Self {
        Import {
            content: ContentPolicy::All,
            max_body: ByteSize::mib(1),
            flush_rows: 1_000_000,
            flush_bytes: ByteSize::mib(48),
        }
    }
}

impl Default for Acks {
    fn default() -> Self {
        Acks { max_ranges: 1_000_000, settled_ranges_per_consumer: 16 }
    }
}

impl Default for Lake {
    fn default() -> Self {
        Lake {
            settled_rows: 250_000,
            settle_after: Duration::from_secs(3600),
            grace_period: Duration::from_secs(24 * 3600),
            zstd_level: 3,
            row_group_rows: 128 * 1024,
            page_rows: 4096,
            settle_memory: ByteSize::mib(256),
            commit_attempts: 20,
        }
    }
}

impl Default for Sql {
    fn default() -> Self {
        Sql {
            max_rows: 1_000_000,
            timeout: Duration::from_secs(60),
            memory: ByteSize::mib(512),
            max_concurrency: 8,
            max_statement: ByteSize::mib(1),
        }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Cache { metadata: ByteSize::mib(256), bloom: ByteSize::mib(128), runs: ByteSize::mib(128) }
    }
}

impl Config {
    /// Defaults, then `file` (or `mqlake.toml` in the working directory if there is one), then `MQLAKE_…`.
    ///
    /// # Errors
    /// [`Error::Config`] for a file that is named but missing, an unknown key, or a value of the wrong form.
    pub fn load(file: Option<&Path>) -> Result<Config> {
        let mut figment = Figment::from(Serialized::defaults(Config::default()));
        match file {
            Some(path) if !path.is_file() => {
                return Err(Error::Config(format!("{}: no such file", path.display())));
            }
            Some(path) => figment = figment.merge(Toml::file_exact(path)),
            None => figment = figment.merge(Toml::file("mqlake.toml")),
        }
        let config: Config = figment
            .merge(Env::prefixed("MQLAKE_").ignore(&["config", "log", "log_json"]).split("__"))
            .extract()
            .map_err(|error| Error::Config(error.to_string()))?;
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
            if value == 0 {
                return Err(Error::Config(format!("{name} must be at least 1")));
            }
        }
        if !(1..=22).contains(&self.lake.zstd_level) {
            return Err(Error::Config("lake.zstd_level must be between 1 and 22".into()));
        }
        self.zone()?;
        Ok(())
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
