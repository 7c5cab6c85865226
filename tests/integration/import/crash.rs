//! **PROJECTION** under `kill -9`: an import that is killed at random points and started again gives the very
//! rows of an undisturbed one.
//!
//! `MQLAKE_TEST_KILLS` sets how often it is killed (default 6, long 40).

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use parquet::file::reader::{FileReader, SerializedFileReader};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::support::{self, effort, generate, rows};

fn start(data: &Path, store: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_mqlake"))
        .args(["import", "--broker-group", "gen", "--json"])
        .arg("--store")
        .arg(store)
        .env("MQLAKE_DATA", data)
        .env("MQLAKE_IMPORT__FLUSH_ROWS", "600")
        .env("MQLAKE_LAKE__SETTLED_ROWS", "500")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn killed_imports_lose_and_double_nothing() {
    let kills: u32 = effort::times("MQLAKE_TEST_KILLS", 6, 40);
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    generate::store(&store, 9000, 4);
    let (killed, whole) = (home.path().join("killed"), home.path().join("whole"));
    let begun = std::time::Instant::now();
    assert!(start(&whole, &store).wait_with_output().unwrap().status.success());
    let undisturbed = begun.elapsed();

    let mut random = SmallRng::seed_from_u64(0x6b69_6c6c);
    let mut really_killed = 0;
    let mut runs = 0;
    while really_killed < kills && runs < kills * 3 {
        runs += 1;
        let mut child = start(&killed, &store);
        std::thread::sleep(random.random_range(Duration::ZERO..undisturbed.mul_f64(0.6)));
        child.kill().unwrap();
        really_killed += u32::from(!child.wait().unwrap().success());
        if runs % 4 == 0 && killed.join("message").exists() {
            // as if the lake had been imported from long ago: only the first run's work is left to repeat
            std::fs::remove_dir_all(&killed).unwrap();
        }
    }
    let output = start(&killed, &store).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (got, wanted) = runtime.block_on(async { (rows::all(&killed).await, rows::all(&whole).await) });
    rows::assert_equal(&got, &wanted);
    assert_eq!(glob_rows(&killed), glob_rows(&whole), "GLOB-ONCE: rows that a plain glob sees");
    let report = runtime.block_on(async {
        support::open(&support::config(&killed)).await.verify(mqlake::brokers::streams_of).await.unwrap()
    });
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

/// Rows in all settled files of all tables, found as a plain glob finds them.
fn glob_rows(data: &Path) -> Vec<(&'static str, i64)> {
    let mut tables = Vec::new();
    for def in mqlake::lake::schema::TABLES {
        let mut rows = 0;
        for day in std::fs::read_dir(data.join(def.name)).unwrap().map(Result::unwrap) {
            if day.file_name().to_string_lossy().starts_with("dt=") {
                for file in std::fs::read_dir(day.path()).unwrap().map(Result::unwrap) {
                    let file = std::fs::File::open(file.path()).unwrap();
                    let reader = SerializedFileReader::new(file).unwrap();
                    rows += reader.metadata().file_metadata().num_rows();
                }
            }
        }
        tables.push((def.name, rows));
    }
    tables
}
