use super::*;
use crate::config::ContentPolicy;

fn dir(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn read_text(text: &str) -> Result<(Config, Report)> {
    let dir = dir(&[(BACKUP, text)]);
    let mut config = Config::default();
    let report = read(dir.path(), &mut config)?;
    Ok((config, report))
}

const ENDPOINT: &str = "meta.server.endpoint=http://meta.example:8080/meta/address\n";

#[test]
fn all_keys_of_the_original_are_taken_or_explained() {
    let text = "\
        broker.port=20991\n\
        meta.server.endpoint = http://user:secret@meta.example:8080/meta/address\n\
        acquire.server.meta.url=http://meta.example:8080/slave/meta\n\
        store.root=/data/qmq\n\
        slave.sync.timeout=2500\n\
        sync.offset.flush.interval=750\n\
        enable.record=False \n\
        backup.server.http.port=8090\n\
        max.query.threads=3\n\
        message.backup.batch.size=10\nmessage.backup.max.retry.num=5\n\
        record.backup.batch.size=10\nrecord.backup.max.retry.num=5\n\
        enable.index.log.delete=true\nrocks.db.path=/data/rocks\nrocks.db.ttl=7200\n\
        store.type=hbase\ncheckpoint.retain.count=5\nlog_dispatcher.pause.millis=5\n\
        hbase.zookeeper.quorum=zk\ntable.qmq.backup=QMQ_BACKUP\n\
        brokr.port=1\n";
    let dir = dir(&[
        (BACKUP, text),
        (SKIP, "noisy.subject=true\nother=false\n"),
        ("dead_backup.properties", "store.root=/dead\n"),
        ("hbase.properties", "\\u broken, but not read"),
    ]);
    let mut config = Config::default();
    let report = read(dir.path(), &mut config).unwrap();

    let [source] = config.qmq.as_slice() else { panic!("one source, not {:?}", config.qmq) };
    assert_eq!(source.meta_server_endpoint.host_str(), Some("meta.example"));
    assert_eq!(source.acquire_url().as_str(), "http://meta.example:8080/slave/meta");
    assert_eq!(source.broker_port, 20991);
    assert_eq!(source.request_timeout, Duration::from_millis(2500));
    assert_eq!(source.skip_file, Some(dir.path().join(SKIP)));
    assert_eq!(source.content, ContentPolicy::Dead);
    assert!(!source.records);
    assert_eq!(config.http.listen.to_string(), "0.0.0.0:8090");
    assert_eq!(config.follow.spool, Some(PathBuf::from("/data/qmq/mqlake-spool")));
    assert_eq!(config.follow.spool_sync, Duration::from_millis(750));
    config.check().unwrap();

    assert_eq!(report.unknown, ["brokr.port"]);
    assert_eq!(report.applied.len(), 9);
    assert_eq!(report.ignored.len(), 15);
    let printed = report.to_string();
    assert_eq!(printed.lines().count(), 1 + 9 + 15 + 1);
    for line in [
        "  applied  meta.server.endpoint: meta_server_endpoint = http://meta.example:8080/meta/address",
        "  applied  slave.sync.timeout: request_timeout = 2s 500ms",
        "  applied  backup.server.http.port: http.listen = 0.0.0.0:8090",
        "  ignored  store.type: there is no HBase; tables are written to `data`",
        "  ignored  dead_backup.properties: not needed; dead letters are part of the same source",
        "  unknown  brokr.port: no such key; check its spelling",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
    }
    assert!(!printed.contains("secret"));
}

#[test]
fn a_directory_with_the_endpoint_alone_leaves_the_defaults() {
    let (config, report) = read_text(ENDPOINT).unwrap();
    assert_eq!(config.qmq.len(), 1);
    assert_eq!(config.qmq[0].broker_port, 20881);
    assert!(config.qmq[0].records);
    assert_eq!(config.http.listen, Http::default().listen);
    assert_eq!(config.follow.spool, None);
    assert_eq!(report.applied.len(), 1);
}

#[test]
fn settings_that_were_made_stay() {
    let dir = dir(&[(
        BACKUP,
        &format!("{ENDPOINT}backup.server.http.port=1\nstore.root=/x\nsync.offset.flush.interval=9\n"),
    )]);
    let mut config = Config::default();
    config.http.listen = "10.0.0.1:9000".parse().unwrap();
    config.follow.spool = Some("/spool".into());
    config.follow.spool_sync = Duration::from_secs(5);
    let report = read(dir.path(), &mut config).unwrap();
    assert_eq!(config.http.listen.to_string(), "10.0.0.1:9000");
    assert_eq!(config.follow.spool, Some(PathBuf::from("/spool")));
    assert_eq!(config.follow.spool_sync, Duration::from_secs(5));
    assert_eq!(report.ignored.len(), 3);
}

#[test]
fn an_empty_value_is_not_set() {
    let (config, _) = read_text(&format!("{ENDPOINT}broker.port=\nstore.root= \nenable.record\n")).unwrap();
    assert_eq!(config.qmq[0].broker_port, 20881);
    assert_eq!(config.follow.spool, None);
}

#[test]
fn a_repeated_key_is_reported_once_and_the_last_value_counts() {
    let (config, report) = read_text(&format!("{ENDPOINT}broker.port=1\nbroker.port=2\nx=1\nx=2\n")).unwrap();
    assert_eq!(config.qmq[0].broker_port, 2);
    assert_eq!(report.unknown, ["x"]);
}

#[test]
fn a_bad_value_is_an_error_with_file_line_and_key() {
    let cases = [
        "broker.port=0",
        "broker.port=65536",
        "broker.port=x",
        "backup.server.http.port=-1",
        "slave.sync.timeout=3s",
        "slave.sync.timeout=9",
        "sync.offset.flush.interval=0",
        "enable.record=yes",
        "acquire.server.meta.url=http://<host>[:<port>]/slave/meta",
        "acquire.server.meta.url=meta.example:8080/slave/meta",
    ];
    for line in cases {
        let error = read_text(&format!("{ENDPOINT}{line}\n")).unwrap_err();
        let text = error.to_string();
        let key = line.split('=').next().unwrap();
        assert!(matches!(error, Error::Config(_)), "{line}");
        assert!(text.contains("backup.properties, line 2: ") && text.contains(key), "{line}: {text}");
    }
}

#[test]
fn a_directory_without_what_is_needed_is_an_error() {
    let empty = dir(&[]);
    assert!(matches!(read(empty.path(), &mut Config::default()), Err(Error::Input { .. })));
    let error = read_text("meta.server.endpoint=\n").unwrap_err().to_string();
    assert!(error.contains("meta.server.endpoint is missing"), "{error}");
    let broken = dir(&[(BACKUP, ENDPOINT), (SKIP, "a=\\u1\n")]);
    let error = read(broken.path(), &mut Config::default()).unwrap_err().to_string();
    assert!(error.contains("skip_backup.properties, line 1"), "{error}");
}

#[test]
fn every_explained_key_is_explained_once() {
    for (index, (name, why)) in IGNORED.iter().enumerate() {
        assert!(!why.is_empty());
        assert!(IGNORED.iter().skip(index + 1).all(|(other, _)| other != name), "{name}");
    }
}
