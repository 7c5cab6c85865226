//! Signals at many moments: commands end at once or in an orderly way, with the exit code of shells, and never panic.

use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::process::{Running, mqlake, run, shell_code};
use crate::support::week;

/// Moments after the start, in milliseconds.
const MOMENTS: [u64; 7] = [0, 10, 40, 120, 350, 900, 2000];

fn signalled(home: &Path, command: Command, after: u64, signal: &str) -> (i32, String) {
    let mut running = Running::start(command, home);
    std::thread::sleep(Duration::from_millis(after));
    running.signal(signal);
    let code = shell_code(running.end());
    (code, running.log())
}

#[test]
fn a_server_ends_with_0_whenever_it_is_stopped() {
    let home = tempfile::tempdir().unwrap();
    let data = week::lake().display().to_string();
    let empty = home.path().join("empty").display().to_string();
    for (data, source) in [(&data, None), (&empty, None), (&empty, Some("127.0.0.1:1"))] {
        for (number, after) in MOMENTS.into_iter().enumerate() {
            let (signal, early) = if number % 2 == 0 { ("TERM", 143) } else { ("INT", 130) };
            let mut command = mqlake(home.path(), &["serve", "--listen", "127.0.0.1:0", "--data", data]);
            if let Some(address) = source {
                command.env("MQLAKE_ROCKETMQ__NAME_SERVERS", address);
                command.env("MQLAKE_QMQ__META_SERVER_ENDPOINT", format!("http://{address}/meta/address"));
            }
            let (code, log) = signalled(home.path(), command, after, signal);
            // before it listens to signals it ends as any program
            assert!(code == 0 || (code == early && !log.contains("serving")), "{after} ms: {code}: {log}");
        }
    }
}

#[test]
fn an_interrupted_command_ends_at_once_and_an_import_goes_on_later() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    week::write_store("bg1", &store);
    let import =
        || mqlake(home.path(), &["import", "--store", "store", "--broker-group", "bg1", "--data", "data"]);
    for (number, after) in MOMENTS.into_iter().enumerate() {
        let (signal, expected) = if number % 2 == 0 { ("INT", 130) } else { ("TERM", 143) };
        let (code, log) = signalled(home.path(), import(), after, signal);
        assert!(code == expected || code == 0, "{after} ms: {code}: {log}");
        let sql =
            mqlake(home.path(), &["sql", "--data", "data", "SELECT count(*) FROM message a, message b"]);
        let (code, log) = signalled(home.path(), sql, after, signal);
        assert!([expected, 0, 1, 2].contains(&code), "{after} ms: {code}: {log}");
        let (code, log) =
            signalled(home.path(), mqlake(home.path(), &["verify", "--data", "data"]), after, signal);
        assert!([expected, 0, 1, 2].contains(&code), "{after} ms: {code}: {log}");
    }
    assert_eq!(run(import()).code, Some(0));
    let verified = run(mqlake(home.path(), &["verify", "--data", "data"]));
    assert_eq!(verified.code, Some(0), "{}{}", verified.out, verified.log);
}

/// A server with a request that does not end by itself: its metaserver takes the connection and says nothing.
#[test]
fn a_second_signal_ends_a_server_at_once() {
    for (signal, expected) in [("INT", 130), ("TERM", 143)] {
        let home = tempfile::tempdir().unwrap();
        let data = week::lake().display().to_string();
        let mut command = mqlake(home.path(), &["serve", "--listen", "127.0.0.1:0", "--data", &data]);
        command.env("MQLAKE_HTTP__SHUTDOWN_GRACE", "1h");
        let mut server = Running::start(command, home.path()).listening();
        // a request that has begun and does not go on keeps it waiting
        let mut half = std::net::TcpStream::connect(&server.address).unwrap();
        std::io::Write::write_all(
            &mut half,
            b"POST /api/sql HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 9\r\n\r\nSEL",
        )
        .unwrap();
        assert!(server.is_ready());
        server.signal(signal);
        server.until("it says that it stops", |server| server.log().contains("stopping"));
        assert!(server.child.try_wait().unwrap().is_none(), "it waits for the request");
        server.signal(signal);
        let status = server.end();
        assert_eq!(status.code(), Some(expected), "{}", server.log());
        let _ = half.read(&mut [0]);
    }
}

#[test]
fn a_server_stops_while_its_store_hangs() {
    let home = tempfile::tempdir().unwrap();
    // takes connections and never answers
    let store = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", store.local_addr().unwrap());
    for source in [false, true] {
        let mut command =
            mqlake(home.path(), &["serve", "--listen", "127.0.0.1:0", "--data", "s3://bucket/x"]);
        command.env("AWS_ENDPOINT", &endpoint).env("AWS_ALLOW_HTTP", "true");
        command.env("AWS_ACCESS_KEY_ID", "k").env("AWS_SECRET_ACCESS_KEY", "s");
        if source {
            command.env("MQLAKE_ROCKETMQ__NAME_SERVERS", "127.0.0.1:1");
        }
        let mut server = Running::start(command, home.path()).listening();
        let (status, body) = server.get("/readyz");
        assert!(status.contains(" 503 "), "{status} {body}");
        assert!(server.get("/healthz").0.contains(" 200 "));
        server.signal("TERM");
        assert_eq!(server.end().code(), Some(0), "{}", server.log());
    }
}
