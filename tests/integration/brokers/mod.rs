//! The conformance suite of brokers: one set of scenarios that runs over every system through [`Broker`].
//!
//! Each scenario is a generic function in `scenarios/`: a broker is followed or imported while something happens to it, to
//! the server or to the store, and afterwards the rows of the lake are compared with the truth, row for row, and the lake
//! is verified. The truth comes from the test side alone: a [`Broker`] knows which rows each of its messages makes.
//!
//! **A third broker gets its tests by implementing that trait**: a file beside `qmq.rs` with the implementation over a
//! peer in this process, and the line `over!(…)` in it. What is peculiar to a system has its tests elsewhere: `follow/`,
//! `import/` and `rocketmq/`.
//!
//! `MQLAKE_TEST_SERVER_KILLS` and `MQLAKE_TEST_KILLS` set how often servers and imports are killed (default 5 and 4, long
//! 40).

mod qmq;
mod rocketmq;
mod scenarios;
mod server;

use std::ops::Range;
use std::path::Path;

use mqlake::config::Config;
use mqlake::error::Result;
use mqlake::lake::schema::TableDef;
use mqlake::lake::{Lake, StreamId};
use serde_json::Value;

/// A broker of one system, played in this process. Its messages are numbered from 0 in the order in which it got them, and
/// no number is used twice, whatever it loses.
pub(crate) trait Broker: Sized {
    /// Its name in the tables.
    const GROUP: &'static str;
    /// What is compared: statements by table. Their columns are those of [`Broker::rows`].
    const COMPARED: &'static [(&'static str, &'static str)];
    /// Alarms when the broker's logs are others than those that were followed: of each group one is raised.
    const ANOTHER_LOG: &'static [&'static [&'static str]];
    /// What such an alarm says.
    const ADVICE: &'static str;
    /// The alarm of a gap, where there is one beside the gap itself.
    const GAP_ALARM: Option<&'static str>;
    /// Whether another log is followed by itself. If not, nothing is appended until an operator accepts it, and then all of
    /// it is read, so what both logs hold is there twice.
    const GOES_ON_BY_ITSELF: bool;
    /// A table that is committed before `message` for the stream that is followed.
    const COMMITTED_FIRST: &'static TableDef;

    /// Starts a broker that has no messages.
    async fn start() -> Self;

    /// Settings that follow it, quick enough for tests, with lake and spool below `home`.
    fn settings(&self, home: &Path) -> Config;

    /// The stream that brings its messages when it is followed.
    fn stream() -> StreamId;

    /// It gets so many messages; returns their numbers.
    fn grow(&mut self, messages: u32) -> Range<u32>;

    /// The rows that a message makes, by table.
    fn rows(&self, message: u32) -> Vec<(&'static str, Value)>;

    /// It stops, gets so many messages, and is started again elsewhere. Connections break.
    async fn restart(&mut self, messages: u32) -> Range<u32>;

    /// It dies and loses the last `lost` messages, and has `messages` others when it is back. Connections break.
    async fn lose(&mut self, lost: u32, messages: u32) -> Range<u32>;

    /// It dies with all its messages, and another one with `messages` others takes its name. Connections break.
    async fn make_anew(&mut self, messages: u32) -> Range<u32>;

    /// Retention removes all messages before this one.
    fn remove_before(&mut self, message: u32);

    /// The gaps that are to be reported when these messages were removed unread: end of the stream's name, first offset
    /// not read, offset at which reading went on; sorted.
    fn gaps(&self, removed: Range<u32>) -> Vec<(String, u64, u64)>;

    /// An operator accepts that the log is another one, while no server runs.
    async fn accept(&self, config: &Config);

    /// Writes its store directory as it is now.
    fn write_store(&self, store: &Path);

    /// Imports a store directory.
    async fn import(lake: &Lake, config: &Config, store: &Path) -> Result<()>;

    /// Arguments of `mqlake import` but `--store`.
    fn import_arguments() -> Vec<&'static str>;

    /// Panics where following receives again what an import had brought. Nothing else was followed so far.
    fn assert_nothing_received(&self);

    /// Panics if the broker was asked for anything that is not for a pure reader.
    fn assert_only_read(&self);
}

/// The tests of a system: every scenario over its [`Broker`].
macro_rules! over {
    ($broker:ty) => {
        crate::brokers::over!($broker:
            first_sync,
            growth,
            restart,
            killed_servers,
            killed_imports,
            a_lost_spool,
            a_spool_lost_while_tables_stand_apart,
            gaps,
            a_log_that_went_back,
            a_broker_made_anew,
            a_store_that_is_away,
            a_store_that_is_full_for_long,
            an_import_then_following,
            following_then_an_import,
        );
    };
    ($broker:ty: $($scenario:ident),* $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $scenario() {
            crate::brokers::scenarios::$scenario::<$broker>().await;
        })*

        async fn two_writers(place: crate::scenarios::Place) {
            crate::brokers::scenarios::two_writers::<$broker>(place).await;
        }
        crate::scenarios::over_every_store!(two_writers);
    };
}
use over;
