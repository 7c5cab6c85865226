//! The SQL session: the tables, the views and functions of `sql/`, and nothing that can write.
//!
//! **PLANNED-ONCE**: a session is made once, and its views and functions are planned once, when the first statement
//! needs one. The pinned snapshot is an extension of a statement's configuration, which the tables read, so new commits
//! and new hot rows cause no planning of views.

use std::path::PathBuf;
use std::sync::Arc;

use datafusion::common::{DataFusionError, TableReference};
use datafusion::dataframe::DataFrame;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use tokio::sync::OnceCell;

use super::catalog::Pinned;
use super::files::FileCache;
use super::functions;
use super::provider::LakeTable;
use crate::error::{Error, Result};
use crate::lake::scan::store_url;
use crate::lake::schema::TABLES;

/// Maximum operators, parentheses and set operations in a statement: they nest, and nesting needs stack.
const MAX_OPERATORS: usize = 1000;

/// Name of the schema that holds tables and views.
const SCHEMA: &str = "public";

/// The views of `sql/`: name and statement, in the order in which they are made.
fn views() -> [(&'static str, &'static str); 16] {
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

/// Memory and disk for statements.
pub(super) struct Resources {
    /// Bytes that operators may hold before they spill.
    pub(super) memory: usize,
    /// Where they spill to. `None`: the system's directory for temporary files.
    pub(super) spill_dir: Option<PathBuf>,
    /// Maximum bytes spilled.
    pub(super) spill_max: u64,
}

impl Resources {
    fn runtime(self, files: &FileCache) -> Result<Arc<RuntimeEnv>> {
        let mode = match self.spill_dir {
            Some(folder) => DiskManagerMode::Directories(vec![folder]),
            None => DiskManagerMode::OsTmpDirectory,
        };
        let disk = DiskManagerBuilder::default().with_mode(mode).with_max_temp_directory_size(self.spill_max);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(self.memory)))
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(|error| Error::Config(format!("sql: {error}")))?;
        runtime.register_object_store(store_url()?.as_ref(), files.store());
        Ok(runtime)
    }
}

/// Plans statements.
pub(super) struct Session {
    context: SessionContext,
    /// Set once views and functions are registered.
    complete: OnceCell<()>,
}

impl Session {
    /// A session over files. `partitions`: how many threads one statement may use.
    pub(super) async fn new(files: &FileCache, resources: Resources, partitions: usize) -> Result<Session> {
        let mut config = SessionConfig::new()
            .with_information_schema(true)
            .with_target_partitions(partitions)
            .with_default_catalog_and_schema("mqlake", SCHEMA)
            .with_create_default_catalog_and_schema(true);
        let options = config.options_mut();
        options.execution.parquet.pushdown_filters = true;
        options.execution.parquet.reorder_filters = true;
        options.sql_parser.enable_ident_normalization = true;
        let context = SessionContext::new_with_config_rt(config, resources.runtime(files)?);
        for def in TABLES {
            let provider = LakeTable::new(def, files.clone());
            context
                .register_table(def.name, Arc::new(provider))
                .map_err(|error| Error::Invariant(error.to_string()))?;
        }
        Ok(Session { context, complete: OnceCell::new() })
    }

    /// Makes views and functions. Planning them takes longer than most statements run, so it can be done ahead.
    /// Otherwise the first statement that names more than tables does it.
    pub(super) async fn complete(&self) -> Result<()> {
        let make = async || {
            for (name, sql) in views() {
                // a cancelled statement can have ended between two of them
                if self.context.table_exist(name).map_err(|error| Error::Invariant(error.to_string()))? {
                    continue;
                }
                let made = self.context.sql(sql).await;
                made.map_err(|error| Error::Invariant(format!("sql/{name}.sql: {error}")))?;
            }
            functions::register(&self.context).await
        };
        self.complete.get_or_try_init(make).await.map(drop)
    }

    /// Whether a statement is a query that names only tables.
    fn needs_only_tables(&self, statement: &str) -> bool {
        let state = self.context.state();
        let dialect = state.config_options().sql_parser.dialect;
        let Ok(parsed) = state.sql_to_statement(statement, &dialect) else { return false };
        let Statement::Statement(inner) = &parsed else { return false };
        let is_query = matches!(**inner, ast::Statement::Query(_));
        let is_table = |name: &TableReference| TABLES.iter().any(|def| def.name == name.table());
        is_query && state.resolve_table_references(&parsed).is_ok_and(|names| names.iter().all(is_table))
    }

    /// The plan of one read-only statement over a pinned snapshot.
    pub(super) async fn plan(&self, pinned: Arc<Pinned>, statement: &str) -> Result<DataFrame> {
        check_nesting(statement)?;
        if !self.complete.initialized() && !self.needs_only_tables(statement) {
            self.complete().await?;
        }
        let mut state = self.context.state();
        state.config_mut().set_extension(pinned);
        let plan = state.create_logical_plan(statement).await.map_err(|error| sql_error(&error))?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)
            .map_err(|error| {
                let what = error.strip_backtrace();
                Error::Sql(format!("this endpoint is read-only; only queries run here ({what})"))
            })?;
        Ok(DataFrame::new(state, plan))
    }
}

/// Refuses statements that could nest too deep for the stack, before anything recurses into them.
fn check_nesting(statement: &str) -> Result<()> {
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, statement).tokenize();
    let tokens = tokens.map_err(|error| Error::Sql(format!("the statement cannot be read: {error}")))?;
    let nests = |token: &&Token| match token {
        Token::Word(word) => matches!(
            word.value.to_ascii_uppercase().as_str(),
            "AND" | "OR" | "NOT" | "UNION" | "INTERSECT" | "EXCEPT" | "CASE" | "JOIN" | "LIKE" | "IS"
        ),
        Token::Whitespace(_)
        | Token::Comma
        | Token::Period
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::RParen => false,
        _ => true,
    };
    match tokens.iter().filter(nests).count() {
        count if count > MAX_OPERATORS => Err(Error::Limit(format!(
            "the statement has {count} operators; at most {MAX_OPERATORS} are run. Use IN (…) or a join for long lists"
        ))),
        _ => Ok(()),
    }
}

/// Converts an error of the engine. All conversions happen here.
pub(super) fn sql_error(error: &DataFusionError) -> Error {
    let text = error.strip_backtrace();
    // can be nested in other errors, and names a setting of the engine
    if text.contains("max_temp_directory_size") {
        let what =
            "the statement spills more to disk than sql.spill_max allows; narrow it, for example by dt";
        return Error::Limit(what.to_owned());
    }
    if text.contains("No space left on device") || text.contains("Disk quota exceeded") {
        return Error::Limit(format!("there is no room to spill to in sql.spill_dir: {text}"));
    }
    match error.find_root() {
        DataFusionError::ResourcesExhausted(what) => {
            Error::Limit(format!("the statement needs more memory than sql.memory allows: {what}"))
        }
        // decoders written in C report this when they get no memory
        DataFusionError::ParquetError(source) if source.to_string().contains("Allocation error") => {
            Error::Limit(format!("the statement needs more memory than sql.memory allows: {source}"))
        }
        DataFusionError::External(source) if source.downcast_ref::<Error>().is_some_and(is_unavailable) => {
            Error::store("reading data files", source.to_string())
        }
        DataFusionError::ObjectStore(source) => Error::store("reading data files", source.to_string()),
        DataFusionError::ParquetError(source) => Error::store("reading data files", source.to_string()),
        DataFusionError::IoError(source) => Error::store("reading data files", source.to_string()),
        _ => of_text(text),
    }
}

/// Texts of functions that cannot allocate their result. Offsets of columns have 31 bits, so no array exceeds 2 GiB,
/// whatever the memory.
const TOO_LARGE: [&str; 6] = [
    "failed to allocate",
    "memory allocation failed",
    "offset overflow",
    "maximum value for offset type",
    "size overflow on",
    "requested length",
];

/// The error of a text for which no library has an error kind.
pub(super) fn of_text(text: String) -> Error {
    if TOO_LARGE.iter().any(|known| text.contains(known)) {
        return Error::Limit(format!(
            "the statement needs more memory than sql.memory allows, or more than 2 GiB in one value or array: {text}"
        ));
    }
    Error::Sql(text)
}

fn is_unavailable(error: &Error) -> bool {
    error.kind() == crate::error::ErrorKind::Unavailable
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn session() -> Session {
        let objects = Arc::new(object_store::memory::InMemory::new());
        let store = crate::lake::Store::with_objects(objects, "memory:///lake/".parse().unwrap()).unwrap();
        let files = FileCache::new(&store, &crate::config::Cache::default());
        let resources = Resources { memory: 64 << 20, spill_dir: None, spill_max: 1 << 20 };
        Session::new(&files, resources, 1).await.unwrap()
    }

    #[tokio::test]
    async fn views_are_made_on_demand_and_completed_after_a_cancelled_statement() {
        let session = session().await;
        assert!(session.needs_only_tables("SELECT count(*) FROM message"));
        for other in ["SELECT * FROM messages", "SHOW TABLES", "SELECT * FROM offsets_at('a', 'b', now())"] {
            assert!(!session.needs_only_tables(other), "{other}");
        }
        // the state after a statement that was cancelled between two views
        let [(_, first), ..] = views();
        session.context.sql(first).await.unwrap();
        session.complete().await.unwrap();
        assert!(views().iter().all(|(name, _)| session.context.table_exist(*name).unwrap()));
    }
}
