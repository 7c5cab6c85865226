//! The documents name only files that there are.

use std::path::{Path, PathBuf};

/// Folders at the root, by which a path in a text is known as one of ours.
const FOLDERS: [&str; 9] =
    ["src/", "docs/", "tests/", "deploy/", "schemas/", "benches/", "fuzz/", ".ci/", "sql/"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Files of the repository, relative to it.
fn files(folder: &Path, all: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", ".git", "data"].contains(&name.as_str()) {
                files(&path, all);
            }
            continue;
        }
        all.push(path.strip_prefix(root()).unwrap().display().to_string());
    }
}

/// Targets of links that lead into the repository.
fn links(text: &str) -> Vec<String> {
    let ends = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = ends.map(|target| target.split('#').next().unwrap_or_default());
    files.filter(|target| !target.is_empty() && !target.contains("://")).map(str::to_owned).collect()
}

/// Names between backquotes that are paths of the repository by their looks.
fn quoted(text: &str) -> Vec<String> {
    let mut is_code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        let names = line.split('`').skip(1).step_by(2).filter(|_| !is_code);
        let is_plain = |name: &&str| name.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
        let is_ours = |name: &&str| {
            name.ends_with(".rs")
                || FOLDERS.iter().any(|folder| name.starts_with(folder) && name.len() > folder.len())
        };
        found.extend(names.filter(is_plain).filter(is_ours).map(str::to_owned));
    }
    found
}

#[test]
fn every_path_that_a_document_names_exists() {
    let root = root();
    let mut all = Vec::new();
    files(&root, &mut all);
    let is_document = |path: &&String| {
        path.ends_with(".md")
            && (!path.contains('/') || path.starts_with("docs/") || path.starts_with("deploy/"))
    };
    let documents: Vec<_> = all.iter().filter(is_document).filter(|path| *path != "CHANGELOG.md").collect();
    assert!(documents.len() >= 10, "{documents:?}");
    let mut missing = Vec::new();
    for document in documents {
        let text = std::fs::read_to_string(root.join(document)).unwrap();
        let folder = root.join(document).parent().unwrap().to_owned();
        for link in links(&text) {
            if !folder.join(&link).exists() {
                missing.push(format!("{document}: link {link}"));
            }
        }
        for name in quoted(&text) {
            let name = name.trim_end_matches('/');
            // tables of files name them within the folder that they are about
            let is_there = root.join(name).exists()
                || root.join("src").join(name).exists()
                || all.iter().any(|path| path.ends_with(&format!("/{name}")));
            if !is_there {
                missing.push(format!("{document}: {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
