//! `kill -9` of the server at random points while the cluster grows: nothing lost, nothing twice.
//!
//! `MQLAKE_TEST_SERVER_KILLS` sets how often it is killed (default 8, long 40).

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::{Following, assert_equals_import, config, week_logs};
use crate::api::golden::replay_on;
use crate::peer::{Peer, PeerSettings};
use crate::support::effort;

/// Longest life of a server between two kills.
const LIFE: Duration = Duration::from_millis(1200);

pub(super) fn start(settings: &std::path::Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_mqlake"))
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(settings)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_servers_lose_and_double_nothing() {
    let kills: u32 = effort::times("MQLAKE_TEST_SERVER_KILLS", 8, 40);
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(week_logs(), PeerSettings { torn: true, ..PeerSettings::default() }).await;
    let mut config = config(home.path(), &peer);
    config.follow.flush_every = Duration::from_millis(60);
    config.follow.spool_segment = bytesize::ByteSize::kib(64);
    let settings = home.path().join("mqlake.toml");
    std::fs::write(&settings, toml::to_string(&config).unwrap()).unwrap();
    let records: usize = peer.groups().iter().map(|group| peer.records(group).1).sum();
    peer.reveal_at_rate(records as f64 / 2.0 / (LIFE.as_secs_f64() * 0.6 * f64::from(kills)));

    let mut random = SmallRng::seed_from_u64(0x6b69_6c6c);
    for _ in 0..kills {
        let mut child = start(&settings);
        tokio::time::sleep(random.random_range(Duration::ZERO..LIFE)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }

    peer.reveal_all();
    let following = Following::start(&config).await;
    following.wait_until_caught_up(&peer).await;
    let failures = replay_on(&following.server, false).await;
    assert!(failures.is_empty(), "{} requests:\n{}", failures.len(), failures.join("\n"));
    following.stop().await;
    assert_equals_import(&home.path().join("data")).await;
}
