//! What an operator sees when a source cannot be followed; queries go on meanwhile.

use super::{Following, config, week_logs};
use crate::peer::{Peer, PeerSettings};

async fn problem_of(settings: PeerSettings, change: impl FnOnce(&mut mqlake::config::Config)) -> String {
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(vec![week_logs().remove(0)], settings).await;
    peer.reveal_all();
    let mut config = config(home.path(), &peer);
    change(&mut config);
    let following = Following::start(&config).await;
    following.wait("a problem", |f| f.source("bg1").problem.is_some()).await;
    let problem = following.source("bg1").problem.unwrap();
    assert_eq!(following.server.get("/readyz").await.status, 200, "explained is ready: {problem}");
    assert!(following.sql("SELECT * FROM message").await.is_empty(), "queries keep working");

    // all is well as soon as the operator has put it right
    peer.set(|settings| *settings = PeerSettings::default());
    following.stop().await;
    problem
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_is_not_backup_is_explained() {
    let problem = problem_of(PeerSettings { role: 1, ..PeerSettings::default() }, |_| {}).await;
    assert!(
        problem.contains("role SLAVE") && problem.contains("action=AddBroker") && problem.contains("role=4"),
        "{problem}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_without_slave_is_explained() {
    let problem = problem_of(PeerSettings { has_slave: false, ..PeerSettings::default() }, |_| {}).await;
    assert!(problem.contains("no slave") && problem.contains("AddBroker"), "{problem}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_host_name_is_explained() {
    let settings = PeerSettings { hostname: Some("right".to_owned()), ..PeerSettings::default() };
    let problem = problem_of(settings, |config| config.qmq[0].host_name = Some("wrong".to_owned())).await;
    assert!(problem.contains("wrong/20881") && problem.contains("servePort=20881"), "{problem}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_metaserver_that_is_away_is_explained() {
    let problem = problem_of(PeerSettings::default(), |config| {
        config.qmq[0].meta_server_endpoint = "http://127.0.0.1:1/meta/address".parse().unwrap();
    })
    .await;
    assert!(problem.contains("127.0.0.1:1/meta/address"), "{problem}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_recovers_without_a_restart_once_it_is_registered() {
    let home = tempfile::tempdir().unwrap();
    let peer =
        Peer::start(vec![week_logs().remove(0)], PeerSettings { role: 1, ..PeerSettings::default() }).await;
    peer.reveal_all();
    let following = Following::start(&config(home.path(), &peer)).await;
    following.wait("a problem", |f| f.source("bg1").problem.is_some()).await;
    peer.set(|settings| settings.role = 4);
    following.wait_until_caught_up(&peer).await;
    let register = peer.counters("bg1").last_register.unwrap();
    assert_eq!((register.request_type, register.role, register.state), (1, 4, 4));
    following.stop().await;
}
