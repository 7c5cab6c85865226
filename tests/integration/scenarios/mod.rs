//! What goes wrong around a lake, played on purpose: several processes at once, a store that fails at any call, a
//! machine that loses its power. Afterwards the rows are compared with the truth, row for row.
//!
//! Each scenario is a function of a [`Place`], and runs over memory, over local disk and, by `tests/interop/s3/run`,
//! over a real S3 server on the loopback address.

mod any_call;
mod caches;
mod clocks;
mod late_store;
mod leftovers;
mod long_keys;
mod place;
pub(crate) mod posted;
#[cfg(target_os = "linux")]
mod power_loss;
mod probe;
mod shims;
mod two_servers;

pub use place::Place;

/// A test of each scenario over each kind of store.
macro_rules! over_every_store {
    ($($scenario:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                super::$scenario(crate::scenarios::Place::memory()).await;
            })*
        }
        mod disk {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                super::$scenario(crate::scenarios::Place::disk()).await;
            })*
        }
        mod s3 {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs an S3 server; tests/interop/s3/run starts one"]
            async fn $scenario() {
                super::$scenario(crate::scenarios::Place::s3()).await;
            })*
        }
    };
}
pub(crate) use over_every_store;
