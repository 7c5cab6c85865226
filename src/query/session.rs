//! The SQL session: tables of a pinned snapshot, the views and functions of `sql/`, and nothing that can write.

use std::sync::Arc;

use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};

use super::catalog::Pinned;
use super::files::FileCache;
use super::functions;
use super::provider::LakeTable;
use crate::config;
use crate::error::{Error, Result};
use crate::lake::scan::store_url;

/// Name of the schema that holds tables and views.
const SCHEMA: &str = "public";

/// The views of `sql/`, by file name, in the order they are made.
#[must_use]
pub fn views() -> [(&'static str, &'static str); 16] {
    [
        ("messages", include_str!("../../sql/messages.sql")),
        ("dead_letters", include_str!("../../sql/dead_letters.sql")),
        ("records", include_str!("../../sql/records.sql")),
        ("consumption", include_str!("../../sql/consumption.sql")),
        ("unacknowledged", include_str!("../../sql/unacknowledged.sql")),
        ("consumer_latency", include_str!("../../sql/consumer_latency.sql")),
        ("redelivery", include_str!("../../sql/redelivery.sql")),
        ("daily_volume", include_str!("../../sql/daily_volume.sql")),
        ("otel_messages", include_str!("../../sql/otel_messages.sql")),
        ("trace_sends", include_str!("../../sql/trace_sends.sql")),
        ("trace_deliveries", include_str!("../../sql/trace_deliveries.sql")),
        ("slow_consumers", include_str!("../../sql/slow_consumers.sql")),
        ("failed_sends", include_str!("../../sql/failed_sends.sql")),
        ("send_success", include_str!("../../sql/send_success.sql")),
        ("consumer_backlog", include_str!("../../sql/consumer_backlog.sql")),
        ("current_backlog", include_str!("../../sql/current_backlog.sql")),
    ]
}

/// Memory and disk that all statements share.
pub(super) fn runtime(
    files: &Arc<dyn object_store::ObjectStore>,
    settings: &config::Sql,
) -> Result<Arc<RuntimeEnv>> {
    let memory = usize::try_from(settings.memory.as_u64()).unwrap_or(usize::MAX);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(memory)))
        .build_arc()
        .map_err(|error| Error::Config(format!("sql: {error}")))?;
    runtime.register_object_store(store_url()?.as_ref(), files.clone());
    Ok(runtime)
}

/// A session over one pinned snapshot.
pub(super) async fn session(
    pinned: &Pinned,
    files: &FileCache,
    runtime: Arc<RuntimeEnv>,
) -> Result<SessionContext> {
    let mut config = SessionConfig::new()
        .with_information_schema(true)
        .with_default_catalog_and_schema("mqlake", SCHEMA)
        .with_create_default_catalog_and_schema(true);
    let options = config.options_mut();
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.reorder_filters = true;
    options.sql_parser.enable_ident_normalization = true;
    let context = SessionContext::new_with_config_rt(config, runtime);
    for table in pinned.tables() {
        let provider = LakeTable::new(table.clone(), files.clone());
        context
            .register_table(table.snapshot.def.name, Arc::new(provider))
            .map_err(|error| Error::Invariant(error.to_string()))?;
    }
    for (name, sql) in views() {
        let made = context.sql(sql).await;
        made.map_err(|error| Error::Invariant(format!("sql/{name}.sql: {error}")))?;
    }
    functions::register(&context).await?;
    Ok(context)
}
