//! Stores and lakes for tests.

pub mod effort;
pub mod faulty;
pub mod generate;
pub mod http;
pub mod rocketmq;
pub mod rows;
pub mod week;

use std::path::Path;
use std::sync::Arc;

use mqlake::brokers::qmq::import::{ImportRequest, Summary};
use mqlake::config::Config;
use mqlake::lake::{Lake, Store};
use mqlake::stream::Progress;

/// The end of the sample's week, milliseconds.
pub const WEEK_END_MS: i64 = 1_716_739_200_000;

pub fn week_end() -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp_millis(WEEK_END_MS).unwrap()
}

/// Default settings over a directory, in the sample's zone.
pub fn config(data: &Path) -> Config {
    let mut config = Config { data: data.display().to_string(), ..Config::default() };
    config.http.time_zone = Some("Asia/Shanghai".to_owned());
    config
}

pub async fn open(config: &Config) -> Arc<Lake> {
    let store = Store::open(&config.data, &config.storage).unwrap();
    Arc::new(Lake::open(store, config.lake.clone()).await.unwrap())
}

/// Imports a store, with the clock at the end of the sample's week.
pub async fn import(config: &Config, store: &Path, group: &str) -> mqlake::error::Result<Summary> {
    import_with(config, store, group, false).await
}

pub async fn import_with(
    config: &Config,
    store: &Path,
    group: &str,
    skip_corrupt: bool,
) -> mqlake::error::Result<Summary> {
    let request = ImportRequest { store: store.to_path_buf(), broker_group: group.to_owned(), skip_corrupt };
    let lake = open(config).await;
    lake.import(&request, config, Arc::new(Progress::default()), week_end()).await
}
