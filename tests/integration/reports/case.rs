//! Runs one case; what a case says is described in the parent.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::archive::unpack;
use crate::support::http::Server;
use crate::support::{self, rows};

/// When the requests are made: two days after the first record, 2025-12-02T08:00Z.
const NOW_MS: i64 = 1_764_662_400_000;

/// What came back of a block.
struct Outcome {
    /// Exit code, or status.
    code: i32,
    /// Code of success.
    success: i32,
    json: Value,
    /// Standard error.
    said: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/reports/cases")
}

/// Names of the files in `cases/`, without their ending.
pub(super) fn names() -> Vec<String> {
    let files = std::fs::read_dir(folder()).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.map(|name| name.strip_suffix(".txt").expect("a case is a .txt file").to_owned()).collect()
}

/// Runs the blocks of a case.
pub(super) async fn run(name: &str) {
    let path = folder().join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let home = tempfile::tempdir().unwrap();
    let mut made = 0;
    for block in text.split("\n\n") {
        let mut lines =
            block.lines().filter(|line| !line.starts_with('#')).skip_while(|line| line.is_empty());
        let Some(order) = lines.next() else { continue };
        let outcome = carry_out(order, home.path()).await;
        let (mut code, mut json) = (outcome.success, String::new());
        for line in lines {
            if let Some(text) = line.strip_prefix("says ") {
                assert!(
                    outcome.said.contains(text),
                    "{name}: {order}\nsaid not `{text}`, but:\n{}",
                    outcome.said
                );
            } else if line == "silent" {
                assert_eq!(outcome.said, "", "{name}: {order}");
            } else if let Some(number) = line.strip_prefix("exit ") {
                code = number.parse().expect("a number behind `exit`");
            } else {
                json.push_str(line);
                json.push('\n');
            }
        }
        assert_eq!(outcome.code, code, "{name}: {order}\n{:#}\n{}", outcome.json, outcome.said);
        if !json.trim().is_empty() {
            let wanted: Value =
                serde_json::from_str(&json).unwrap_or_else(|e| panic!("{name}: {order}: {e}"));
            let difference = difference(&wanted, &outcome.json, "");
            assert!(
                difference.is_none(),
                "{name}: {order}\n{}\nin {:#}\n{}",
                difference.unwrap_or_default(),
                outcome.json,
                outcome.said
            );
        }
        made += 1;
    }
    assert!(made > 0, "{name}: nothing to do");
}

async fn carry_out(order: &str, home: &Path) -> Outcome {
    let data = home.join("data");
    let (what, rest) = order.split_once(' ').unwrap_or((order, ""));
    match what {
        "import" => command("import", &import_arguments(rest, home), &data),
        "verify" => command("verify", &[], &data),
        "GET" => {
            let mut config = support::config(&data);
            // however busy the machine is
            let patience = std::time::Duration::from_secs(600);
            (config.http.timeout, config.sql.timeout) = (patience, patience);
            let lake = support::open(&config).await;
            let answer = Server::at(lake, config, NOW_MS).await.get(rest).await;
            let json = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
            Outcome { code: answer.status.as_u16().into(), success: 200, json, said: answer.text() }
        }
        "SQL" => {
            let json = Value::Array(rows::query(&data, rest).await);
            Outcome { code: 0, success: 0, json, said: String::new() }
        }
        _ => panic!("`{what}` is nothing that a case can do"),
    }
}

fn import_arguments(rest: &str, home: &Path) -> Vec<String> {
    let mut arguments = vec!["--store".to_owned()];
    let mut is_path = true;
    for word in rest.split(' ') {
        arguments.push(if is_path { unpack(word, home).display().to_string() } else { word.to_owned() });
        is_path = matches!(word, "--store" | "--commit-log");
    }
    let has = |option: &str| arguments.iter().any(|argument| argument == option);
    if !has("--system") {
        let has_broker = has("--broker");
        arguments.extend(["--system", "rocketmq"].map(str::to_owned));
        if !has_broker {
            arguments.extend(["--broker", "broker-a"].map(str::to_owned));
        }
    }
    arguments
}

fn command(name: &str, arguments: &[String], data: &Path) -> Outcome {
    let output = Command::new(env!("CARGO_BIN_EXE_mqlake"))
        .args([name, "--json"])
        .args(arguments)
        .env("MQLAKE_DATA", data)
        .output()
        .unwrap();
    Outcome {
        code: output.status.code().unwrap(),
        success: 0,
        json: serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
        said: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The first place where an answer is not what is expected.
fn difference(wanted: &Value, got: &Value, place: &str) -> Option<String> {
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(got)) => wanted.iter().find_map(|(name, wanted)| {
            difference(wanted, got.get(name).unwrap_or(&Value::Null), &format!("{place}.{name}"))
        }),
        (Value::Array(wanted), Value::Array(got)) if wanted.len() == got.len() => {
            let pairs = wanted.iter().zip(got).enumerate();
            pairs
                .into_iter()
                .find_map(|(at, (wanted, got))| difference(wanted, got, &format!("{place}[{at}]")))
        }
        (Value::Array(wanted), Value::Array(got)) => {
            Some(format!("{place} has {} items, not {}", got.len(), wanted.len()))
        }
        _ if wanted == got => None,
        _ => Some(format!("{place} is {got}, not {wanted}")),
    }
}
