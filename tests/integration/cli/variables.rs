//! Variables of others whose names begin like ours, and mistyped ones.

use super::process::{mqlake, run};

/// What Kubernetes sets for services called `mqlake`, `mqlake-http`, `mqlake-sql`, `mqlake-data` and `mqlake-qmq`.
const KUBERNETES: [(&str, &str); 21] = [
    ("MQLAKE_SERVICE_HOST", "10.0.0.1"),
    ("MQLAKE_SERVICE_PORT", "8080"),
    ("MQLAKE_SERVICE_PORT_HTTP", "8080"),
    ("MQLAKE_PORT", "tcp://10.0.0.1:8080"),
    ("MQLAKE_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
    ("MQLAKE_PORT_8080_TCP_PROTO", "tcp"),
    ("MQLAKE_PORT_8080_TCP_PORT", "8080"),
    ("MQLAKE_PORT_8080_TCP_ADDR", "10.0.0.1"),
    ("MQLAKE_HTTP_SERVICE_HOST", "10.0.0.2"),
    ("MQLAKE_HTTP_SERVICE_PORT", "80"),
    ("MQLAKE_HTTP_PORT", "tcp://10.0.0.2:80"),
    ("MQLAKE_HTTP_PORT_80_TCP_ADDR", "10.0.0.2"),
    ("MQLAKE_SQL_SERVICE_HOST", "10.0.0.3"),
    ("MQLAKE_SQL_SERVICE_PORT_SQL_API", "80"),
    ("MQLAKE_SQL_PORT_53_UDP", "udp://10.0.0.3:53"),
    ("MQLAKE_SQL_PORT_53_UDP_PROTO", "udp"),
    ("MQLAKE_DATA_SERVICE_HOST", "10.0.0.4"),
    ("MQLAKE_DATA_PORT", "tcp://10.0.0.4:9"),
    ("MQLAKE_LOG_PORT", "tcp://10.0.0.4:9"),
    ("MQLAKE_QMQ_PORT_20881_TCP", "tcp://10.0.0.5:20881"),
    ("MQLAKE_ROCKETMQ_PORT_9876_TCP_ADDR", "10.0.0.6"),
];

#[test]
fn variables_that_kubernetes_injects_change_nothing() {
    let home = tempfile::tempdir().unwrap();
    let plain = run(mqlake(home.path(), &["config", "print"]));
    let mut command = mqlake(home.path(), &["config", "print"]);
    let injected = run({
        command.envs(KUBERNETES);
        command
    });
    assert_eq!(injected.code, Some(0), "{}", injected.log);
    assert_eq!((injected.out, injected.log), (plain.out, String::new()));
    for (name, value) in KUBERNETES {
        let mut command = mqlake(home.path(), &["config", "check"]);
        command.env(name, value);
        let ended = run(command);
        assert_eq!((ended.code, ended.out.as_str()), (Some(0), "ok\n"), "{name}: {}", ended.log);
    }
}

#[test]
fn an_unknown_variable_warns_and_names_the_nearest() {
    let home = tempfile::tempdir().unwrap();
    let cases = [
        ("MQLAKE_HTTP__MAX_LENGTH", "5", "MQLAKE_HTTP__MAX_LEN"),
        ("MQLAKE_HTTP_LISTEN", "0.0.0.0:80", "MQLAKE_HTTP__LISTEN"),
        ("MQLAKE_LISTEN", "0.0.0.0:80", "MQLAKE_HTTP__LISTEN"),
        ("MQLAKE_DTA", "/x", "MQLAKE_DATA"),
        ("MQLAKE_CONFG", "/x", "MQLAKE_CONFIG"),
        ("MQLAKE_SQL__TIMEOUTS", "5s", "MQLAKE_SQL__TIMEOUT"),
        ("MQLAKE_RETENTION__MESAGE", "5s", "MQLAKE_RETENTION__MESSAGE"),
        ("MQLAKE_ROCKETMQ__NAMESERVERS", "a:1", "MQLAKE_ROCKETMQ__NAME_SERVERS"),
        ("MQLAKE_ROCKETMQ__TLS__ENABLE", "true", "MQLAKE_ROCKETMQ__TLS__ENABLED"),
        ("MQLAKE_QMQ__HOSTNAME", "h", "MQLAKE_QMQ__HOST_NAME"),
        ("MQLAKE_ADMIN_ENABLED", "true", "MQLAKE_ADMIN__ENABLED"),
    ];
    for (name, value, nearest) in cases {
        let mut command = mqlake(home.path(), &["config", "check"]);
        command.env(name, value);
        let ended = run(command);
        assert_eq!((ended.code, ended.out.as_str()), (Some(0), "ok\n"), "{name}: {}", ended.log);
        let says = [" WARN ", &format!("variable=\"{name}\""), &format!("nearest=\"{nearest}\"")];
        for part in says {
            assert!(ended.log.contains(part), "{name}: {}", ended.log);
        }
    }
    let mut command = mqlake(home.path(), &["config", "check"]);
    command.env("MQLAKE_XQZW", "1");
    let ended = run(command);
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.log.contains("variable=\"MQLAKE_XQZW\"") && ended.log.contains("config print"),
        "{}",
        ended.log
    );
}

#[test]
fn texts_in_variables_need_no_quotes() {
    let home = tempfile::tempdir().unwrap();
    let mut command = mqlake(home.path(), &["config", "print"]);
    command
        .env("MQLAKE_DATA", "123")
        .env("MQLAKE_STORAGE__AWS_REGION", "true")
        .env("MQLAKE_SQL__MEMORY", "5242880");
    let ended = run(command);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    for line in ["data = \"123\"\n", "aws_region = \"true\"\n", "memory = \"5MiB\"\n"] {
        assert!(ended.out.contains(line), "{line}{}", ended.out);
    }
}

#[test]
fn json_logs_take_the_usual_words_for_yes_and_no() {
    let home = tempfile::tempdir().unwrap();
    for (value, is_json) in [("1", true), ("true", true), ("yes", true), ("0", false), ("false", false)] {
        let mut command = mqlake(home.path(), &["config", "check"]);
        command.env("MQLAKE_LOG_JSON", value).env("MQLAKE_DTA", "x");
        let ended = run(command);
        assert_eq!(ended.code, Some(0), "{value}: {}", ended.log);
        assert_eq!(ended.log.starts_with('{'), is_json, "{value}: {}", ended.log);
    }
}
