//! The sample week: its logs unpacked, its truth, and a lake that holds it (made once for all tests).

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

pub const GROUPS: [&str; 2] = ["bg1", "bg2"];

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/qmq-week-a")
}

fn unpack(path: &Path) -> Vec<u8> {
    let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Lines of a packed JSON lines file below the sample.
pub fn lines(name: &str) -> Vec<Value> {
    let text = String::from_utf8(unpack(&data().join(name))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Writes a group's logs as a store directory.
pub fn write_store(group: &str, to: &Path) {
    for folder in ["messagelog", "actionlog"] {
        std::fs::create_dir_all(to.join(folder)).unwrap();
        for entry in std::fs::read_dir(data().join(group).join(folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let segment = name.strip_suffix(".seg.gz").unwrap();
            std::fs::write(to.join(folder).join(segment), unpack(&entry.path())).unwrap();
        }
    }
}

/// A data directory with both groups imported; made once, never written again.
pub fn lake() -> PathBuf {
    static LAKE: OnceLock<TempDir> = OnceLock::new();
    LAKE.get_or_init(|| {
        let home = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        for group in GROUPS {
            let store = home.path().join("store").join(group);
            write_store(group, &store);
            let config = super::config(&home.path().join("data"));
            // tests may call from inside a runtime of their own
            std::thread::scope(|scope| {
                scope
                    .spawn(|| runtime.block_on(super::import(&config, &store, group)).unwrap())
                    .join()
                    .unwrap();
            });
        }
        std::thread::spawn(move || drop(runtime)).join().unwrap();
        home
    })
    .path()
    .join("data")
}
