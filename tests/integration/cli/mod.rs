//! The program as a user runs it.

mod config;
mod demo;
mod docs;
mod follow;
mod help;
mod late;
mod logs;
mod pipes;
mod process;
mod settings;
mod status;
mod stop;
mod variables;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::support::week;

fn mqlake(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mqlake"));
    command.env("MQLAKE_DATA", data).env("TZ", "Asia/Shanghai").env("RUST_BACKTRACE", "0");
    command
}

fn text(output: &Output) -> (String, String) {
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn import_sql_and_verify() {
    let home = tempfile::tempdir().unwrap();
    let (store, data) = (home.path().join("store"), home.path().join("data"));
    week::write_store("bg2", &store);
    let import = |json: bool| {
        let mut command = mqlake(&data);
        command.args(["import", "--broker-group", "bg2", "--store"]).arg(&store);
        if json {
            command.arg("--json");
        }
        command.output().unwrap()
    };
    let (out, err) = text(&import(false));
    assert!(out.contains("3674 (3199 normal, 417 retry, 58 dead)"), "{out}{err}");
    let again: serde_json::Value = serde_json::from_slice(&import(true).stdout).unwrap();
    assert_eq!(again["commits"], 0);
    let sql =
        mqlake(&data).args(["sql", "SELECT count(*) AS n FROM message", "--format", "csv"]).output().unwrap();
    assert_eq!(text(&sql).0, "n\n3616\n");
    let verify = mqlake(&data).arg("verify").output().unwrap();
    assert!(verify.status.success() && text(&verify).0.contains("all is well"), "{:?}", text(&verify));
}

#[test]
fn errors_say_what_to_do_and_exit_with_their_code() {
    let home = tempfile::tempdir().unwrap();
    let missing = home.path().join("nothing");
    let cases: [(&[&str], i32, &str); 4] = [
        (&["import", "--store", "/nonexistent", "--broker-group", "g"], 3, "is not a directory"),
        (&["sql", "SELECT 1"], 2, "run `mqlake import` first"),
        (&["import", "--store", "."], 2, "--broker-group"),
        (&["--config", "missing.toml", "verify"], 2, "no such file"),
    ];
    for (arguments, code, says) in cases {
        let output = mqlake(&missing).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output).1);
        assert!(text(&output).1.contains(says), "{arguments:?}: {}", text(&output).1);
    }
}

#[test]
fn reading_commands_create_nothing() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [&["sql", "SELECT 1"][..], &["verify"]] {
        let output = mqlake(home.path()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output).1.contains("there is no data"), "{}", text(&output).1);
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "{arguments:?}");
    }
}

/// A running server, and the address it printed.
struct Serving {
    child: Child,
    address: String,
    out: BufReader<std::process::ChildStdout>,
}

impl Serving {
    fn start(mut command: Command) -> Serving {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut serving = Serving { child, address: String::new(), out };
        while serving.address.is_empty() {
            let mut line = String::new();
            assert!(serving.out.read_line(&mut line).unwrap() > 0, "the server ended");
            if let Some(rest) = line.split("listening on http://").nth(1) {
                serving.address = rest.split_whitespace().next().unwrap().to_owned();
            }
        }
        serving
    }

    fn request(&self, target: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn serve_answers_raw_json_and_stops_on_sigterm() {
    let mut command = mqlake(&week::lake());
    command.args(["serve", "--listen", "127.0.0.1:0", "--now", "2024-05-27T00:00:00+08:00"]);
    let mut serving = Serving::start(command);
    let answer = serving.request(r#"/api/message?backupQuery={"subject":"order.paid","len":1}"#);
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("240526.205842.10.2.93.5.19500.9059"),
        "{answer}"
    );
    let blank = serving.request(r#"/api/message?backupQuery={"subject": "order.paid"}"#);
    assert!(blank.starts_with("HTTP/1.1 400"), "{blank}");
    let stopped = Command::new("kill").arg(serving.child.id().to_string()).status().unwrap();
    assert!(stopped.success());
    assert!(serving.child.wait().unwrap().success());
}

#[test]
fn demo_prints_requests_that_work() {
    let home = tempfile::tempdir().unwrap();
    let mut command = mqlake(home.path());
    command.args(["demo", "--listen", "127.0.0.1:0"]);
    let mut serving = Serving::start(command);
    let mut tour = String::new();
    while !tour.contains("Ctrl-C ends the demo") {
        assert!(serving.out.read_line(&mut tour).unwrap() > 0);
    }
    let mut tried = 0;
    for line in tour.lines().filter(|line| line.starts_with("curl -sG")) {
        let (head, json) = line.split_once(" --data-urlencode '").unwrap();
        let (name, json) = json.trim_end_matches('\'').split_once('=').unwrap();
        let route = head.rsplit('/').next().unwrap();
        let path =
            if route == "message" { "/api/message".to_owned() } else { format!("/api/message/{route}") };
        let answer = serving.request(&format!("{path}?{name}={}", crate::support::http::encode(json)));
        let body = answer.split("\r\n\r\n").nth(1).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && body.len() > 100, "{line}\n{answer}");
        tried += 1;
    }
    assert_eq!(tried, 6);
}
