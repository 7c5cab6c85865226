//! A store that fails at any call: an error before or after the effect, or no answer at all. Whatever call it is, after
//! one more run over a store that works the rows are those of an undisturbed one.
//!
//! By default a few calls are failed in each way, another selection for each; `MQLAKE_TEST_EVERY_CALL=1` (or
//! `MQLAKE_TEST_LONG=1`) fails every one.

use std::sync::Arc;
use std::time::Duration;

use mqlake::brokers::qmq::import::ImportRequest;
use mqlake::config::Config;
use mqlake::error::Result;
use mqlake::lake::{Lake, Owner, Store};
use mqlake::stream::Progress;

use super::posted::posted;
use super::shims::{Counting, Failure};
use super::{Place, over_every_store};
use crate::support::{effort, generate, week_end};

/// Bound of calls that are answered.
const PATIENCE: Duration = Duration::from_secs(60);

over_every_store!(a_store_that_fails_at_any_call_loses_and_doubles_nothing);

fn settings() -> Config {
    let mut config = Config::default();
    config.import.flush_rows = 120;
    config.lake.settled_rows = 60;
    config
}

/// What a process does: it imports, takes a trace, and keeps the tables in shape.
async fn run(store: Store, logs: &std::path::Path, patience: Duration) -> Result<()> {
    let mut config = settings();
    config.lake.store_timeout = patience;
    let lake = Lake::open(store, config.lake.clone()).await?;
    let request =
        ImportRequest { store: logs.to_path_buf(), broker_group: "gen".to_owned(), skip_corrupt: false };
    lake.import(&request, &config, Arc::new(Progress::default()), week_end()).await?;
    lake.append_posted(&posted("one")).await?;
    let owner = Owner::of("qmq", "(upkeep)");
    let _lock = lake.become_writer(&owner).await?;
    lake.compact(week_end(), 2, &owner).await?;
    lake.settle(week_end(), &owner).await?;
    lake.vacuum().await?;
    Ok(())
}

/// All rows, an event that was posted again counting once, as it does when traces are read.
async fn rows(place: &Place) -> Vec<(&'static str, Vec<String>)> {
    let statement = |name: &str| {
        let distinct = if ["trace", "message_key"].contains(&name) { "DISTINCT" } else { "" };
        format!("SELECT {distinct} * EXCLUDE (dt) FROM {name}")
    };
    let names = mqlake::lake::schema::TABLES.map(|def| def.name);
    names.into_iter().zip(place.rows_of_all(&names.map(statement)).await).collect()
}

/// A place of the same kind.
fn another(place: &Place) -> Place {
    if place.has_locks() {
        Place::disk()
    } else if place.is_s3() {
        Place::s3()
    } else {
        Place::memory()
    }
}

async fn a_store_that_fails_at_any_call_loses_and_doubles_nothing(place: Place) {
    let logs = place.own("logs");
    generate::store(&logs, 160, 11);
    let mut counting = None;
    let store = place.store_through(|inner| counting.insert(Counting::new(inner)).clone());
    run(store, &logs, PATIENCE).await.unwrap();
    let calls = counting.unwrap().calls();
    let wanted = rows(&place).await;
    for (name, rows) in &wanted {
        assert!(
            !rows.is_empty() || !["message", "record", "trace"].contains(name),
            "{name} of {calls} calls"
        );
    }
    let is_thorough = std::env::var("MQLAKE_TEST_EVERY_CALL").is_ok() || effort::is_long();
    let step = if is_thorough { 1 } else { calls / 2 };
    for (offset, failure) in [(0, Failure::Before), (3, Failure::LostAnswer), (7, Failure::Hang)] {
        for at in (offset % step..calls).step_by(step) {
            let place = another(&place);
            let store = place.store_through(|inner| Counting::failing(inner, Some((at, failure))));
            // it may fail, and it may get over it
            let patience = if failure == Failure::Hang { Duration::from_millis(300) } else { PATIENCE };
            let _ = run(store, &logs, patience).await;
            run(place.store(), &logs, PATIENCE)
                .await
                .unwrap_or_else(|error| panic!("{failure:?} at {at}: {error}"));
            for ((name, found), (_, wanted)) in rows(&place).await.iter().zip(&wanted) {
                assert!(found == wanted, "{failure:?} at {at}: {name}: {} of {}", found.len(), wanted.len());
            }
            place.assert_sound().await;
        }
    }
}
