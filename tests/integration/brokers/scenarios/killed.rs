//! `kill -9` of the program at seeded points of its work: nothing is lost, nothing comes twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mqlake::config::Config;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

use crate::brokers::Broker;
use crate::brokers::server::{PATIENCE, Server, check, store};
use crate::support::{effort, rows};

/// Where a process is killed.
#[derive(Debug, Clone, Copy)]
enum Point {
    /// So many milliseconds after its start.
    Start(u64),
    /// So many milliseconds after something changed in the spool.
    Spool(u64),
    /// As soon as there are so many more commits.
    Commits(usize),
}

impl Point {
    fn random(random: &mut SmallRng) -> Point {
        match random.random_range(0..6) {
            0 => Point::Start(random.random_range(0..600)),
            1 | 2 => Point::Spool(random.random_range(0..40)),
            _ => Point::Commits(random.random_range(1..5)),
        }
    }

    /// Waits until the process is there, or has ended.
    async fn wait(self, child: &mut Child, data: &Path, spool: Option<&Path>) {
        let (spooled, commits) = (spool.map(files), commits(data));
        let begun = Instant::now();
        let is_there = || match self {
            Point::Start(_) => true,
            Point::Spool(_) => spool.map(files) != spooled,
            Point::Commits(more) => self::commits(data) >= commits + more,
        };
        while !is_there() && child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < PATIENCE, "{self:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if let Point::Start(later) | Point::Spool(later) = self {
            tokio::time::sleep(Duration::from_millis(later)).await;
        }
    }
}

/// Sizes of the files below a folder. Whatever vanishes during the look counts as gone.
fn files(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => found.extend(files(&entry.path())),
            Ok(metadata) => drop(found.insert(entry.path(), metadata.len())),
            Err(_) => {}
        }
    }
    found
}

/// Commits of all tables.
fn commits(data: &Path) -> usize {
    let folders = std::fs::read_dir(data).into_iter().flatten().flatten();
    let is_commit = |entry: &std::fs::DirEntry| entry.path().extension().is_some_and(|end| end == "json");
    folders
        .flat_map(|table| std::fs::read_dir(table.path().join("_delta_log")).into_iter().flatten().flatten())
        .filter(is_commit)
        .count()
}

fn kill(mut child: Child) -> bool {
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

/// A server that is killed again and again while the broker grows.
pub(in crate::brokers) async fn killed_servers<B: Broker>() {
    let kills = effort::times("MQLAKE_TEST_SERVER_KILLS", 5, 40);
    let home = tempfile::tempdir().unwrap();
    let mut broker = B::start().await;
    let mut config = broker.settings(home.path());
    config.follow.flush_every = Duration::from_millis(50);
    config.follow.spool_segment = bytesize::ByteSize::kib(64);
    let settings = home.path().join("mqlake.toml");
    std::fs::write(&settings, toml::to_string(&config).unwrap()).unwrap();
    let (data, spool) = (home.path().join("data"), config.follow.spool.clone().unwrap());
    let mut random = SmallRng::seed_from_u64(0x6b69_6c6c);
    let mut all = Vec::new();
    for _ in 0..kills {
        all.extend(broker.grow(random.random_range(10..40)));
        let mut child = serve(&settings);
        for _ in 0..random.random_range(0..3) {
            Point::Commits(1).wait(&mut child, &data, None).await;
            all.extend(broker.grow(random.random_range(1..20)));
        }
        Point::random(&mut random).wait(&mut child, &data, Some(&spool)).await;
        assert!(child.try_wait().unwrap().is_none(), "the server ended by itself");
        kill(child);
    }
    all.extend(broker.grow(10));
    let server = Server::start(&config).await;
    server.wait_for("after all kills", &broker, &all).await;
    server.stop().await;
    check("killed servers", store(&config), &broker, &all).await;
}

fn serve(settings: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_mqlake"))
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(settings)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// An import that is killed again and again, and begins anew in a new lake now and then so that early points are hit, too.
/// PROJECTION and GLOB-ONCE hold afterwards.
pub(in crate::brokers) async fn killed_imports<B: Broker>() {
    let kills = effort::times("MQLAKE_TEST_KILLS", 4, 40);
    let home = tempfile::tempdir().unwrap();
    let (data, directory) = (home.path().join("data"), home.path().join("store"));
    let mut broker = B::start().await;
    let all: Vec<u32> = broker.grow(330).collect();
    broker.write_store(&directory);
    let mut random = SmallRng::seed_from_u64(0x696d_706f);
    let (mut killed, mut runs) = (0, 0);
    while killed < kills && runs < kills * 3 {
        runs += 1;
        let mut child = import::<B>(&data, &directory);
        Point::Commits(random.random_range(0..12)).wait(&mut child, &data, None).await;
        let is_killed = kill(child);
        killed += u32::from(is_killed);
        if (!is_killed || killed % 3 == 0) && data.exists() {
            std::fs::remove_dir_all(&data).unwrap();
        }
    }
    let output = import::<B>(&data, &directory).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let config = Config { data: data.display().to_string(), ..Config::default() };
    check("killed imports", store(&config), &broker, &all).await;
    for (table, _) in B::COMPARED {
        let there = rows::table(&data, table).await.len();
        assert_eq!(rows::glob_rows(&data, table), there, "GLOB-ONCE: {table}");
    }
}

fn import<B: Broker>(data: &Path, directory: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_mqlake"))
        .arg("import")
        .args(B::import_arguments())
        .arg("--store")
        .arg(directory)
        .env("MQLAKE_DATA", data)
        .env("MQLAKE_IMPORT__FLUSH_ROWS", "100")
        .env("MQLAKE_LAKE__SETTLED_ROWS", "80")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}
