//! `mqlake verify`

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use bytesize::ByteSize;
use clap::Args;

use super::open_existing_lake;
use crate::config::Config;
use crate::error::Result;
use crate::lake::Lake;
use crate::lake::verify::{Finding, Report};
use crate::query::{Catalog, SqlEngine};

/// Rows that are equal in every column of these were stored twice.
const IDENTITIES: [(&str, &str); 3] = [
    (
        "message",
        "system, subject, kind, consumer_group, broker_group, queue_id, sequence, message_id, create_time, store_time, \
         physical_offset",
    ),
    ("dead_message", "subject, consumer_group, broker_group, sequence, message_id, create_time, store_time"),
    (
        "content",
        "system, subject, kind, consumer_group, broker_group, queue_id, sequence, message_id, create_time, store_time",
    ),
];

/// Check every file and position of the tables
///
/// Reads every file and checks rows, order, statistics, days and positions; says what is wrong where. Exits
/// with 1 if anything is.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(super) async fn run(self, config: Config) -> Result<ExitCode> {
        let lake = open_existing_lake(&config).await?;
        let mut report = lake.verify().await?;
        let readable = report.findings.is_empty();
        if readable {
            match find_doubles(lake, &config).await {
                Ok(doubles) => report.findings.extend(doubles),
                Err(error) => report.findings.push(Finding {
                    table: "all".to_owned(),
                    place: "all files".to_owned(),
                    problem: format!("whether rows are stored twice could not be checked: {error}"),
                }),
            }
        }
        if self.json {
            println!("{}", serde_json::to_string(&report).unwrap_or_default());
        } else {
            print_text(&report);
        }
        Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

async fn find_doubles(lake: Arc<Lake>, config: &Config) -> Result<Vec<Finding>> {
    let catalog = Arc::new(Catalog::open(lake, &config.cache).await?);
    // limits of the service are not those of a check, which may take its time
    let settings = crate::config::Sql { timeout: Duration::from_secs(24 * 3600), ..config.sql.clone() };
    let engine = SqlEngine::new(catalog, settings)?;
    let mut findings = Vec::new();
    for (table, identity) in IDENTITIES {
        let statement =
            format!("SELECT count(*) FROM (SELECT 1 FROM {table} GROUP BY {identity} HAVING count(*) > 1)");
        let mut rows = engine.query(&statement).await?;
        while let Some(batch) = rows.next().await? {
            let doubles = batch.column(0).as_primitive::<Int64Type>().iter().flatten().next().unwrap_or(0);
            if doubles > 0 {
                findings.push(Finding {
                    table: table.to_owned(),
                    place: "all files".to_owned(),
                    problem: format!("{doubles} rows are stored more than once"),
                });
            }
        }
    }
    Ok(findings)
}

fn print_text(report: &Report) {
    for table in &report.tables {
        print!(
            "{:15} {:>12} rows in {} files, {}",
            table.table,
            table.rows,
            table.files,
            ByteSize(table.bytes)
        );
        match table.unreferenced {
            0 => println!(),
            count => println!(" ({count} replaced or unfinished files wait for removal)"),
        }
    }
    for stream in &report.streams {
        let positions: Vec<String> =
            stream.positions.iter().map(|(table, position)| format!("{table} {position}")).collect();
        println!("{}: {}", stream.stream, positions.join(", "));
    }
    for finding in &report.findings {
        println!("WRONG {} {}: {}", finding.table, finding.place, finding.problem);
    }
    match report.findings.len() {
        0 => println!("all is well"),
        count => println!("{count} problems"),
    }
}
