use std::path::PathBuf;

use super::super::{Config, Loaded, Origin};
use super::*;

fn load(file: Option<&Path>, variables: &[(&str, &str)]) -> Result<Loaded> {
    let variables = variables.iter().copied().collect();
    Config::load(&Origin { file, qmq_conf: None, variables: &variables })
}

fn written(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("settings.toml");
    std::fs::write(&path, bytes).unwrap();
    (dir, path)
}

#[test]
fn a_file_may_begin_with_a_byte_order_mark() {
    let (_dir, path) = written(b"\xef\xbb\xbf[http]\r\nmax_len = 7\r\n");
    assert_eq!(load(Some(&path), &[]).unwrap().config.http.max_len, 7);
}

#[test]
fn a_file_that_is_none_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = load(Some(dir.path()), &[]).unwrap_err().to_string();
    assert!(error.contains("is a directory, not a settings file"), "{error}");
    let error = load(Some(&dir.path().join("x.toml")), &[]).unwrap_err().to_string();
    assert!(error.contains("x.toml: no such file"), "{error}");
    let error = load(Some(Path::new("")), &[]).unwrap_err().to_string();
    assert!(error.contains("the name of the settings file is empty"), "{error}");
    let cases: [(&[u8], &str); 5] = [
        (b"\xff\xfe[\0h\0", "is not UTF-8 text"),
        (b"[http]\nmax_len = 1\nmax_len = 2\n", "settings.toml, line 3: duplicate key"),
        (b"[http]\n[http]\n", "settings.toml, line 2: "),
        (b"[http\n", "settings.toml, line 1: "),
        (b"x = \"hidden\n", "settings.toml, line 1: "),
    ];
    for (bytes, says) in cases {
        let (_dir, path) = written(bytes);
        let error = load(Some(&path), &[]).unwrap_err();
        assert!(matches!(error, Error::Config(_)), "{error:?}");
        assert!(error.to_string().contains(says), "{says}: {error}");
        assert!(!error.to_string().contains("hidden"), "{error}");
    }
}

#[test]
fn an_unknown_key_of_a_file_is_an_error_that_names_the_nearest() {
    let cases = [
        ("[http]\nmax_length = 5", "unknown setting `http.max_length`; did you mean `http.max_len`?"),
        ("[htp]\nmax_len = 5", "unknown setting `htp`; did you mean `http`?"),
        ("listen = \"127.0.0.1:1\"", "unknown setting `listen`; did you mean `http.listen`?"),
        ("[sql]\nlisten = 5", "did you mean `http.listen`?"),
        ("[admin]\nenable = true", "did you mean `admin.enabled`?"),
        (
            "[[qmq]]\nmeta_server_endpoint = \"http://x/\"\nbroker_prt = 5",
            "unknown setting `qmq.0.broker_prt`; did you mean `qmq.0.broker_port`?",
        ),
        (
            "[[rocketmq]]\nname_servers = \"a:1\"\n[rocketmq.tls]\nenabld = true",
            "did you mean `rocketmq.0.tls.enabled`?",
        ),
    ];
    for (text, says) in cases {
        let (_dir, path) = written(text.as_bytes());
        let error = load(Some(&path), &[]).unwrap_err();
        assert!(matches!(error, Error::Config(_)), "{error:?}");
        let error = error.to_string();
        assert!(error.contains(says), "{text}: {error}");
        assert!(error.contains("settings.toml: "), "{text}: {error}");
    }
}

#[test]
fn a_wrong_value_is_found_by_its_variable_or_file() {
    let cases = [
        ("MQLAKE_HTTP__MAX_LEN", "many", "MQLAKE_HTTP__MAX_LEN: http.max_len: "),
        ("MQLAKE_HTTP__LISTEN", "8080", "MQLAKE_HTTP__LISTEN: http.listen: "),
        ("MQLAKE_SQL__TIMEOUT", "soon", "MQLAKE_SQL__TIMEOUT: sql.timeout: "),
        ("MQLAKE_SQL__MEMORY", "much", "MQLAKE_SQL__MEMORY: sql.memory: "),
        ("MQLAKE_HTTP__LEGACY_ERRORS", "maybe", "MQLAKE_HTTP__LEGACY_ERRORS: http.legacy_errors: "),
        ("MQLAKE_QMQ__BROKER_PORT", "70000", "MQLAKE_QMQ__BROKER_PORT: qmq"),
        ("MQLAKE_QMQ", "[5]", "MQLAKE_QMQ: qmq"),
        ("MQLAKE_IMPORT__CONTENT", "some", "MQLAKE_IMPORT__CONTENT: import.content: "),
    ];
    for (name, value, says) in cases {
        let error = load(None, &[(name, value)]).unwrap_err().to_string();
        assert!(error.contains(says), "{name}={value}: {error}");
    }
    let (_dir, path) = written(b"[http]\nmax_len = -1\n");
    let error = load(Some(&path), &[]).unwrap_err().to_string();
    assert!(error.contains("settings.toml: http.max_len: "), "{error}");
}

#[test]
fn texts_need_no_quotes_in_variables() {
    let variables = [
        ("MQLAKE_ROCKETMQ__NAME_SERVERS", "a:1"),
        ("MQLAKE_ROCKETMQ__ACCESS_KEY", "007"),
        ("MQLAKE_ROCKETMQ__SECRET_KEY", "0123"),
        ("MQLAKE_ROCKETMQ__NAME", "\"5\""),
        ("MQLAKE_STORAGE__AWS_ALLOW_HTTP", "true"),
        ("MQLAKE_STORAGE__AWS_ACCESS_KEY_ID", "00012"),
        ("MQLAKE_SQL__MEMORY", "1000000"),
    ];
    let config = load(None, &variables).unwrap().config;
    let source = &config.rocketmq[0];
    assert_eq!((source.access_key.as_deref(), source.name.as_deref()), (Some("007"), Some("5")));
    assert_eq!(source.secret_key.as_ref().unwrap().expose(), "0123");
    assert_eq!(config.storage["aws_allow_http"], "true");
    assert_eq!(config.storage["aws_access_key_id"], "00012");
    assert_eq!(config.sql.memory.as_u64(), 1_000_000);
}

#[test]
fn variables_that_set_nothing_are_reported_and_do_not_fail() {
    let variables = [
        ("MQLAKE_PORT", "tcp://10.0.0.1:8080"),
        ("MQLAKE_SERVICE_HOST", "10.0.0.1"),
        ("MQLAKE_HTTP__MAX_LENGTH", "5"),
        ("MQLAKE_DATA", "123"),
        ("MQLAKE_HTTP__MAX_LEN", "6"),
    ];
    let Loaded { config, ignored, .. } = load(None, &variables).unwrap();
    assert_eq!(config.http.max_len, 6);
    assert_eq!(ignored.kubernetes, ["MQLAKE_PORT", "MQLAKE_SERVICE_HOST"]);
    let expected = UnknownVariable {
        name: "MQLAKE_HTTP__MAX_LENGTH".to_owned(),
        setting: "http.max_length".to_owned(),
        nearest: Some("MQLAKE_HTTP__MAX_LEN".to_owned()),
    };
    assert_eq!(ignored.unknown, [expected]);
}

#[test]
fn a_password_in_a_url_is_not_repeated() {
    let error =
        load(None, &[("MQLAKE_QMQ__META_SERVER_ENDPOINT", "http://me:hidden@")]).unwrap_err().to_string();
    assert!(error.contains("MQLAKE_QMQ__META_SERVER_ENDPOINT"), "{error}");
    assert!(!error.contains("hidden"), "{error}");
}
