//! All rows of a lake's tables as sorted JSON lines, so that two lakes can be compared row for row.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use mqlake::config::Config;
use mqlake::lake::Lake;
use mqlake::query::{Catalog, SqlEngine};
use parquet::file::reader::{FileReader, SerializedFileReader};

/// Rows of a statement as JSON values.
pub async fn query(data: &Path, statement: &str) -> Vec<serde_json::Value> {
    let config = super::config(data);
    let text = lines(&engine(super::open(&config).await, &config).await, statement).await;
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What runs statements over an open lake.
pub async fn engine(lake: Arc<Lake>, config: &Config) -> SqlEngine {
    let catalog = Arc::new(Catalog::open(lake, &config.cache).await.unwrap());
    SqlEngine::new(catalog, config.sql.clone()).unwrap()
}

async fn lines(engine: &SqlEngine, statement: &str) -> String {
    let mut rows = engine.query(statement).await.unwrap();
    let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
    while let Some(batch) = rows.next().await.unwrap() {
        writer.write(&batch).unwrap();
    }
    writer.finish().unwrap();
    String::from_utf8(writer.into_inner()).unwrap()
}

/// Every row of a table, as sorted lines.
pub async fn table(data: &Path, name: &str) -> Vec<String> {
    let config = super::config(data);
    table_of(&engine(super::open(&config).await, &config).await, name).await
}

/// Every row of every table.
pub async fn all(data: &Path) -> Vec<(String, Vec<String>)> {
    let config = super::config(data);
    // opened and planned once: both take longer than most tables
    let engine = engine(super::open(&config).await, &config).await;
    let mut tables = Vec::new();
    for def in mqlake::lake::schema::TABLES {
        tables.push((def.name.to_owned(), table_of(&engine, def.name).await));
    }
    tables
}

async fn table_of(engine: &SqlEngine, name: &str) -> Vec<String> {
    sorted_lines(engine, &format!("SELECT * FROM {name}")).await
}

/// The rows of a statement as sorted lines.
pub async fn sorted_lines(engine: &SqlEngine, statement: &str) -> Vec<String> {
    let text = lines(engine, statement).await;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Compares two lakes row for row, naming the first difference.
pub fn assert_equal(left: &[(String, Vec<String>)], right: &[(String, Vec<String>)]) {
    for ((name, a), (_, b)) in left.iter().zip(right) {
        let difference = a.iter().zip(b).find(|(a, b)| a != b);
        assert!(difference.is_none(), "table {name}: {difference:?}");
        assert_eq!(a.len(), b.len(), "rows of table {name}");
    }
}

/// Rows in all settled files of a table, found as a plain glob finds them.
pub fn glob_rows(data: &Path, table: &str) -> usize {
    let mut rows = 0;
    for day in std::fs::read_dir(data.join(table)).unwrap().map(Result::unwrap) {
        if day.file_name().to_string_lossy().starts_with("dt=") {
            for file in std::fs::read_dir(day.path()).unwrap().map(Result::unwrap) {
                let reader = SerializedFileReader::new(File::open(file.path()).unwrap()).unwrap();
                rows += reader.metadata().file_metadata().num_rows() as usize;
            }
        }
    }
    rows
}
