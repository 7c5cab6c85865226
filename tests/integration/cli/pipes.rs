//! Readers that close their end early: nothing panics, whatever prints.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use super::process::{Running, mqlake};
use crate::support::week;

/// Runs a command whose standard output (and log, if `with_log`) is closed before it prints.
fn closed(mut command: Command, with_log: bool) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    command.stdin(Stdio::null()).stdout(writer.try_clone().unwrap());
    match with_log {
        true => command.stderr(writer),
        false => command.stderr(Stdio::piped()),
    };
    drop(reader);
    let mut child = command.spawn().unwrap();
    // the command still holds its ends, which would keep the pipe alive
    drop(command);
    let mut log = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut log).unwrap();
    }
    (child.wait().unwrap().code(), log)
}

#[test]
fn no_command_minds_a_closed_pipe() {
    let home = tempfile::tempdir().unwrap();
    let data = week::lake().display().to_string();
    let with_data = |arguments: &[&str]| {
        let mut command = mqlake(home.path(), &["--data", &data]);
        command.args(arguments);
        command
    };
    let server = Running::start(with_data(&["serve", "--listen", "127.0.0.1:0"]), home.path()).listening();
    let url = format!("http://{}", server.address);
    week::write_store("bg2", &home.path().join("store"));
    let store = home.path().join("store").display().to_string();
    let cases: [&[&str]; 17] = [
        &["--help"],
        &["import", "--help"],
        &["--version"],
        &["help", "serve"],
        &["config", "print"],
        &["config", "check"],
        &["status", "--url", &url],
        &["status", "--url", &url, "--json"],
        &["sql", "SELECT * FROM message"],
        &["sql", "SELECT * FROM message", "--format", "csv"],
        &["sql", "SELECT * FROM message", "--format", "json"],
        &["sql", "SELECT * FROM message", "--format", "ndjson"],
        &["sql", "SHOW TABLES"],
        &["verify"],
        &["verify", "--json"],
        &["import", "--store", &store, "--broker-group", "g1", "--data", "other"],
        &["import", "--store", &store, "--broker-group", "g2", "--data", "other", "--json"],
    ];
    for arguments in cases {
        for with_log in [false, true] {
            let (code, log) = closed(with_data(arguments), with_log);
            assert_eq!(code, Some(0), "{arguments:?} {with_log}: {log}");
            assert!(!log.contains("panicked") && !log.contains("rror"), "{arguments:?}: {log}");
        }
    }
    for (arguments, expected) in [
        (&["sql", "SELECT nothing"][..], 2),
        (&["import", "--store", "/nonexistent", "--broker-group", "g"], 3),
        (&["status", "--url", "http://127.0.0.1:1"], 4),
        (&["nonsense"], 2),
    ] {
        assert_eq!(closed(with_data(arguments), true).0, Some(expected), "{arguments:?}");
    }
}

/// As `mqlake … 2>&1 | head -1`: what is read is read, then the pipe is closed while the server goes on.
fn goes_on_without_readers(home: &Path, command: &mut Command) {
    let (reader, writer) = std::io::pipe().unwrap();
    command.stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).stderr(writer);
    let mut child = command.spawn().unwrap();
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut lines = BufReader::new(reader).lines();
    let address = loop {
        let line = lines.next().unwrap().unwrap();
        if let Some(rest) = line.split("listening on http://").nth(1) {
            break rest.split_whitespace().next().unwrap().to_owned();
        }
    };
    drop(lines);
    let url = format!("http://{address}");
    for _ in 0..3 {
        // each statement that fails writes to the log, which nobody reads
        let status = super::process::run(mqlake(home, &["status", "--url", &url]));
        assert_eq!(status.code, Some(0), "{}{}", status.out, status.log);
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn servers_go_on_when_nobody_reads_what_they_print() {
    let home = tempfile::tempdir().unwrap();
    let data = week::lake().display().to_string();
    let mut serve =
        mqlake(home.path(), &["serve", "--listen", "127.0.0.1:0", "--data", &data, "--log", "debug"]);
    goes_on_without_readers(home.path(), &mut serve);
    let mut demo = mqlake(home.path(), &["demo", "--listen", "127.0.0.1:0", "--log", "debug"]);
    goes_on_without_readers(home.path(), &mut demo);
}
