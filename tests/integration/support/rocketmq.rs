//! The sample cluster `rocketmq-a`: its stores unpacked, what its brokers and clients said, and lakes that hold it
//! (each made once for all tests, never written again).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use mqlake::brokers::rocketmq::{RocketMqImport, RocketMqSummary};
use mqlake::config::Config;
use mqlake::stream::Progress;
use serde_json::Value;
use tempfile::TempDir;

/// The brokers of the cluster.
pub const BROKERS: [&str; 2] = ["broker-a", "broker-b"];

/// Where the commit logs begin after retention.
pub const START_AFTER: i64 = 6_291_456;

/// The trace topics, the second one of a producer's own.
pub const TRACE_TOPICS: [&str; 2] = ["RMQ_SYS_TRACE_TOPIC", "trace-custom"];

/// Bytes of one commit log file.
pub const LOG_FILE_BYTES: u64 = 1 << 20;

/// The state of the stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At the end of the last day.
    Before,
    /// Once retention had removed the files of the first days.
    After,
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rocketmq-a")
}

fn unpack(name: &str) -> Vec<u8> {
    let path = data().join(format!("{name}.zst"));
    let file = std::fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    zstd::stream::decode_all(file).unwrap()
}

/// Lines of a packed JSON lines file below the sample, such as `golden/topics`.
pub fn lines(name: &str) -> Vec<Value> {
    let text = String::from_utf8(unpack(&format!("{name}.jsonl"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A packed table with a line for each column.
pub struct Columns {
    columns: HashMap<String, Vec<Value>>,
    pub rows: usize,
}

impl Columns {
    /// Reads `golden/messages` or `golden/traces`.
    pub fn read(name: &str) -> Columns {
        let text = String::from_utf8(unpack(&format!("{name}.columns"))).unwrap();
        let columns: HashMap<String, Vec<Value>> =
            text.lines().map(|line| serde_json::from_str::<(String, Vec<Value>)>(line).unwrap()).collect();
        let rows = columns.values().next().unwrap().len();
        assert!(columns.values().all(|values| values.len() == rows), "{name}");
        Columns { columns, rows }
    }

    /// A value; null where the row has none.
    pub fn get(&self, name: &str, row: usize) -> &Value {
        &self.columns[name][row]
    }

    pub fn text(&self, name: &str, row: usize) -> &str {
        self.get(name, row).as_str().unwrap_or_else(|| panic!("no text {name} in row {row}"))
    }

    pub fn number(&self, name: &str, row: usize) -> i64 {
        self.get(name, row).as_i64().unwrap_or_else(|| panic!("no number {name} in row {row}"))
    }
}

/// Every message of every topic as the Java client pulled it.
pub fn messages() -> &'static Columns {
    static MESSAGES: OnceLock<Columns> = OnceLock::new();
    MESSAGES.get_or_init(|| Columns::read("golden/messages"))
}

/// Keys of a message as its client gave them.
pub fn keys_of(row: usize) -> impl Iterator<Item = &'static str> {
    let keys = messages().get("properties", row)["KEYS"].as_str().unwrap_or("");
    keys.split(' ').filter(|key| !key.is_empty())
}

/// Writes a broker's store directory.
pub fn write_store(when: When, broker: &str, to: &Path) {
    extract(&unpack(&format!("before/{broker}.tar")), to);
    if when == When::After {
        let gone = std::fs::read_to_string(data().join(format!("after/{broker}.gone.txt"))).unwrap();
        for name in gone.lines() {
            std::fs::remove_file(to.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        extract(&unpack(&format!("after/{broker}.tar")), to);
    }
}

/// Writes a store directory that has the first `files` files of its commit log only.
pub fn write_beginning(when: When, broker: &str, files: usize, to: &Path) {
    write_store(when, broker, to);
    for name in log_files(to).into_iter().skip(files) {
        std::fs::remove_file(name).unwrap();
    }
}

/// The commit log files of a store in their order.
pub fn log_files(store: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(store.join("commitlog")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Fills a commit log file of a store with zeros from a place on, and removes what shows how far the log went.
pub fn end_log_at(store: &Path, file: usize, at: usize) {
    let path = &log_files(store)[file];
    let mut log = std::fs::read(path).unwrap();
    log[at..].fill(0);
    std::fs::write(path, log).unwrap();
    std::fs::remove_dir_all(store.join("consumequeue")).unwrap();
}

/// Writes the files of a tar archive as GNU tar makes it.
pub fn extract(archive: &[u8], to: &Path) {
    let mut rest = archive;
    let mut long_name = None;
    while let Some((head, behind)) = rest.split_first_chunk::<512>().filter(|(head, _)| head[0] != 0) {
        let text = |field: &[u8]| {
            let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
            String::from_utf8(field[..end].to_vec()).unwrap()
        };
        let size = usize::from_str_radix(text(&head[124..136]).trim(), 8).unwrap();
        let (content, _) = behind.split_at(size);
        rest = &behind[size.next_multiple_of(512)..];
        let name = long_name.take().unwrap_or_else(|| text(&head[..100]));
        match head[156] {
            b'5' => std::fs::create_dir_all(to.join(&name)).unwrap(),
            b'L' => long_name = Some(text(content)),
            b'0' | 0 => {
                let path = to.join(&name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, content).unwrap();
            }
            kind => panic!("entry {name} of type {kind}"),
        }
    }
}

/// Copies a directory with all that is in it.
pub fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// After the last day.
pub fn end() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-11-22T00:00:00Z").unwrap().to_utc()
}

/// Imports a store, with the clock after the last day.
pub async fn import(config: &Config, store: &Path, broker: &str) -> mqlake::error::Result<RocketMqSummary> {
    import_with(config, store, broker, false).await
}

pub async fn import_with(
    config: &Config,
    store: &Path,
    broker: &str,
    skip_corrupt: bool,
) -> mqlake::error::Result<RocketMqSummary> {
    let request = RocketMqImport {
        store: store.to_path_buf(),
        broker: broker.to_owned(),
        trace_topics: Vec::new(),
        commit_logs: Vec::new(),
        skip_corrupt,
    };
    let lake = super::open(config).await;
    lake.import_rocketmq(&request, config, Arc::new(Progress::default()), end()).await
}

/// A data directory with both brokers as they were before retention.
pub fn lake() -> PathBuf {
    static LAKE: OnceLock<TempDir> = OnceLock::new();
    LAKE.get_or_init(|| make(When::Before)).path().join("data")
}

/// A data directory with both brokers as they were after retention, and nothing older.
pub fn lake_after() -> PathBuf {
    static LAKE: OnceLock<TempDir> = OnceLock::new();
    LAKE.get_or_init(|| make(When::After)).path().join("data")
}

fn make(when: When) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let config = super::config(&home.path().join("data"));
    // tests may call from inside a runtime of their own
    std::thread::scope(|scope| {
        let importing = || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            for broker in BROKERS {
                let store = home.path().join("store").join(broker);
                write_store(when, broker, &store);
                runtime.block_on(import(&config, &store, broker)).unwrap();
            }
        };
        scope.spawn(importing).join().unwrap();
    });
    home
}
