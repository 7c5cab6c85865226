//! The command `config` as a process: variables, exit codes and output.

use std::path::Path;
use std::process::Command;

fn mqlake(dir: &Path, args: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_mqlake"))
        .args(args)
        .env_clear()
        .envs(variables.iter().copied())
        .current_dir(dir)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_source_is_set_by_variables() {
    let dir = tempfile::tempdir().unwrap();
    let cases: [&[(&str, &str)]; 3] = [
        &[("MQLAKE_QMQ", "[{meta_server_endpoint=\"http://m.example:8080/meta/address\", broker_port=7}]")],
        &[("MQLAKE_QMQ", "{meta_server_endpoint=http://m.example:8080/meta/address, broker_port=7}")],
        &[
            ("MQLAKE_QMQ__META_SERVER_ENDPOINT", "http://m.example:8080/meta/address"),
            ("MQLAKE_QMQ__BROKER_PORT", "7"),
        ],
    ];
    for variables in cases {
        let (code, out, error) = mqlake(dir.path(), &["config", "print"], variables);
        assert_eq!(code, 0, "{variables:?}: {error}");
        assert!(
            out.contains("[[qmq]]\nmeta_server_endpoint = \"http://m.example:8080/meta/address\"\n"),
            "{out}"
        );
        assert!(out.contains("broker_port = 7\n"), "{out}");
    }
}

#[test]
fn variables_replace_the_sources_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = "[[qmq]]\nmeta_server_endpoint = \"http://file.example/meta/address\"\n";
    std::fs::write(dir.path().join("mqlake.toml"), file).unwrap();
    let endpoint = ("MQLAKE_QMQ__META_SERVER_ENDPOINT", "http://variable.example/meta/address");
    let (_, out, _) = mqlake(dir.path(), &["config", "print"], &[endpoint]);
    assert!(out.contains("variable.example") && !out.contains("file.example"), "{out}");
}

#[test]
fn a_check_prints_ok_and_the_report() {
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("conf");
    std::fs::create_dir(&conf).unwrap();
    let properties = "meta.server.endpoint=http://m.example/meta/address\nstore.type=hbase\n";
    std::fs::write(conf.join("backup.properties"), properties).unwrap();
    let expected = "ok\nconf:\n  \
        applied  meta.server.endpoint: meta_server_endpoint = http://m.example/meta/address\n  \
        ignored  store.type: there is no HBase; tables are written to `data`\n";
    for (args, variables) in [
        (&["config", "check", "--qmq-conf", "conf"][..], &[][..]),
        (&["config", "check"][..], &[("MQLAKE_QMQ_CONF", "conf")][..]),
    ] {
        assert_eq!(mqlake(dir.path(), args, variables), (0, expected.to_owned(), String::new()));
    }
    assert_eq!(mqlake(dir.path(), &["config", "check"], &[]), (0, "ok\n".to_owned(), String::new()));
}

#[test]
fn a_wrong_setting_fails_with_the_code_of_usage() {
    let dir = tempfile::tempdir().unwrap();
    let (code, out, error) = mqlake(dir.path(), &["config", "check"], &[("MQLAKE_FOLLOW__FLUSH_ROWS", "0")]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(error.contains("follow.flush_rows must be at least 1"), "{error}");
    let (code, _, error) = mqlake(dir.path(), &["config", "check", "--qmq-conf", "none"], &[]);
    assert_eq!(code, 3);
    assert!(error.contains("backup.properties"), "{error}");
}
