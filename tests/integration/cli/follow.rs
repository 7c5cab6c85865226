//! `serve`, `status` and `seek` against a cluster, as an operator runs them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::peer::{GroupLogs, Peer, PeerSettings};

fn mqlake(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mqlake"));
    command.current_dir(home).env("MQLAKE_DATA", home.join("data")).env("RUST_BACKTRACE", "0");
    command
}

/// Starts a server and returns it with its address.
fn serve(home: &Path) -> (Child, String) {
    let mut child = mqlake(home)
        .args(["serve", "--qmq-conf", "conf", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim().strip_prefix("listening on ").unwrap().to_owned())
}

fn status(home: &Path, url: &str) -> Output {
    mqlake(home).args(["status", "--url", url]).output().unwrap()
}

async fn until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..600 {
        if is_so() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("not in time");
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_original_s_configuration_is_enough_and_a_term_signal_commits() {
    let home = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/qmq-week-a/bg2");
    let peer = Peer::start(vec![GroupLogs::from_fixture(&fixture)], PeerSettings::default()).await;
    peer.reveal_all();
    let conf = home.path().join("conf");
    std::fs::create_dir(&conf).unwrap();
    let properties = format!(
        "broker.port={}\nmeta.server.endpoint={}\nacquire.server.meta.url={}\nstore.type=hbase\nstore.root={}\n",
        peer.identity("bg2").1,
        peer.meta_url(),
        peer.slave_meta_url(),
        home.path().join("root").display()
    );
    std::fs::write(conf.join("backup.properties"), properties).unwrap();
    std::fs::write(conf.join("skip_backup.properties"), "dead.end=true\n").unwrap();

    let (mut server, url) = serve(home.path());
    let end = format!("visible {}", peer.ends("bg2").0);
    until(|| text(&status(home.path(), &url)).contains(&end)).await;
    let reported = status(home.path(), &url);
    assert!(reported.status.success(), "{}", text(&reported));
    assert!(text(&reported).contains("group bg2  following"), "{}", text(&reported));
    assert!(text(&reported).contains("last commit "), "{}", text(&reported));

    let seek =
        ["seek", "--qmq-conf", "conf", "--broker-group", "bg2", "--stream", "action", "--to", "next-segment"];
    let refused = mqlake(home.path()).args(seek).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(text(&refused).contains("stop it"), "{}", text(&refused));

    let pid = i32::try_from(server.id()).unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(server.wait().unwrap().success());
    let rows = |statement: &str| text(&mqlake(home.path()).args(["sql", statement]).output().unwrap());
    let listed = rows("SELECT count(*) FROM message WHERE subject = 'dead.end'");
    assert!(listed.contains("| 0 "), "skipped subjects are not stored: {listed}");
    let other = rows("SELECT count(*) > 3000 AS many FROM message");
    assert!(other.contains("true"), "{other}");

    let moved = mqlake(home.path()).args(seek).output().unwrap();
    assert!(moved.status.success() && text(&moved).contains("to 104857600"), "{}", text(&moved));
    let verified = mqlake(home.path()).arg("verify").output().unwrap();
    assert!(verified.status.success(), "{}", text(&verified));
    let away = status(home.path(), &url);
    assert!(text(&away).contains("is the server running?"), "{}", text(&away));
}
