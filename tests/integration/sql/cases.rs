//! Every `tests/cases/sql/*.sql`: statements, each followed by the table it prints as comments.
//!
//! `UPDATE_CASES=1 cargo test sql::cases` writes the tables anew; read the difference before you commit it.

use std::path::Path;

use arrow::util::pretty::pretty_format_batches;
use mqlake::query::{Catalog, SqlEngine};

use crate::support::{self, week};

async fn run(engine: &SqlEngine, statement: &str) -> String {
    match engine.query(statement).await {
        Ok(mut rows) => {
            let mut batches = vec![arrow::record_batch::RecordBatch::new_empty(rows.schema.clone())];
            while let Some(batch) = rows.next().await.unwrap() {
                batches.push(batch);
            }
            pretty_format_batches(&batches).unwrap().to_string()
        }
        Err(error) => format!("error: {error}"),
    }
}

#[tokio::test]
async fn statements_print_what_the_files_say() {
    let config = support::config(&week::lake());
    let lake = support::open(&config).await;
    let catalog = std::sync::Arc::new(Catalog::open(lake, &config.cache).await.unwrap());
    let engine = SqlEngine::new(catalog, config.sql).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/sql");
    let update = std::env::var_os("UPDATE_CASES").is_some();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut fresh = String::new();
        for block in text.split("\n\n").filter(|block| !block.trim().is_empty()) {
            let statement: String = block
                .lines()
                .filter(|line| !line.starts_with("-- >"))
                .map(|line| format!("{line}\n"))
                .collect();
            let sql: String =
                statement.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
            fresh.push_str(&statement);
            if !sql.trim().is_empty() {
                for line in run(&engine, sql.trim().trim_end_matches(';')).await.lines() {
                    fresh.push_str(&format!("-- > {line}\n"));
                }
            }
            fresh.push('\n');
        }
        if update {
            std::fs::write(&path, format!("{}\n", fresh.trim_end())).unwrap();
            continue;
        }
        assert_eq!(text.trim_end(), fresh.trim_end(), "{}", path.display());
    }
}
