//! The demo: it works whatever is configured, touches nothing of that, and keeps what it is asked to keep.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;

use super::process::{Running, mqlake, run, shell_code};
use crate::support::week;

/// Every file below a folder with its bytes.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => {
                    found.insert(path.display().to_string(), std::fs::read(&path).unwrap());
                }
            }
        }
    }
    found
}

fn scratch_folders(home: &Path) -> usize {
    let is_scratch = |name: &str| name.starts_with("mqlake-demo-");
    let names =
        std::fs::read_dir(home).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| is_scratch(name)).count()
}

/// Runs a demo until its tour is printed, and ends it.
fn demo(home: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = mqlake(home, &["demo", "--listen", "127.0.0.1:0"]);
    command.args(arguments).envs(variables.iter().copied());
    let mut demo = Running::start(command, home).listening();
    let (status, body) =
        demo.get("/api/message?backupQuery=%7B%22subject%22%3A%22order.paid%22%2C%22len%22%3A1%7D");
    assert!(status.contains(" 200 ") && body.contains("240526.205842"), "{status} {body}");
    demo.signal("TERM");
    let tour = demo.rest();
    assert_eq!(demo.end().code(), Some(0), "{}", demo.log());
    assert_eq!(scratch_folders(home), 0, "nothing is left behind");
    tour
}

#[test]
fn configured_data_and_clusters_are_never_touched() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("configured");
    let store = home.path().join("store");
    week::write_store("bg2", &store);
    let store = store.display().to_string();
    let mut import = mqlake(home.path(), &["import", "--broker-group", "bg9", "--store", &store, "--data"]);
    import.arg(&data);
    assert_eq!(run(import).code, Some(0));
    let before = contents(&data);
    // whoever connects to a configured cluster is seen here
    let cluster = TcpListener::bind("127.0.0.1:0").unwrap();
    cluster.set_nonblocking(true).unwrap();
    let address = cluster.local_addr().unwrap().to_string();
    let url = format!("http://{address}/meta/address");
    let data = data.display().to_string();
    let settings = format!(
        "data = \"{data}\"\n[admin]\nenabled = true\n[retention]\nmessage = \"1day\"\n[lake]\ngrace_period = \"0s\"\n\
         [http]\nlisten = \"127.0.0.1:1\"\n[[qmq]]\nmeta_server_endpoint = \"{url}\"\n\
         [[rocketmq]]\nname_servers = \"{address}\"\n"
    );
    let file = home.path().join("mqlake.toml");
    std::fs::write(&file, &settings).unwrap();
    std::fs::write(home.path().join("broken.toml"), "[[[").unwrap();
    let conf = home.path().join("conf");
    std::fs::create_dir(&conf).unwrap();
    std::fs::write(
        conf.join("backup.properties"),
        format!("meta.server.endpoint={url}\nstore.root={data}\n"),
    )
    .unwrap();
    let conf = conf.display().to_string();
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);
    // without any of these: cli::demo_prints_requests_that_work
    let cases: [Case<'_>; 4] = [
        (&["--config", "broken.toml", "--qmq-conf", &conf], &[("MQLAKE_QMQ_CONF", &conf)]),
        (&[], &[("MQLAKE_DATA", &data), ("MQLAKE_CONFIG", "mqlake.toml")]),
        (
            &[],
            &[
                ("MQLAKE_QMQ__META_SERVER_ENDPOINT", &url),
                ("MQLAKE_ROCKETMQ__NAME_SERVERS", &address),
                ("MQLAKE_RETENTION__MESSAGE", "1day"),
                ("MQLAKE_BACKGROUND__SETTLE_EVERY", "1s"),
                ("MQLAKE_ADMIN__ENABLED", "true"),
                ("QMQ_HOST", "backup1"),
            ],
        ),
        (
            &[],
            &[
                ("MQLAKE_DATA", "s3://bucket/x"),
                ("MQLAKE_HTTP__MAX_LEN", "broken"),
                ("MQLAKE_CONFIG", "none"),
            ],
        ),
    ];
    for (arguments, variables) in cases {
        demo(home.path(), arguments, variables);
        assert!(contents(Path::new(&data)) == before, "{arguments:?} {variables:?}: the data changed");
        let called = cluster.accept();
        assert!(called.is_err(), "{arguments:?} {variables:?}: a configured cluster was connected to");
    }
}

#[test]
fn what_is_kept_stays_and_is_used_again() {
    let home = tempfile::tempdir().unwrap();
    for data in ["./mqlake-data", "kept"] {
        let folder = home.path().join(data);
        let tour = demo(home.path(), &["--data", data], &[("MQLAKE_DATA", "/proc/elsewhere")]);
        assert!(tour.contains(&format!("{data}/message/dt=")), "{tour}");
        let rows = |_: ()| {
            let ended = run(mqlake(
                home.path(),
                &["--data", data, "sql", "SELECT count(*) FROM message", "--format", "csv"],
            ));
            ended.out.lines().last().unwrap_or_default().to_owned()
        };
        let count = rows(());
        assert!(count.parse::<u64>().unwrap() > 10_000, "{count}");
        std::fs::write(folder.join("note.txt"), "mine").unwrap();
        demo(home.path(), &["--data", data], &[]);
        assert_eq!(rows(()), count);
        assert_eq!(std::fs::read_to_string(folder.join("note.txt")).unwrap(), "mine");
    }
}

#[test]
fn tables_of_others_are_refused_and_left_as_they_are() {
    let home = tempfile::tempdir().unwrap();
    for group in ["bg9", "bg2"] {
        let store = home.path().join("store");
        week::write_store("bg2", &store);
        let data = home.path().join(format!("data-{group}"));
        let mut import =
            mqlake(home.path(), &["import", "--store", "store", "--broker-group", group, "--data"]);
        import.arg(&data);
        assert_eq!(run(import).code, Some(0));
        let before = contents(&data);
        let mut command = mqlake(home.path(), &["demo", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(&data);
        let ended = run(command);
        assert_eq!(ended.code, Some(2), "{}{}", ended.out, ended.log);
        assert!(
            ended.log.contains("holds tables that are not the demo's") && ended.log.contains(group),
            "{}",
            ended.log
        );
        assert!(contents(&data) == before, "{group}: the data changed");
        assert_eq!(scratch_folders(home.path()), 0);
    }
}

#[test]
fn a_stop_at_any_moment_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    for (wait, signal) in [(0, "INT"), (30, "TERM"), (200, "INT"), (700, "TERM"), (2000, "INT")] {
        let mut demo = Running::start(mqlake(home.path(), &["demo", "--listen", "127.0.0.1:0"]), home.path());
        std::thread::sleep(std::time::Duration::from_millis(wait));
        demo.signal(signal);
        let code = shell_code(demo.end());
        assert!([0, 130, 143].contains(&code), "{code}: {}", demo.log());
        assert_eq!(scratch_folders(home.path()), 0, "after {wait} ms");
    }
}
