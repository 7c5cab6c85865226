//! A machine that loses its power: only what was forced to disk is there afterwards, byte for byte and name for name.
//!
//! Server processes run with a small library (`power_loss.c`) that remembers what they force. After `kill -9` the folder
//! is put back as those memories say, and the next process begins with that. Nothing that was acknowledged may be lost, and
//! nothing may come twice. `MQLAKE_TEST_POWER_LOSSES` sets how often the power fails (default 3, long 40).

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::linux::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::posted::trace_text;
use crate::peer::{GroupLogs, Peer, PeerSettings};
use crate::support::{self, effort, rows};

/// The memory of what was forced.
struct Forced {
    library: PathBuf,
    place: PathBuf,
}

impl Forced {
    fn new(home: &Path) -> Forced {
        let (library, place) = (home.join("forced.so"), home.join("forced"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/scenarios/power_loss.c");
        let compiled = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .args([library.as_os_str(), source.as_ref(), "-ldl".as_ref()])
            .status()
            .expect("a C compiler, which the build needs as well");
        assert!(compiled.success());
        fs::create_dir(&place).unwrap();
        Forced { library, place }
    }

    /// Puts a folder back as it was forced; it itself is there in any case.
    fn restore(&self, folder: &Path) {
        let restored = folder.with_extension("restored");
        let key = key_of(folder);
        fs::create_dir(&restored).unwrap();
        self.restore_folder(&key, &restored);
        fs::remove_dir_all(folder).unwrap();
        fs::rename(restored, folder).unwrap();
        // what is there now is on the disk
        fs::remove_dir_all(&self.place).unwrap();
        fs::create_dir(&self.place).unwrap();
        self.remember_all(folder);
    }

    fn restore_folder(&self, key: &str, to: &Path) {
        let Ok(list) = fs::read_to_string(self.place.join(format!("folder-{key}"))) else { return };
        for line in list.lines() {
            let mut parts = line.splitn(3, ' ');
            let (kind, key, name) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
            let target = to.join(name);
            if kind == "folder" {
                fs::create_dir(&target).unwrap();
                self.restore_folder(key, &target);
            } else if fs::copy(self.place.join(format!("file-{key}")), &target).is_err() {
                // a name whose bytes were never forced
                fs::write(&target, b"").unwrap();
            }
        }
    }

    fn remember_all(&self, folder: &Path) {
        let mut list = String::new();
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, key) = (entry.path(), key_of(&entry.path()));
            let kind = if path.is_dir() { "folder" } else { "file" };
            list.push_str(&format!("{kind} {key} {}\n", entry.file_name().to_str().unwrap()));
            if path.is_dir() {
                self.remember_all(&path);
            } else {
                fs::copy(&path, self.place.join(format!("file-{key}"))).unwrap();
            }
        }
        fs::write(self.place.join(format!("folder-{}", key_of(folder))), list).unwrap();
    }
}

/// As the library names a file: by inode and time of birth.
fn key_of(path: &Path) -> String {
    let metadata = fs::symlink_metadata(path).unwrap();
    let born = metadata.created().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("{}-{}-{}", metadata.st_ino(), born.as_secs(), born.subsec_nanos())
}

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(settings: &Path, forced: &Forced) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mqlake"))
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(settings)
            .env("LD_PRELOAD", &forced.library)
            .env("FORCED_PLACE", &forced.place)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit_once("http://").unwrap().1.to_owned();
        Server { child, address }
    }

    /// Posts a trace; whether it was acknowledged.
    fn post(&self, id: &str) -> bool {
        let body = trace_text(id);
        let head = format!(
            "POST /api/v1/trace HTTP/1.1\r\nHost: {}\r\nContent-Type: text/plain\r\nX-Mqlake: 1\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let exchange = || -> std::io::Result<String> {
            let mut connection = TcpStream::connect(&self.address)?;
            connection.set_read_timeout(Some(Duration::from_secs(30)))?;
            connection.write_all(head.as_bytes())?;
            connection.write_all(body.as_bytes())?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer)?;
            Ok(answer)
        };
        exchange().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    fn lose_power(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_loss_takes_nothing_that_was_acknowledged() {
    let losses: u32 = effort::times("MQLAKE_TEST_POWER_LOSSES", 3, 40);
    let home = tempfile::tempdir().unwrap();
    let forced = Forced::new(home.path());
    let disk = home.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/qmq-week-a");
    let peer =
        Peer::start(GroupLogs::all_from_fixture(&fixture), PeerSettings { torn: true, ..Default::default() })
            .await;
    let mut config = crate::follow::config(&disk, &peer);
    config.follow.flush_every = Duration::from_millis(100);
    config.follow.spool_segment = bytesize::ByteSize::kib(64);
    config.follow.spool_sync = Duration::from_millis(50);
    let settings = home.path().join("mqlake.toml");
    fs::write(&settings, toml::to_string(&config).unwrap()).unwrap();

    let mut random = SmallRng::seed_from_u64(0x706f_7765);
    let mut acknowledged = BTreeSet::new();
    for loss in 0..losses {
        let server = Server::start(&settings, &forced);
        peer.reveal_fraction(f64::from(loss + 1) / f64::from(losses + 1));
        for number in 0..3 {
            tokio::time::sleep(random.random_range(Duration::from_millis(50)..Duration::from_millis(500)))
                .await;
            let id = format!("posted-{loss}-{number}");
            let (server, posted) = (&server, id.clone());
            if tokio::task::block_in_place(|| server.post(&posted)) {
                acknowledged.insert(id);
            }
        }
        tokio::time::sleep(random.random_range(Duration::ZERO..Duration::from_millis(500))).await;
        server.lose_power();
        forced.restore(&disk);
    }
    assert!(!acknowledged.is_empty());

    peer.reveal_all();
    let following = crate::follow::Following::start(&config).await;
    following.wait_until_caught_up(&peer).await;
    following.stop().await;
    crate::follow::assert_equals_import(&disk.join("data")).await;
    let found: Vec<String> = rows::query(&disk.join("data"), "SELECT msg_id FROM trace ORDER BY msg_id")
        .await
        .iter()
        .map(|row| row["msg_id"].as_str().unwrap().to_owned())
        .collect();
    let missing: Vec<_> = acknowledged.iter().filter(|id| !found.contains(id)).collect();
    assert!(missing.is_empty(), "acknowledged and gone: {missing:?}");
    let once: BTreeSet<&String> = found.iter().collect();
    assert_eq!(once.len(), found.len(), "each was posted once: {found:?}");
    drop(support::open(&support::config(&disk.join("data"))).await);
}
