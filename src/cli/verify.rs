//! `mqlake verify`: checks files and positions, and with SQL whether rows are doubled or lack keys. It repairs nothing.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use bytesize::ByteSize;
use clap::Args;

use super::open_existing_lake;
use super::progress::show;
use crate::config::Config;
use crate::error::Result;
use crate::lake::Lake;
use crate::lake::verify::{Finding, Report};
use crate::query::{Catalog, SqlEngine};
use crate::stream::Progress;

/// Tables with the columns that identify a row: two rows with equal values were stored twice.
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

/// Days of brokers on which `message_key` does not have as many offset ids as `message` has rows. Days before the first
/// day of either table are left out, since retention may have dropped them.
const WRONG_COUNTS: &str = "\
    WITH m AS (SELECT broker_group, dt, count(*) AS n FROM message WHERE system = 'rocketmq' GROUP BY 1, 2), \
      k AS (SELECT broker_group, dt, count(*) AS n FROM message_key WHERE system = 'rocketmq' AND key_kind = 3 \
        GROUP BY 1, 2), \
      first AS (SELECT broker_group, min(dt) AS dt FROM k GROUP BY 1) \
    SELECT CAST(m.broker_group AS VARCHAR) AS broker, CAST(m.dt AS VARCHAR) AS day, m.n AS messages, \
      coalesce(k.n, 0) AS ids \
    FROM m JOIN first f ON f.broker_group = m.broker_group AND m.dt >= f.dt \
      LEFT JOIN k ON k.broker_group = m.broker_group AND k.dt = m.dt \
    WHERE coalesce(k.n, 0) <> m.n ORDER BY 1, 2";

/// Check every file and position of the tables
///
/// Reads every file and checks rows, order, statistics, days and positions, and whether any row is there twice or lacks
/// its keys; says what is wrong where. Exits with 1 if anything is.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(super) async fn run(self, config: Config) -> Result<ExitCode> {
        let lake = open_existing_lake(&config).await?;
        let progress = Arc::new(Progress::default());
        let bar = show(progress.clone());
        progress.enter_work("verifying", lake.bytes_to_verify().await?);
        let mut report =
            lake.verify_with(crate::brokers::streams_of, &|bytes| progress.worked(bytes)).await?;
        drop(bar);
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
    // the time limit is for requests; a check may run longer
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
    let mut rows = engine.query(WRONG_COUNTS).await?;
    while let Some(batch) = rows.next().await? {
        let text = |column: usize| cast(batch.column(column), &DataType::Utf8);
        let (brokers, days, messages, ids) = (text(0)?, text(1)?, text(2)?, text(3)?);
        let [brokers, days, messages, ids] =
            [&brokers, &days, &messages, &ids].map(|column| column.as_string::<i32>());
        findings.extend((0..batch.num_rows()).map(|row| Finding {
            table: "message, message_key".to_owned(),
            place: format!("rocketmq/{}, day {}", brokers.value(row), days.value(row)),
            problem: format!(
                "{} messages have {} offset ids, although each has one: rows were lost",
                messages.value(row),
                ids.value(row)
            ),
        }));
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
    for note in &report.notes {
        println!("note: {note}");
    }
    for finding in &report.findings {
        println!("WRONG {} {}: {}", finding.table, finding.place, finding.problem);
    }
    match report.findings.len() {
        0 => println!("all is well"),
        count => println!("{count} problems"),
    }
}
