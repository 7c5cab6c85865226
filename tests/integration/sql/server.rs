//! `mqlake serve` as a process of its own, under an address-space limit, over the sample week.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::support::week;

/// Address space of the server and of each of its workers, in KiB.
const ADDRESS_SPACE: u64 = 4 << 20;
/// A look-up that has to answer whatever SQL does.
const LOOKUP: &str = "/api/message?backupQuery=%7B%22subject%22%3A%22order.paid%22%2C%22len%22%3A3%7D";

/// A running server; killed at the end.
pub struct Serving {
    child: Child,
    pub url: String,
    pub client: reqwest::Client,
    pub log: Arc<Mutex<String>>,
    home: tempfile::TempDir,
}

/// An answer of it.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub text: String,
}

impl Answer {
    /// The outcome in the words of `tests/cases/sql-hostile/README.md`.
    pub fn outcome(&self) -> String {
        let problem: Value = serde_json::from_str(&self.text).unwrap_or_default();
        let member = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
        match (self.status, member("type").rsplit(':').next().unwrap_or_default()) {
            (200, _) if self.text.starts_with("cut: ") => self.text.clone(),
            (200, _) => "rows".to_owned(),
            (400, "bad-sql") => "sql".to_owned(),
            (422, "limit-reached") => format!("limit {}", member("detail")),
            (status, kind) => format!("{status} {kind} {}", self.text),
        }
    }
}

impl Serving {
    /// Starts a server with these settings in `[sql]`.
    pub fn start(settings: &str) -> Serving {
        let home = tempfile::tempdir().unwrap();
        let spill = home.path().join("spill");
        let file = format!("[sql]\nspill_dir = \"{}\"\n{settings}\n", spill.display());
        std::fs::write(home.path().join("mqlake.toml"), file).unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("ulimit -v {ADDRESS_SPACE}; exec \"$@\""), "sh"])
            .arg(env!("CARGO_BIN_EXE_mqlake"))
            .args(["serve", "--listen", "127.0.0.1:0", "--now", "2024-05-27T00:00:00+08:00", "--data"])
            .arg(week::lake())
            .current_dir(home.path())
            .env("TZ", "Asia/Shanghai")
            .env("MQLAKE_LOG", "warn,mqlake=info")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (kept, errors) = (log.clone(), BufReader::new(child.stderr.take().unwrap()));
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening on ") {
            line.clear();
            assert!(out.read_line(&mut line).unwrap() > 0, "the server ended: {}", log.lock().unwrap());
        }
        let url = line.trim().rsplit(' ').next().unwrap().to_owned();
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Serving { child, url, client, log, home }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn spill_dir(&self) -> PathBuf {
        self.home.path().join("spill")
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub async fn sql(&self, statement: &str) -> Answer {
        let request = self.client.post(format!("{}/api/sql", self.url)).body(statement.to_owned());
        let response = request.send().await.unwrap_or_else(|error| panic!("{error:?}: {}", self.log()));
        let status = response.status().as_u16();
        Answer { status, text: response.text().await.unwrap_or_else(|error| format!("cut: {error}")) }
    }

    pub async fn get(&self, path: &str) -> Answer {
        let response = self.client.get(format!("{}{path}", self.url)).send().await;
        let response = response.unwrap_or_else(|error| panic!("{error:?}: {}", self.log()));
        let status = response.status().as_u16();
        Answer { status, text: response.text().await.unwrap() }
    }

    /// A look-up; its rows are the same whatever happened before.
    pub async fn lookup(&self) -> Answer {
        self.get(LOOKUP).await
    }

    /// The value of a metric.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await.text;
        let line =
            text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Waits until a metric has a value.
    pub async fn until_metric(&self, name: &str, value: f64) {
        for _ in 0..1200 {
            if (self.metric(name).await - value).abs() < 0.5 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{name} is {} and not {value}: {}", self.metric(name).await, self.log());
    }

    /// Processes that run statements for this server.
    pub fn workers(&self) -> Vec<u32> {
        children(self.pid())
    }

    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    pub fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap().success());
}

/// Number of the parent, and whether the process is more than a name in the table.
fn parent(pid: u32) -> Option<(u32, bool)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    let mut parts = rest.split(' ');
    let is_alive = parts.next()? != "Z";
    Some((parts.next()?.parse().ok()?, is_alive))
}

pub fn is_alive(pid: u32) -> bool {
    parent(pid).is_some_and(|(_, is_alive)| is_alive)
}

/// Children of a process, the dead that nobody waited for included.
pub fn children(of: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| parent(*pid).is_some_and(|(parent, _)| parent == of)).collect()
}

/// Bytes of a process in memory, without the program's text that all share.
pub fn own_memory(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages: Vec<u64> = text.split(' ').filter_map(|pages| pages.trim().parse().ok()).collect();
    pages.get(1).zip(pages.get(2)).map_or(0, |(resident, shared)| resident.saturating_sub(*shared)) * 4096
}

/// Waits until something is so.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1200 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not in time: {what}");
}

/// Files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let entries = entries.flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
