use std::time::Duration;

use super::*;

fn load(text: &str) -> Result<Config> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mqlake.toml");
    std::fs::write(&path, text).unwrap();
    load_from(Some(&path), None).map(|loaded| loaded.config)
}

fn load_from(file: Option<&Path>, qmq_conf: Option<&Path>) -> Result<Loaded> {
    Config::load(&Origin { file, qmq_conf, variables: &Variables::default() })
}

/// The settings from a variable `MQLAKE_QMQ` with this text.
fn load_variable(text: &str) -> Result<Config, String> {
    load_variables(&[("qmq", text)])
}

/// The settings from variables with these keys (`MQLAKE_A__B` is `a.b`) and texts.
fn load_variables(variables: &[(&str, &str)]) -> Result<Config, String> {
    let mut figment = Figment::from(Serialized::defaults(Config::default()));
    for (key, text) in variables {
        let Ok(value) = text.parse::<figment::value::Value>();
        figment = figment.merge((*key, value));
    }
    figment.extract().map_err(|error| error.to_string())
}

#[test]
fn defaults_survive_their_own_layer() {
    let config = load("").unwrap();
    assert_eq!(toml::to_string(&config).unwrap(), toml::to_string(&Config::default()).unwrap());
}

#[test]
fn new_sections_are_read_from_a_file() {
    let config = load(
        r#"
        [[qmq]]
        meta_server_endpoint = "http://meta.example:8080/meta/address"

        [[qmq]]
        meta_server_endpoint = "http://meta.example:8080/meta/address"
        broker_port = 20882
        host_name = "bk1"
        local_address = "10.0.0.3"
        content = "all"
        records = false
        skip_subjects = ["a", "b"]
        skip_file = "skip.properties"
        request_timeout = "5s"
        name = "second"

        [[rocketmq]]
        name_servers = "10.0.0.1:9876;10.0.0.2:9876"

        [[rocketmq]]
        name_servers = ["10.0.0.3:9876"]
        name = "east"
        access_key = "reader"
        secret_key = "secret"
        [rocketmq.tls]
        enabled = true
        ca_file = "ca.pem"

        [follow]
        spool = "spool"
        spool_max = "1GiB"
        flush_rows = 5

        [retention]
        message = "90days"

        [background]
        compact_files = 4
        "#,
    )
    .unwrap();
    assert_eq!(config.qmq.len(), 2);
    assert_eq!(config.qmq[0].broker_port, 20881);
    assert_eq!(config.qmq[1].skip_subjects, ["a", "b"]);
    assert_eq!(config.qmq[1].content, ContentPolicy::All);
    assert_eq!(config.qmq[1].request_timeout, Duration::from_secs(5));
    assert_eq!(config.rocketmq[0].name_servers, ["10.0.0.1:9876", "10.0.0.2:9876"]);
    assert_eq!(config.rocketmq[0].trace_topics, ["RMQ_SYS_TRACE_TOPIC"]);
    assert_eq!(config.rocketmq[1].tls.ca_file, Some("ca.pem".into()));
    assert_eq!(config.rocketmq[1].label(), "east");
    assert_eq!(config.follow.flush_rows, 5);
    assert_eq!(config.retention.message, Some(Duration::from_secs(90 * 24 * 3600)));
    assert_eq!(config.retention.record, None);
    assert_eq!(config.background.compact_files, 4);
}

#[test]
fn a_mistake_in_a_new_section_is_an_error_that_names_it() {
    let url = r#"meta_server_endpoint = "http://m.example/""#;
    let cases = [
        ("[[qmq]]\nbroker_port = 1".to_owned(), "meta_server_endpoint"),
        (format!("[[qmq]]\n{url}\nport = 1"), "port"),
        (format!("[[qmq]]\n{url}\nbroker_port = 70000"), "broker_port"),
        ("[[qmq]]\nmeta_server_endpoint = \"meta.example\"".to_owned(), "meta_server_endpoint"),
        (format!("[[qmq]]\n{url}\n[[qmq]]\n{url}"), "identity"),
        ("[[rocketmq]]\nname = \"east\"".to_owned(), "rocketmq[0].name_servers"),
        ("[[rocketmq]]\nname_servers = [\"a\"]".to_owned(), "rocketmq[0].name_servers"),
        ("[[rocketmq]]\nname_server = \"a:1\"".to_owned(), "name_server"),
        ("[[rocketmq]]\nname_servers = \"a:1\"\ntls = true".to_owned(), "tls"),
        ("[[rocketmq]]\nname_servers = \"a:1\"\nsuspend = \"1m\"".to_owned(), "rocketmq[0].suspend"),
        ("[admin]\nreplay_rate = 0".to_owned(), "admin.replay_rate"),
        ("[admin]\nenable = true".to_owned(), "enable"),
        ("[follow]\nhot_bytes = \"1MiB\"".to_owned(), "follow.flush_bytes"),
        ("[follow]\nspool_maximum = 1".to_owned(), "spool_maximum"),
        ("[retention]\nmessage = \"1h\"".to_owned(), "retention.message"),
        ("[background]\ncompact_files = 1".to_owned(), "background.compact_files"),
    ];
    for (text, name) in cases {
        let error = load(&text).unwrap_err();
        assert!(matches!(error, Error::Config(_)), "{text}");
        assert!(error.to_string().contains(name), "{text}: {error}");
    }
}

#[test]
fn a_variable_sets_one_source_or_a_list() {
    let one = load_variable(r#"{meta_server_endpoint = http://m.example:8080/meta/address}"#).unwrap();
    assert_eq!(one.qmq[0].meta_server_endpoint.port(), Some(8080));

    let list = r#"[{meta_server_endpoint="http://a.example/", skip_subjects=["x","y"], request_timeout="5s"},
                   {meta_server_endpoint="http://b.example/", broker_port=20882, records=false}]"#;
    let two = load_variable(list).unwrap();
    assert_eq!(two.qmq.len(), 2);
    assert_eq!(two.qmq[0].skip_subjects, ["x", "y"]);
    assert!(!two.qmq[1].records);

    for wrong in ["[{meta_server_endpoint}]", "http://m.example/", "5", "[5]"] {
        let error = load_variable(wrong).unwrap_err();
        assert!(error.contains("qmq"), "{wrong}: {error}");
    }
}

#[test]
fn variables_set_one_rocketmq_source_or_a_list() {
    let one = load_variables(&[
        ("rocketmq.name_servers", "10.0.0.1:9876;10.0.0.2:9876"),
        ("rocketmq.access_key", "reader"),
        ("rocketmq.secret_key", "\"0123\""),
        ("rocketmq.tls.enabled", "true"),
        ("rocketmq.topics", "[orders*, \"%DLQ%*\"]"),
        ("rocketmq.broker_aliases", "{\"172.17.0.2:10911\"=127.0.0.1:10911}"),
    ])
    .unwrap();
    let source = &one.rocketmq[0];
    assert_eq!(source.name_servers, ["10.0.0.1:9876", "10.0.0.2:9876"]);
    assert_eq!(source.secret_key.as_ref().unwrap().expose(), "0123");
    assert!(source.tls.enabled);
    assert_eq!(source.topics, ["orders*", "%DLQ%*"]);
    assert_eq!(source.reachable("172.17.0.2:10911"), "127.0.0.1:10911");
    one.check().unwrap();

    let comma = load_variables(&[("rocketmq.name_servers", "a.example:9876,b.example:9876")]).unwrap();
    assert_eq!(comma.rocketmq[0].name_servers, ["a.example:9876", "b.example:9876"]);
    let version_6 = load_variables(&[("rocketmq.name_servers", "[::1]:9876")]).unwrap();
    assert_eq!(version_6.rocketmq[0].name_servers, ["[::1]:9876"]);

    let list =
        "[{name_servers=a.example:9876, content=all}, {name_servers=[\"b.example:9876\"], suspend=5s}]";
    let two = load_variables(&[("rocketmq", list)]).unwrap();
    assert_eq!(two.rocketmq[0].content, ContentPolicy::All);
    assert_eq!(two.rocketmq[1].suspend, Duration::from_secs(5));
    two.check().unwrap();
}

#[test]
fn errors_of_variables_do_not_show_secrets() {
    let cases = [
        ("rocketmq", "[{name_servers=\"a:1\", secret_key=\"31337\"}"),
        ("rocketmq", "[{name_servers=\"a:1\", secret_key=31337}]"),
        ("rocketmq", "{name_servers=\"a:1\", secret_key=[31337]}"),
        ("rocketmq.secret_key", "31337"),
        ("rocketmq.security_token", "-31337"),
        ("rocketmq.security_token", "3.1337"),
        ("qmq", "[{meta_server_endpoint=\"http://me:31337@m.example/\"}"),
    ];
    for variable in cases {
        let error = load_variables(&[variable]).unwrap_err();
        assert!(error.contains(variable.0), "{error}");
        assert!(!error.contains("1337"), "{error}");
    }
}

#[test]
fn admin_actions_need_a_listener_on_this_machine() {
    assert!(!load("").unwrap().admin.enabled);
    assert!(load("[admin]\nenabled = true\nreplay_rate = 5").unwrap().admin.enabled);
    let error = load("[admin]\nenabled = true\n[http]\nlisten = \"0.0.0.0:8080\"").unwrap_err().to_string();
    assert!(error.contains("admin.enabled") && error.contains("http.listen"), "{error}");
}

#[test]
fn a_directory_of_the_original_lies_below_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let properties = "meta.server.endpoint=http://old.example/meta/address\n\
                      backup.server.http.port=8090\nstore.root=/data\nsync.offset.flush.interval=250\n";
    std::fs::write(dir.path().join("backup.properties"), properties).unwrap();
    let file = dir.path().join("mqlake.toml");
    let text = "[http]\nlisten = \"127.0.0.1:8080\"\n\
                [[qmq]]\nmeta_server_endpoint = \"http://new.example/meta/address\"\n";
    std::fs::write(&file, text).unwrap();

    let Loaded { config, report, .. } = load_from(Some(&file), Some(dir.path())).unwrap();
    let report = report.unwrap();
    assert_eq!(
        config.http.listen.to_string(),
        "127.0.0.1:8080",
        "the file says so, though it is the default"
    );
    assert_eq!(config.spool_dir(), PathBuf::from("/data/mqlake-spool"));
    assert_eq!(config.follow.spool_sync, Duration::from_millis(250));
    assert_eq!(
        config.qmq.iter().map(QmqSource::label).collect::<Vec<_>>(),
        ["old.example/20881", "new.example/20881"]
    );
    assert_eq!(report.applied.len(), 4);

    std::fs::write(&file, "[[qmq]]\nmeta_server_endpoint = \"http://old.example/meta/address\"\n").unwrap();
    let error = load_from(Some(&file), Some(dir.path())).unwrap_err().to_string();
    assert!(error.contains("identity"), "{error}");
}

#[test]
fn the_spool_lies_below_local_data() {
    let cases = [
        ("./mqlake-data", "./mqlake-data/_spool"),
        ("/lake", "/lake/_spool"),
        ("file:///lake", "/lake/_spool"),
        ("s3://bucket/lake", "./mqlake-spool"),
        ("://", "./mqlake-spool"),
    ];
    for (data, spool) in cases {
        let config = Config { data: data.to_owned(), ..Config::default() };
        assert_eq!(config.spool_dir(), PathBuf::from(spool), "{data}");
    }
    let mut config = Config::default();
    config.follow.spool = Some("/set".into());
    assert_eq!(config.spool_dir(), PathBuf::from("/set"));
}

/// Uncommenting every key of the example must give the defaults again, so it cannot drift from the code.
#[test]
fn the_example_lists_every_setting_of_the_new_sections_with_its_default() {
    let example = include_str!("../../mqlake.example.toml");
    let start = example.find("[follow]").unwrap();
    let keys: String = example[start..]
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|rest| is_setting(rest)).unwrap_or(line))
        .map(|line| format!("{line}\n"))
        .take_while(|line| !line.starts_with("[storage]"))
        .collect();
    let config = load(&keys).unwrap();
    let from_example: toml::Table = keys.parse().unwrap();
    let defaults = toml::Table::try_from(Config::default()).unwrap();
    for section in ["follow", "background", "admin"] {
        let names =
            |table: &toml::Table| table[section].as_table().unwrap().keys().cloned().collect::<Vec<_>>();
        let listed: Vec<_> = names(&from_example).into_iter().filter(|name| name != "spool").collect();
        assert_eq!(listed, names(&defaults), "{section}");
    }
    assert_eq!(from_example["retention"].as_table().unwrap().len(), 8);
    let plain = Config {
        follow: Follow { spool: config.follow.spool.clone(), ..Follow::default() },
        retention: config.retention.clone(),
        ..Config::default()
    };
    assert_eq!(toml::to_string(&config).unwrap(), toml::to_string(&plain).unwrap());
}

#[test]
fn the_example_lists_every_setting_of_sql_with_its_default() {
    let keys = example("[sql]", "[cache]");
    let config = load(&keys).unwrap();
    let listed: toml::Table = keys.parse().unwrap();
    assert_eq!(listed["sql"].as_table().unwrap().len(), 10, "every key is listed:\n{keys}");
    let plain = Sql { spill_dir: config.sql.spill_dir.clone(), ..Sql::default() };
    assert_eq!(toml::to_string(&config.sql).unwrap(), toml::to_string(&plain).unwrap());
    assert!(Sql::default().spill_dir.is_none());
    for (setting, name) in
        [("max_row = \"1B\"", "sql.max_row"), ("max_statement = \"1GiB\"", "sql.max_statement")]
    {
        let error = load(&format!("[sql]\n{setting}\n")).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

/// The part of the example from `start` to `end`, with its settings and headers uncommented.
fn example(start: &str, end: &str) -> String {
    let example = include_str!("../../mqlake.example.toml");
    let from = example.find(start).unwrap();
    let to = from + example[from..].find(end).unwrap();
    example[from..to]
        .lines()
        .map(|line| line.strip_prefix("# ").unwrap_or(line))
        .filter(|line| line.starts_with('[') || is_setting(line))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn the_example_of_a_qmq_source_has_the_defaults() {
    let keys = example("# [[qmq]]", "# [[rocketmq]]");
    let config = load(&keys).unwrap();
    let table: toml::Table = keys.parse().unwrap();
    assert_eq!(table["qmq"][0].as_table().unwrap().len(), 11, "every key is listed:\n{keys}");
    let plain = QmqSource::new(config.qmq[0].meta_server_endpoint.clone());
    assert_eq!(config.qmq[0].acquire_url(), plain.acquire_url());
    assert_eq!(config.qmq[0].broker_port, plain.broker_port);
    assert_eq!(config.qmq[0].content, plain.content);
    assert_eq!(config.qmq[0].records, plain.records);
    assert_eq!(config.qmq[0].request_timeout, plain.request_timeout);
}

#[test]
fn the_example_of_a_rocketmq_source_has_the_defaults() {
    // encryption is off by default, and then its other settings are refused
    let keys = example("# [[rocketmq]]", "[follow]").replace("enabled = false", "enabled = true");
    let source = load(&keys).unwrap().rocketmq.remove(0);
    let table: toml::Table = keys.parse().unwrap();
    let table = table["rocketmq"][0].as_table().unwrap();
    assert_eq!(table.len(), 17, "every key is listed:\n{keys}");
    assert_eq!(table["tls"].as_table().unwrap().len(), 5, "every key is listed:\n{keys}");
    let optional = RocketMqSource {
        name_servers: source.name_servers.clone(),
        name: source.name.clone(),
        access_key: source.access_key.clone(),
        secret_key: source.secret_key.clone(),
        security_token: source.security_token.clone(),
        tls: RocketMqTls { enabled: true, accept_any_certificate: false, ..source.tls.clone() },
        broker_aliases: source.broker_aliases.clone(),
        ..RocketMqSource::default()
    };
    assert_eq!(toml::to_string(&source).unwrap(), toml::to_string(&optional).unwrap());
}

fn is_setting(line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
}
