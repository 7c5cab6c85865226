//! An import that is killed at random points and started again gives the very rows of an undisturbed one, keys of
//! removed messages included.
//!
//! `MQLAKE_TEST_KILLS` sets how often it is killed (default 4, long 40).

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::support::rocketmq::{BROKERS, When, write_beginning};
use crate::support::{self, effort, rows};

fn start(data: &Path, store: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_mqlake"))
        .args(["import", "--system", "rocketmq", "--broker", BROKERS[1], "--json"])
        .arg("--store")
        .arg(store)
        .env("MQLAKE_DATA", data)
        .env("MQLAKE_IMPORT__FLUSH_ROWS", "2500")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn killed_imports_lose_and_double_nothing() {
    let kills: u32 = effort::times("MQLAKE_TEST_KILLS", 4, 40);
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    write_beginning(When::After, BROKERS[1], 2, &store);
    let (killed, whole) = (home.path().join("killed"), home.path().join("whole"));
    let begun = std::time::Instant::now();
    let output = start(&whole, &store).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let undisturbed = begun.elapsed();
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["lost_keys"], 3588, "{summary}");

    let mut random = SmallRng::seed_from_u64(0x726f_636b);
    let mut really_killed = 0;
    let mut runs = 0;
    while really_killed < kills && runs < kills * 3 {
        runs += 1;
        let mut child = start(&killed, &store);
        std::thread::sleep(random.random_range(Duration::ZERO..undisturbed.mul_f64(0.6)));
        child.kill().unwrap();
        really_killed += u32::from(!child.wait().unwrap().success());
        if runs % 4 == 0 && killed.join("message").exists() {
            // begin anew, so that early points are hit, too
            std::fs::remove_dir_all(&killed).unwrap();
        }
    }
    let output = start(&killed, &store).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (got, wanted) = runtime.block_on(async { (rows::all(&killed).await, rows::all(&whole).await) });
    rows::assert_equal(&got, &wanted);
    let report = runtime.block_on(async {
        support::open(&support::config(&killed)).await.verify(mqlake::brokers::streams_of).await.unwrap()
    });
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}
