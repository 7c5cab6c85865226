//! Settings that are wrong, in every way: exit code 2 with what to do, never "try again".

use std::path::Path;

use super::process::{mqlake, run};

fn file(home: &Path, text: &[u8]) -> String {
    let path = home.join("settings.toml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn a_wrong_settings_file_exits_with_2_in_every_command() {
    let home = tempfile::tempdir().unwrap();
    let cases: [(&[u8], &str); 22] = [
        (b"[http]\nmax_length = 5", "did you mean `http.max_len`?"),
        (b"[htp]\nmax_len = 5", "did you mean `http`?"),
        (b"[http]\nmax_len = 1\nmax_len = 2", "duplicate key"),
        (b"[http]\nmax_len = 0", "http.max_len must be at least 1"),
        (b"[http]\nmax_len = -5", "http.max_len"),
        (b"[http]\nmax_len = \"many\"", "http.max_len"),
        (b"[http]\nlisten = \"8080\"", "http.listen"),
        (b"[http]\ntime_zone = \"Mars/Olympus\"", "no zone `Mars/Olympus`"),
        (b"[http", "line 1"),
        (b"\xff\xfe[", "not UTF-8"),
        (b"[sql]\ntimeout = \"soon\"", "sql.timeout"),
        (b"[sql]\nmemory = \"much\"", "sql.memory"),
        (b"[lake]\nzstd_level = 23", "lake.zstd_level"),
        (b"[retention]\nmessage = \"1h\"", "retention.message"),
        (b"data = 5", "data"),
        (b"data = \"\"", "data: must not be empty"),
        (b"data = \"gs://bucket/x\"", "scheme `gs`"),
        (b"data = \"s3://\"", "names no bucket"),
        (b"[[qmq]]\nbroker_port = 1", "meta_server_endpoint"),
        (b"[[qmq]]\nmeta_server_endpoint = \"ftp://x/\"", "qmq[0].meta_server_endpoint"),
        (b"[[rocketmq]]\nname_servers = \"a\"", "rocketmq[0].name_servers"),
        (b"[admin]\nenabled = true\n[http]\nlisten = \"0.0.0.0:1\"", "admin.enabled"),
    ];
    for (text, says) in cases {
        let path = file(home.path(), text);
        for arguments in [&["config", "check"][..], &["config", "print"], &["serve"]] {
            let mut command = mqlake(home.path(), &["--config", &path]);
            command.args(arguments);
            let ended = run(command);
            assert_eq!(
                (ended.code, ended.out.as_str()),
                (Some(2), ""),
                "{says} {arguments:?}: {}",
                ended.log
            );
            assert!(ended.log.contains(says), "{says}: {}", ended.log);
        }
    }
    let path = file(home.path(), b"[http]\nmax_length = 5");
    for arguments in [
        &["verify"][..],
        &["sql", "SELECT 1"],
        &["status"],
        &["seek", "--broker-group", "g", "--stream", "message", "--to", "start"],
        &["import", "--store", ".", "--broker-group", "g"],
    ] {
        let mut command = mqlake(home.path(), &["--config", &path]);
        command.args(arguments);
        assert_eq!(run(command).code, Some(2), "{arguments:?}");
    }
}

#[test]
fn a_wrong_value_of_a_variable_exits_with_2_and_names_it() {
    let home = tempfile::tempdir().unwrap();
    let cases = [
        ("MQLAKE_HTTP__MAX_LEN", "0", "http.max_len must be at least 1"),
        ("MQLAKE_HTTP__MAX_LEN", "many", "MQLAKE_HTTP__MAX_LEN: http.max_len: "),
        ("MQLAKE_HTTP__LISTEN", "8080", "MQLAKE_HTTP__LISTEN: http.listen: "),
        ("MQLAKE_HTTP__LISTEN", "", "MQLAKE_HTTP__LISTEN: http.listen: "),
        ("MQLAKE_HTTP__TIME_ZONE", "Mars/Olympus", "no zone `Mars/Olympus`"),
        ("MQLAKE_HTTP__LEGACY_ERRORS", "maybe", "MQLAKE_HTTP__LEGACY_ERRORS: http.legacy_errors: "),
        ("MQLAKE_SQL__TIMEOUT", "soon", "expected a duration"),
        ("MQLAKE_SQL__TIMEOUT", "60", "MQLAKE_SQL__TIMEOUT: sql.timeout: "),
        ("MQLAKE_SQL__MEMORY", "much", "MQLAKE_SQL__MEMORY: sql.memory: "),
        ("MQLAKE_SQL", "5", "MQLAKE_SQL"),
        ("MQLAKE_QMQ__BROKER_PORT", "70000", "MQLAKE_QMQ__BROKER_PORT: qmq"),
        ("MQLAKE_ROCKETMQ", "[{name_servers", "rocketmq"),
        ("MQLAKE_DATA", "", "data: must not be empty"),
        ("MQLAKE_DATA", "gs://bucket", "scheme `gs`"),
        ("MQLAKE_CONFIG", "", "a value is required for '--config"),
        ("MQLAKE_LOG_JSON", "maybe", "--log-json"),
    ];
    for (name, value, says) in cases {
        for arguments in [&["config", "check"][..], &["verify"]] {
            let mut command = mqlake(home.path(), arguments);
            command.env(name, value);
            let ended = run(command);
            if name == "MQLAKE_SQL" {
                // no setting without its key
                assert!(ended.log.contains("variable=\"MQLAKE_SQL\""), "{}", ended.log);
                continue;
            }
            assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{name}={value}: {}", ended.log);
            assert!(ended.log.contains(says), "{name}={value}: {}", ended.log);
        }
    }
}

#[test]
fn what_is_no_settings_file_exits_with_2() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().display().to_string();
    let cases = [
        ("missing.toml", "no such file"),
        (folder.as_str(), "is a directory"),
        ("/dev/zero", "larger than"),
        ("", "a value is required"),
    ];
    for (path, says) in cases {
        let ended = run(mqlake(home.path(), &[&format!("--config={path}"), "config", "check"]));
        assert_eq!(ended.code, Some(2), "{path}: {}", ended.log);
        assert!(ended.log.contains(says), "{path}: {}", ended.log);
        if !path.is_empty() {
            let mut command = mqlake(home.path(), &["config", "check"]);
            command.env("MQLAKE_CONFIG", path);
            assert_eq!(run(command).code, Some(2), "{path}");
        }
    }
    std::fs::create_dir(home.path().join("mqlake.toml")).unwrap();
    let ended = run(mqlake(home.path(), &["config", "check"]));
    assert_eq!(ended.code, Some(2), "{}", ended.log);
    assert!(ended.log.contains("mqlake.toml: is a directory"), "{}", ended.log);
}

#[test]
fn the_settings_file_is_that_of_the_working_directory_and_may_have_a_byte_order_mark() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("mqlake.toml"), b"\xef\xbb\xbf[http]\r\nmax_len = 7\r\n").unwrap();
    let here = run(mqlake(home.path(), &["config", "print"]));
    assert!(here.out.contains("max_len = 7\n"), "{}{}", here.out, here.log);
    let below = home.path().join("below");
    std::fs::create_dir(&below).unwrap();
    let there = run(mqlake(&below, &["config", "print"]));
    assert!(there.out.contains("max_len = 1000\n"), "{}{}", there.out, there.log);
}

#[test]
fn wrong_data_exits_with_2_and_not_with_try_again() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("file"), "x").unwrap();
    let cases = [
        ("gs://bucket/x", "scheme `gs`"),
        ("http://host/x", "scheme `http`"),
        ("s3://", "names no bucket"),
        ("s3:bucket", "names no bucket"),
        ("s3://key:hidden@bucket/x", "must not hold a user or password"),
        ("file://host/x", "not a local path"),
        ("file", "cannot create the directory"),
        ("file/below", "cannot create the directory"),
        ("/proc/mqlake", "cannot create the directory"),
        (" ", "must not be empty"),
    ];
    std::fs::create_dir_all(home.path().join("store/messagelog")).unwrap();
    std::fs::write(home.path().join("store/messagelog/00000000000000000000"), "").unwrap();
    let source = ("MQLAKE_ROCKETMQ__NAME_SERVERS", "127.0.0.1:1");
    for (data, says) in cases {
        for arguments in [&["import", "--store", "store", "--broker-group", "g"][..], &["demo"], &["serve"]] {
            let mut command = mqlake(home.path(), &["--data", data]);
            command.args(arguments).env(source.0, source.1);
            let ended = run(command);
            assert_eq!(ended.code, Some(2), "{data} {arguments:?}: {}{}", ended.out, ended.log);
            assert!(ended.log.contains(says), "{data} {arguments:?}: {}", ended.log);
            assert!(!ended.log.contains("hidden"), "{}", ended.log);
        }
    }
}

#[test]
fn a_wrong_address_of_a_store_exits_with_2() {
    let home = tempfile::tempdir().unwrap();
    let cases = [
        ("AWS_ENDPOINT", "http://127.0.0.1:1", "is not encrypted"),
        ("AWS_ENDPOINT", "127.0.0.1:9000", "is no address of a store"),
        ("AWS_ENDPOINT_URL", "localhost:9000", "is no address of a store"),
        ("AWS_ENDPOINT", "", "is no address of a store"),
        ("MQLAKE_STORAGE__AWS_ENDPOINT", "ftp://127.0.0.1:1", "is no address of a store"),
        ("MQLAKE_STORAGE__AWS_ENDPIONT", "https://127.0.0.1:1", "unknown option `aws_endpiont`"),
    ];
    for (name, value, says) in cases {
        for arguments in [&["config", "check"][..], &["sql", "SELECT 1"], &["verify"], &["serve"]] {
            let mut command = mqlake(home.path(), &["--data", "s3://bucket/x"]);
            command.args(arguments).env(name, value);
            let ended = run(command);
            assert_eq!(ended.code, Some(2), "{name}={value} {arguments:?}: {}", ended.log);
            assert!(ended.log.contains(says), "{name}={value} {arguments:?}: {}", ended.log);
        }
    }
}

#[test]
fn unusable_certificates_a_spool_that_cannot_be_and_a_taken_address_exit_with_2() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("empty.pem"), "").unwrap();
    for (ca, says) in [("missing.pem", "missing.pem"), ("empty.pem", "no certificate")] {
        for arguments in [&["serve"][..], &["config", "check"]] {
            let mut command = mqlake(home.path(), arguments);
            command.env(
                "MQLAKE_ROCKETMQ",
                format!("{{name_servers=\"127.0.0.1:1\", tls={{enabled=true, ca_file={ca}}}}}"),
            );
            let ended = run(command);
            assert_eq!(ended.code, Some(2), "{ca}: {}", ended.log);
            assert!(ended.log.contains(says), "{ca}: {}", ended.log);
        }
    }
    let mut command = mqlake(home.path(), &["serve"]);
    command
        .env("MQLAKE_ROCKETMQ__NAME_SERVERS", "127.0.0.1:1")
        .env("MQLAKE_FOLLOW__SPOOL", "empty.pem/spool");
    let ended = run(command);
    assert_eq!(ended.code, Some(2), "{}", ended.log);
    assert!(ended.log.contains("follow.spool: empty.pem/spool: cannot create"), "{}", ended.log);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run(mqlake(home.path(), &["serve", "--listen", &address]));
    assert_eq!(ended.code, Some(2), "{}", ended.log);
    assert!(ended.log.contains("pass another --listen"), "{}", ended.log);
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let home = tempfile::tempdir().unwrap();
    let mut command = mqlake(home.path(), &["config", "print"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command.stdout(full).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("standard output cannot be written"), "{log}");
}
