//! A restart after an outage of the store: the spool is full, and can be larger than memory.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mqlake::brokers::rocketmq::format::record::Record;
use mqlake::brokers::rocketmq::format::record_encode::encode;
use mqlake::brokers::rocketmq::logs;
use mqlake::config::Config;
use mqlake::lake::schema::MESSAGE;
use mqlake::lake::{Lake, Store};
use mqlake::stream::spool::{Frame, Spool, SpoolSettings};

use super::rocketmq::{config, settings};
use crate::rocketmq_peer::Cluster;

const MEGABYTE: usize = 1 << 20;
/// Megabytes of messages in the spool.
const SPOOLED: usize = 256;
/// Megabytes that a restart may take for them.
const MOST: usize = 96;
/// Kind of a frame with records of a queue.
const PULLED: u8 = 10;

/// Fills the spool of a broker with messages of a megabyte each; returns where it ends.
fn fill(config: &Config, broker: &str) -> u64 {
    let folder = config.spool_dir().join("rocketmq").join(broker).join("pulled");
    let mut spool = Spool::open(&folder, SpoolSettings::from(&config.follow)).unwrap();
    spool.reset(0).unwrap();
    let body = vec![b'x'; MEGABYTE];
    let mut end = 0;
    for offset in 0..SPOOLED as i64 {
        let mut payload = Vec::with_capacity(MEGABYTE + 256);
        payload.extend_from_slice(&5_u16.to_be_bytes());
        payload.extend_from_slice(b"order");
        payload.extend_from_slice(&0_i32.to_be_bytes());
        payload.extend_from_slice(&(offset + 1).to_be_bytes());
        encode(
            &mut payload,
            &Record {
                topic: b"order",
                queue_offset: offset,
                position: offset * 2 * MEGABYTE as i64,
                store_timestamp: 1_764_489_600_000 + offset,
                body: &body,
                ..Record::default()
            },
        );
        let to = end + payload.len() as u64;
        spool.append(&Frame { kind: PULLED, from: end, to, payload: &payload }).unwrap();
        end = to;
    }
    spool.sync().unwrap();
    end
}

/// Most memory that a process ever had, in megabytes.
fn peak(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
}

async fn committed(config: &Config, broker: &str) -> Option<u64> {
    let store = Store::open(&config.data, &config.storage).unwrap();
    let lake = Lake::open_existing(store, config.lake.clone()).await.ok()?;
    lake.table(&MESSAGE).ok()?.position(&logs::stream(broker, logs::PULLED)).await.ok()?
}

fn start(settings: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_mqlake"))
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(settings)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Most memory of a server until it has committed `end`.
async fn peak_until(config: &Config, settings: &Path, end: u64) -> usize {
    let mut server = start(settings);
    let begun = tokio::time::Instant::now();
    while committed(config, "broker-a").await.is_none_or(|position| position < end) {
        assert!(begun.elapsed() < super::PATIENCE * 4, "not committed");
        assert!(server.try_wait().unwrap().is_none(), "the server ended");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let peak = peak(server.id());
    server.kill().unwrap();
    server.wait().unwrap();
    peak
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_with_a_full_spool_does_not_take_it_into_memory() {
    let home = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(settings()).await;
    let mut config = config(home.path(), &cluster);
    config.rocketmq[0].content = mqlake::config::ContentPolicy::None;
    let settings = home.path().join("mqlake.toml");
    std::fs::write(&settings, toml::to_string(&config).unwrap()).unwrap();
    // what a server needs anyway: samples of progress are a stream, too
    let usual = peak_until(&config, &settings, 1).await;
    std::fs::remove_dir_all(home.path().join("data")).unwrap();
    std::fs::remove_dir_all(home.path().join("spool")).unwrap();
    let end = fill(&config, "broker-a");
    let full = peak_until(&config, &settings, end).await;
    assert!(full < usual + MOST, "{full} MiB with {SPOOLED} MiB spooled, else {usual} MiB");
}
