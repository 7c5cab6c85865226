//! `mqlake sql`: runs one statement in this process and prints its rows. It writes nothing to the store.

use std::process::ExitCode;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use arrow::util::pretty::pretty_format_batches_with_options;
use clap::{Args, ValueEnum};

use super::open_existing_lake;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::http::{distinct_names, renamed};
use crate::query::{Catalog, SqlEngine};

/// Run one SQL statement and print its rows
///
/// Statements only read. `SHOW TABLES` lists tables and views, `DESCRIBE message` the columns.
#[derive(Debug, Args)]
pub(super) struct Sql {
    /// The statement
    statement: String,
    /// How to print the rows
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table for people
    Table,
    /// One JSON array
    Json,
    /// One JSON object a line
    Ndjson,
    /// Comma-separated values with a header
    Csv,
}

impl Sql {
    pub(super) async fn run(self, config: Config) -> Result<ExitCode> {
        let lake = open_existing_lake(&config).await?;
        let catalog = Arc::new(Catalog::open(lake, &config.cache).await?);
        let engine = SqlEngine::new(catalog, config.sql.clone())?;
        let mut rows = engine.query(&self.statement).await?;
        let mut batches: Vec<RecordBatch> = vec![RecordBatch::new_empty(rows.schema.clone())];
        while let Some(batch) = rows.next().await? {
            batches.push(batch);
        }
        let text = render(&batches, self.format)?;
        super::output::out_bytes(&text);
        Ok(ExitCode::SUCCESS)
    }
}

fn render(batches: &[RecordBatch], format: Format) -> Result<Vec<u8>> {
    let fail = |error: arrow::error::ArrowError| Error::Sql(format!("the rows cannot be printed: {error}"));
    let nulls = || arrow::json::WriterBuilder::new().with_explicit_nulls(true);
    let named: Vec<RecordBatch>;
    let batches = match format {
        Format::Json | Format::Ndjson => {
            named = batches.iter().map(distinct).collect::<Result<_>>()?;
            &named
        }
        Format::Table | Format::Csv => batches,
    };
    match format {
        Format::Table => {
            let options = arrow::util::display::FormatOptions::default();
            let table = pretty_format_batches_with_options(batches, &options).map_err(fail)?;
            Ok(format!("{table}\n").into_bytes())
        }
        Format::Json => {
            let mut writer = nulls().build::<_, arrow::json::writer::JsonArray>(Vec::new());
            batches.iter().try_for_each(|batch| writer.write(batch)).map_err(fail)?;
            writer.finish().map_err(fail)?;
            let mut text = writer.into_inner();
            text.push(b'\n');
            Ok(text)
        }
        Format::Ndjson => {
            let mut writer = nulls().build::<_, arrow::json::writer::LineDelimited>(Vec::new());
            batches.iter().try_for_each(|batch| writer.write(batch)).map_err(fail)?;
            writer.finish().map_err(fail)?;
            Ok(writer.into_inner())
        }
        Format::Csv => crate::http::csv_text(batches),
    }
}

/// Makes column names unique, since a JSON object must not repeat a name.
fn distinct(batch: &RecordBatch) -> Result<RecordBatch> {
    renamed(batch, &distinct_names(batch.schema_ref()))
}
