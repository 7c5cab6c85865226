use super::*;

fn source() -> RocketMqSource {
    RocketMqSource { name_servers: texts(&["10.0.0.1:9876", "10.0.0.2:9876"]), ..RocketMqSource::default() }
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn with_keys() -> RocketMqSource {
    RocketMqSource {
        access_key: text("reader"),
        secret_key: Some(Secret::new("hidden-key")),
        security_token: Some(Secret::new("hidden-token")),
        ..source()
    }
}

fn with_tls(tls: RocketMqTls) -> RocketMqSource {
    RocketMqSource { tls, ..source() }
}

#[test]
fn the_label_is_the_name_or_the_first_name_server() {
    assert_eq!(source().label(), "10.0.0.1:9876");
    assert_eq!(RocketMqSource { name: text("east"), ..source() }.label(), "east");
    assert_eq!(RocketMqSource::default().label(), "");
}

#[test]
fn everything_but_system_topics_is_wanted_by_default() {
    for topic in ["orders", "%RETRY%billing", "%DLQ%billing", "ns%orders", "DefaultCluster"] {
        assert!(source().wants(topic, false), "{topic}");
    }
    for topic in ["SCHEDULE_TOPIC_XXXX", "rmq_sys_wheel_timer", "DefaultCluster"] {
        assert!(!source().wants(topic, true), "{topic}");
    }
    assert!(source().wants("RMQ_SYS_TRACE_TOPIC", true));
    assert!(source().is_trace("RMQ_SYS_TRACE_TOPIC") && !source().is_trace("orders"));
}

#[test]
fn topics_are_chosen_by_patterns() {
    let some = RocketMqSource {
        topics: texts(&["orders*", "%DLQ%*"]),
        exclude_topics: texts(&["*-test", "%DLQ%noisy"]),
        trace_topics: texts(&["orders-trace", "trace-test"]),
        system_topics: texts(&["SCHEDULE_TOPIC_XXXX"]),
        ..source()
    };
    let wanted = ["orders", "orders-eu", "%DLQ%billing", "orders-trace", "trace-test"];
    for topic in wanted {
        assert!(some.wants(topic, false), "{topic}");
    }
    for topic in ["invoices", "orders-test", "%DLQ%noisy", "%RETRY%billing", "RMQ_SYS_TRACE_TOPIC"] {
        assert!(!some.wants(topic, false), "{topic}");
    }
    assert!(some.wants("SCHEDULE_TOPIC_XXXX", true), "named");
    assert!(some.wants("trace-test", true), "traces are wanted whatever else they are");
    assert!(!some.wants("orders-reply", true), "a pattern does not mean system topics");
    assert!(!some.wants("RMQ_SYS_TRANS_HALF_TOPIC", true));
}

#[test]
fn an_address_may_have_an_alias() {
    let aliases = [("172.17.0.2:10911", "127.0.0.1:10911"), ("127.0.0.1:10911", "127.0.0.1:1")];
    let broker_aliases = aliases.map(|(from, to)| (from.to_owned(), to.to_owned())).into();
    let source = RocketMqSource { broker_aliases, ..source() };
    source.check("rocketmq[0]").unwrap();
    assert_eq!(source.reachable("172.17.0.2:10911"), "127.0.0.1:10911");
    assert_eq!(source.reachable("172.17.0.3:10911"), "172.17.0.3:10911");
}

#[test]
fn a_wrong_field_is_refused_by_name() {
    let alias = |from: &str, to: &str| RocketMqSource {
        broker_aliases: [(from.to_owned(), to.to_owned())].into(),
        ..source()
    };
    let day = LONGEST + Duration::from_millis(1);
    let cases = [
        ("name_servers", RocketMqSource::default()),
        ("name_servers", RocketMqSource { name_servers: vec!["a:1".to_owned(); 17], ..source() }),
        ("name_servers", RocketMqSource { name_servers: texts(&["a:1", "b"]), ..source() }),
        ("name_servers", RocketMqSource { name_servers: texts(&["http://a:1"]), ..source() }),
        ("name", RocketMqSource { name: text("a b"), ..source() }),
        ("name", RocketMqSource { name: text(""), ..source() }),
        ("topics", RocketMqSource { topics: texts(&["order?"]), ..source() }),
        ("topics", RocketMqSource { topics: texts(&["a", ""]), ..source() }),
        ("topics", RocketMqSource { topics: vec!["a".to_owned(); MAX_ENTRIES + 1], ..source() }),
        ("topics", RocketMqSource { topics: Vec::new(), trace_topics: Vec::new(), ..source() }),
        ("exclude_topics", RocketMqSource { exclude_topics: texts(&["a,b"]), ..source() }),
        ("trace_topics", RocketMqSource { trace_topics: texts(&["*"]), ..source() }),
        ("system_topics", RocketMqSource { system_topics: texts(&["rmq_sys_*"]), ..source() }),
        ("access_key", RocketMqSource { secret_key: None, ..with_keys() }),
        ("secret_key", RocketMqSource { access_key: None, ..with_keys() }),
        ("access_key", RocketMqSource { access_key: text("a b"), ..with_keys() }),
        ("secret_key", RocketMqSource { secret_key: Some(Secret::new("")), ..with_keys() }),
        ("secret_key", RocketMqSource { secret_key: Some(Secret::new("hidden\n")), ..with_keys() }),
        ("security_token", RocketMqSource { security_token: Some(Secret::new("\0")), ..with_keys() }),
        ("security_token", RocketMqSource { access_key: None, secret_key: None, ..with_keys() }),
        ("request_timeout", RocketMqSource { request_timeout: Duration::from_millis(9), ..source() }),
        ("request_timeout", RocketMqSource { request_timeout: day, ..source() }),
        ("suspend", RocketMqSource { suspend: Duration::from_millis(999), ..source() }),
        ("suspend", RocketMqSource { suspend: Duration::from_secs(31), ..source() }),
        ("discover_every", RocketMqSource { discover_every: Duration::from_millis(99), ..source() }),
        ("discover_every", RocketMqSource { discover_every: Duration::from_secs(3601), ..source() }),
        ("progress_every", RocketMqSource { progress_every: Duration::ZERO, ..source() }),
        ("progress_every", RocketMqSource { progress_every: day, ..source() }),
        ("broker_aliases", alias("a", "b:1")),
        ("broker_aliases", alias("a:1", "b")),
    ];
    for (field, wrong) in cases {
        let error = check(&[wrong]).unwrap_err().to_string();
        assert!(error.contains(&format!("rocketmq[0].{field} ")), "{field}: {error}");
        assert!(!error.contains("hidden"), "{error}");
    }
    check(&[source(), RocketMqSource { name: text("keys"), ..with_keys() }]).unwrap();
}

#[test]
fn encryption_is_on_or_its_settings_are_not_given() {
    let file = |name: &str| Some(PathBuf::from(name));
    let on = || RocketMqTls { enabled: true, ..RocketMqTls::default() };
    let cases = [
        ("tls.enabled", RocketMqTls { ca_file: file("ca.pem"), ..RocketMqTls::default() }),
        ("tls.enabled", RocketMqTls { accept_any_certificate: true, ..RocketMqTls::default() }),
        ("tls.cert_file", RocketMqTls { key_file: file("key.pem"), ..on() }),
        ("tls.key_file", RocketMqTls { cert_file: file("cert.pem"), ..on() }),
        ("tls.ca_file", RocketMqTls { ca_file: file(""), ..on() }),
    ];
    for (field, wrong) in cases {
        let error = check(&[with_tls(wrong)]).unwrap_err().to_string();
        assert!(error.contains(&format!("rocketmq[0].{field} ")), "{field}: {error}");
    }
    let all = RocketMqTls {
        ca_file: file("ca.pem"),
        cert_file: file("cert.pem"),
        key_file: file("key.pem"),
        accept_any_certificate: true,
        ..on()
    };
    for good in [RocketMqTls::default(), on(), all] {
        check(&[with_tls(good)]).unwrap();
    }
}

#[test]
fn no_two_sources_have_the_same_name() {
    let named = |name: &str| RocketMqSource { name: text(name), ..source() };
    check(&[source(), named("east"), named("west")]).unwrap();
    for wrong in [[named("east"), source(), named("east")], [source(), named("east"), named("10.0.0.1:9876")]]
    {
        let error = check(&wrong).unwrap_err().to_string();
        assert!(error.contains("rocketmq[2].name") && error.contains("rocketmq[0]"), "{error}");
    }
    let many = |count: usize| (0..count).map(|index| named(&index.to_string())).collect::<Vec<_>>();
    check(&many(MAX_SOURCES)).unwrap();
    assert!(check(&many(MAX_SOURCES + 1)).unwrap_err().to_string().contains("more than 64 sources"));
}

#[test]
fn secrets_are_not_shown() {
    let source = with_keys();
    for shown in [format!("{source:?}"), format!("{source:#?}"), toml::to_string(&source).unwrap()] {
        assert!(!shown.contains("hidden"), "{shown}");
        assert_eq!(shown.matches("***").count(), 2, "{shown}");
        assert!(shown.contains("reader"), "{shown}");
    }
}

#[test]
fn what_is_written_reads_as_the_same() {
    let mut source = with_keys();
    source.tls = RocketMqTls { enabled: true, ca_file: Some("ca.pem".into()), ..RocketMqTls::default() };
    source.broker_aliases = [("172.17.0.2:10911".to_owned(), "127.0.0.1:10911".to_owned())].into();
    let written = toml::to_string(&source).unwrap();
    let again: RocketMqSource = toml::from_str(&written).unwrap();
    assert_eq!(toml::to_string(&again).unwrap(), written);
    assert_eq!(again.tls, source.tls);
    assert_eq!(again.broker_aliases, source.broker_aliases);
}
