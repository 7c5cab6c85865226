//! `mqlake status` against what is no server, a foreign one, and an old one.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use super::process::{Ended, mqlake, run};

/// Answers one request with these bytes, and asks `status` there.
fn against(home: &Path, answer: &[u8], arguments: &[&str]) -> Ended {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/prefix/", listener.local_addr().unwrap());
    let answer = answer.to_vec();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let length = stream.read(&mut request).unwrap();
        assert!(request[..length].starts_with(b"GET /prefix/api/status HTTP/1.1\r\n"));
        let _ = stream.write_all(&answer);
    });
    let mut command = mqlake(home, &["status", "--url", &url]);
    command.args(arguments);
    let ended = run(command);
    server.join().unwrap();
    ended
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
        .into_bytes()
}

#[test]
fn what_is_no_server_is_reported_with_exit_code_4() {
    let home = tempfile::tempdir().unwrap();
    let cases: [(Vec<u8>, &str); 10] = [
        (ok("<html>hello</html>"), "not a status of mqlake"),
        (ok("{}"), "not a status of mqlake"),
        (ok("[]"), "not a status of mqlake"),
        (ok("null"), "not a status of mqlake"),
        (ok(r#"{"status":"UP","version":"3"}"#), "not a status of mqlake"),
        (ok(""), "not a status of mqlake"),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(), "answered with 404"),
        (b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".to_vec(), "answered with 401"),
        (b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(), "no answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec(), "no answer"),
    ];
    for (answer, says) in cases {
        for arguments in [&[][..], &["--json"]] {
            let ended = against(home.path(), &answer, arguments);
            assert_eq!((ended.code, ended.out.as_str()), (Some(4), ""), "{says}: {}", ended.log);
            assert!(ended.log.contains(says), "{says}: {}", ended.log);
        }
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}");
    let ended = run(mqlake(home.path(), &["status", "--url", &url]));
    assert_eq!(ended.code, Some(4), "{}", ended.log);
    assert!(
        ended.log.contains("Connection refused") && ended.log.contains("is the server running?"),
        "{}",
        ended.log
    );
}

#[test]
fn a_wrong_url_exits_with_2() {
    let home = tempfile::tempdir().unwrap();
    for url in ["localhost:8080", "ftp://localhost", "8080", "", "http://", "file:///x"] {
        let ended = run(mqlake(home.path(), &["status", &format!("--url={url}")]));
        assert_eq!(ended.code, Some(2), "{url}: {}", ended.log);
    }
}

#[test]
fn an_old_server_is_shown_as_far_as_it_goes() {
    let home = tempfile::tempdir().unwrap();
    let old = r#"{"version":"0.0.1","data":"/old","tables":[{"name":"message","rows":5}]}"#;
    let ended = against(home.path(), &ok(old), &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(ended.out.contains("mqlake 0.0.1  /old") && ended.out.contains("message"), "{}", ended.out);
    let cases = [
        (
            r#"{"version":"1","data":"/x","ready":false,"tables":[],"problem":"the disk is away"}"#,
            "the disk is away",
        ),
        (
            r#"{"version":"1","data":"/x","ready":true,"tables":[],"sources":[{"name":"e","state":"waiting"}]}"#,
            "waiting",
        ),
        (
            r#"{"version":"1","data":"/x","tables":[],"sources":[{"name":"e","state":"following","alarms":{"spool":"full"}}]}"#,
            "ALARM    spool: full",
        ),
    ];
    for (status, says) in cases {
        let ended = against(home.path(), &ok(status), &[]);
        assert_eq!(ended.code, Some(1), "{says}: {}{}", ended.out, ended.log);
        assert!(ended.out.contains(says), "{says}: {}", ended.out);
    }
}

#[test]
fn the_address_of_the_settings_is_asked_even_if_it_stands_for_all() {
    let home = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let length = stream.read(&mut request).unwrap();
        stream.write_all(&ok(r#"{"version":"1","data":"/x","tables":[]}"#)).unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    let mut command = mqlake(home.path(), &["status"]);
    command.env("MQLAKE_HTTP__LISTEN", format!("0.0.0.0:{port}"));
    let ended = run(command);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let request = server.join().unwrap();
    assert!(request.contains(&format!("host: 127.0.0.1:{port}")), "{request}");
}
