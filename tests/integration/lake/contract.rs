//! `schemas/` is the contract of the tables; the code and the files are held to it.

use std::path::Path;

use mqlake::lake::schema::{DAY_COLUMN, SortKey, TABLES, TableDef};
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::support::week;

fn document(table: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/{table}.md"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn line<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_else(|| panic!("no line `{start}`"))
}

fn sort_text(keys: &[SortKey]) -> String {
    let keys = keys.iter().map(|key| match key.descending {
        true => format!("`{}` descending", key.column),
        false => format!("`{}`", key.column),
    });
    keys.collect::<Vec<_>>().join(", ")
}

fn bloom_text(def: &TableDef) -> String {
    let names: Vec<String> =
        def.columns.iter().filter(|column| column.bloom).map(|column| format!("`{}`", column.name)).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[test]
fn the_documents_say_what_the_code_does() {
    for def in TABLES {
        let text = document(def.name);
        assert!(text.starts_with(&format!("# {}\n", def.name)));
        assert_eq!(line(&text, "- Sort order: "), sort_text(def.sort), "{}", def.name);
        assert_eq!(line(&text, "- Partition: "), format!("`dt`, the UTC day of `{}`", def.time_column));
        assert_eq!(line(&text, "- Bloom filters: "), bloom_text(def), "{}", def.name);
        let rows: Vec<Vec<String>> = text
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
            .collect();
        let mut wanted: Vec<Vec<String>> = def
            .columns
            .iter()
            .map(|column| {
                let null = if column.nullable { "yes" } else { "no" };
                vec![format!("`{}`", column.name), column.column_type.name().to_owned(), null.to_owned()]
            })
            .collect();
        wanted.push(vec![format!("`{DAY_COLUMN}`"), "date".to_owned(), "no".to_owned()]);
        // `list<string>` is in backticks, or Markdown would take it for a tag
        let plain =
            |row: &Vec<String>| vec![row[0].clone(), row[1].trim_matches('`').to_owned(), row[2].clone()];
        let got: Vec<Vec<String>> = rows.iter().map(plain).collect();
        assert_eq!(got, wanted, "{}", def.name);
        assert!(rows.iter().all(|row| row[3].len() > 5), "{}: a column without meaning", def.name);
    }
}

/// Files of a table below a data directory, settled ones only, as a plain glob sees them.
fn settled(table: &str) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for day in std::fs::read_dir(week::lake().join(table)).unwrap() {
        let day = day.unwrap();
        if day.file_name().to_string_lossy().starts_with("dt=") {
            files.extend(std::fs::read_dir(day.path()).unwrap().map(|file| file.unwrap().path()));
        }
    }
    files
}

#[test]
fn files_have_plain_types_order_indexes_and_blooms() {
    for def in TABLES {
        if ["message_key", "trace", "consumer_progress"].contains(&def.name) {
            // the week is of QMQ
            continue;
        }
        let files = settled(def.name);
        assert!(!files.is_empty(), "{}", def.name);
        for path in files {
            let reader = SerializedFileReader::new_with_options(
                std::fs::File::open(&path).unwrap(),
                parquet::file::serialized_reader::ReadOptionsBuilder::new().with_page_index().build(),
            )
            .unwrap();
            let metadata = reader.metadata();
            let pairs = metadata.file_metadata().key_value_metadata();
            assert!(pairs.is_none_or(|pairs| pairs.iter().all(|pair| pair.key != "ARROW:schema")));
            assert!(metadata.column_index().is_some() && metadata.offset_index().is_some());
            for group in metadata.row_groups() {
                let order = group.sorting_columns().unwrap();
                let names: Vec<(&str, bool)> = order
                    .iter()
                    .map(|key| (def.columns[usize::try_from(key.column_idx).unwrap()].name, key.descending))
                    .collect();
                let wanted: Vec<(&str, bool)> =
                    def.sort.iter().map(|key| (key.column, key.descending)).collect();
                assert_eq!(names, wanted);
                for column in def.columns.iter().filter(|column| column.bloom) {
                    let chunk = group.columns().iter().find(|c| c.column_path().string() == column.name);
                    assert!(chunk.unwrap().bloom_filter_offset().is_some(), "{}", column.name);
                }
            }
        }
    }
}

#[test]
fn a_glob_over_settled_files_meets_no_row_twice() {
    let rows: i64 = settled("message")
        .iter()
        .map(|path| {
            let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
            reader.metadata().file_metadata().num_rows()
        })
        .sum();
    // all days but the last, which is not over at the end of the sample
    let last_day = 1_716_681_600_000;
    let closed = week::lines("truth/messages.jsonl.gz").into_iter().filter(|message| {
        let is_dead = message["header_subject"].as_str().unwrap().starts_with("%DEAD_RETRY%");
        !is_dead && message["create_time_ms"].as_i64().unwrap() < last_day
    });
    assert_eq!(rows, i64::try_from(closed.count()).unwrap());
}
