//! Stores that users had trouble with (`tests/data/reports`): each has a case that says what comes out of it.
//!
//! A case is a file in `cases/`. It is made of blocks with an empty line between; `#` begins a remark. The first line of
//! a block says what is done, JSON below it what comes back:
//!
//! - `import ARCHIVE/DIRECTORY [options]` runs `mqlake import --json` on a store directory of an archive. The broker is
//!   `broker-a` unless `--broker` names another; values of `--store` and `--commit-log` are paths as the first one. The
//!   JSON is that of the summary.
//! - `GET …` asks the API, `SQL …` the tables (a list of rows as objects), `verify` runs `mqlake verify --json`.
//!
//! Below the first line can stand `says TEXT` (standard error has this text), `silent` (it has nothing) and `exit N`
//! (for an exit code, or the status of an answer, other than that of success).
//!
//! An object answers what is expected if it has the members named there; it can have more. A list has just the items
//! that are expected, in their order. All blocks of a case work on one lake, one after another.
//!
//! To add a case: the file, and its name in the list below.

mod archive;
mod case;

/// A test for each case; its name is that of the file without the ending, `_` in place of `-`.
macro_rules! cases {
    ($($name:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                case::run(&stringify!($name).replace('_', "-")).await;
            }
        )+

        /// No case is forgotten.
        #[test]
        fn every_file_is_a_test() {
            let known: Vec<String> = [$(stringify!($name)),+].map(|name| name.replace('_', "-")).to_vec();
            for name in case::names() {
                assert!(known.contains(&name), "cases/{name}.txt is not in the list of cases");
            }
        }
    };
}

cases![
    clock_jump,
    crash_cut,
    delayed,
    inner_batch,
    json_nuls,
    lmq_zero,
    midnight,
    namespace,
    recreated,
    torn_props,
    twin_file,
    twin_ids,
];
