//! How the source is laid out: what a reader relies on who looks for something by its folder.

use std::path::{Path, PathBuf};

/// Names that only a system's own folder, the faces, the settings and the tables' contract may know.
const BROKERS: [&str; 2] = ["qmq", "rocketmq"];
/// Folders and files of `src/` that may name a broker.
const MAY: [&str; 5] = ["brokers", "http", "config", "cli", "lake/schema"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

#[test]
fn generic_folders_name_no_broker() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut named = Vec::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap();
        if MAY.iter().any(|folder| name.starts_with(folder)) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap().to_lowercase();
        let lines = text.lines().enumerate();
        named.extend(
            lines
                .filter(|(_, line)| BROKERS.iter().any(|broker| line.contains(broker)))
                .map(|(number, line)| format!("{}:{}: {}", name.display(), number + 1, line.trim())),
        );
    }
    assert!(named.is_empty(), "{}", named.join("\n"));
}
