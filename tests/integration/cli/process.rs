//! The program as a process: its output, its log, its exit code, and signals to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Bound of every wait; reached only by a defect.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// The program in a directory of its own and without the caller's variables.
pub(super) fn mqlake(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mqlake"));
    command.args(arguments).env_clear().env("TZ", "Asia/Shanghai").env("TMPDIR", home).current_dir(home);
    command
}

/// How a command ended: its exit code, and what it wrote.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    pub(super) out: String,
    pub(super) log: String,
}

pub(super) fn run(mut command: Command) -> Ended {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let ended = Ended { code: output.status.code(), out: text(&output.stdout), log: text(&output.stderr) };
    assert!(!ended.log.contains("panicked"), "{}", ended.log);
    ended
}

/// A running command. Its log goes to a file, so that it never waits for a reader.
pub(super) struct Running {
    pub(super) child: Child,
    log: PathBuf,
    out: Option<BufReader<ChildStdout>>,
    /// Where a server listens, once [`Running::listening`] was called.
    pub(super) address: String,
}

impl Running {
    pub(super) fn start(mut command: Command, home: &Path) -> Running {
        let log = home.join(format!("log-{}", uuid::Uuid::new_v4()));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(std::fs::File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let out = child.stdout.take().map(BufReader::new);
        Running { child, log, out, address: String::new() }
    }

    /// Waits until a server prints its address.
    pub(super) fn listening(mut self) -> Running {
        let out = self.out.as_mut().unwrap();
        loop {
            let mut line = String::new();
            let read = out.read_line(&mut line).unwrap();
            assert!(read > 0, "the server ended: {}", std::fs::read_to_string(&self.log).unwrap());
            if let Some(rest) = line.split("listening on http://").nth(1) {
                self.address = rest.split_whitespace().next().unwrap().to_owned();
                return self;
            }
        }
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// The rest of what it prints, until it closes its output.
    pub(super) fn rest(&mut self) -> String {
        let mut text = String::new();
        self.out.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    pub(super) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end.
    pub(super) fn end(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                let log = self.log();
                assert!(!log.contains("panicked"), "{log}");
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "it does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Status line and body of an answer.
    pub(super) fn get(&self, target: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let host = &self.address;
        write!(stream, "GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
    }

    pub(super) fn until(&self, what: &str, mut is_so: impl FnMut(&Running) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            assert!(start.elapsed() < PATIENCE, "not in time: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.get("/readyz").0.contains(" 200 ")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a shell says of an exit status.
pub(super) fn shell_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}
