//! Files that no commit names: those of a killed writer go, those that readers may still use stay, and what was stored
//! too long ago is not committed any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use mqlake::brokers::qmq::import::ImportRequest;
use mqlake::config::{Config, Origin, Variables};
use mqlake::lake::schema::MESSAGE;
use mqlake::lake::{Clock, EncodedFile, Lake, Level, Outcome, Owner};
use mqlake::stream::Progress;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use super::{Place, over_every_store};
use crate::support::{generate, week_end};

over_every_store!(
    what_was_dropped_stays_for_the_grace_period,
    what_a_killed_writer_left_is_removed_and_nothing_else,
    files_stored_too_long_ago_are_not_committed,
);

/// A clock that is ahead of the machine's.
#[derive(Clone, Default)]
struct Ahead(Arc<AtomicI64>);

impl Ahead {
    fn by(&self, ahead: TimeDelta) {
        self.0.store(ahead.num_milliseconds(), Ordering::SeqCst);
    }

    fn clock(&self) -> Clock {
        let ahead = self.0.clone();
        Clock::new(move || Utc::now() + TimeDelta::milliseconds(ahead.load(Ordering::SeqCst)))
    }
}

/// A lake with settled files, opened with a clock.
async fn settled_lake(place: &Place, clock: &Ahead) -> Arc<Lake> {
    let store = place.own("store");
    generate::store(&store, 300, 5);
    let mut config = Config::default();
    config.lake.settled_rows = 20;
    let lake = Lake::open(place.store().with_clock(clock.clock()), config.lake.clone()).await.unwrap();
    let request = ImportRequest { store, broker_group: "gen".to_owned(), skip_corrupt: false };
    lake.import(&request, &config, Arc::new(Progress::default()), week_end()).await.unwrap();
    Arc::new(lake)
}

async fn what_was_dropped_stays_for_the_grace_period(place: Place) {
    let clock = Ahead::default();
    let lake = settled_lake(&place, &clock).await;
    let before = place.files("message").await;
    let expired = lake.expire(Utc::now(), |_| Some(Duration::from_secs(24 * 3600))).await.unwrap();
    assert!(expired.files > 0);
    assert_eq!(place.rows("SELECT * FROM message").await, Vec::<String>::new());
    for hours in [0, 2, 23] {
        clock.by(TimeDelta::hours(hours));
        // a writer begins, and files are vacuumed: readers that still use the files go on
        drop(lake.become_writer(&Owner::of("qmq", "gen")).await.unwrap());
        lake.vacuum().await.unwrap();
        assert_eq!(place.files("message").await, before, "after {hours} hours");
    }
    clock.by(TimeDelta::hours(25));
    lake.vacuum().await.unwrap();
    assert_eq!(place.files("message").await, Vec::<String>::new());
}

async fn what_a_killed_writer_left_is_removed_and_nothing_else(place: Place) {
    let clock = Ahead::default();
    let lake = settled_lake(&place, &clock).await;
    let live = place.files("message").await;
    let settled = live.iter().find(|name| name.contains("/dt=")).unwrap();
    // the rows of a settled file once more, under the writer's and under another name
    let (folder, name) = settled.rsplit_once('/').unwrap();
    let writer = name.split_once('-').unwrap().0;
    let bytes = lake.store.objects.get(&Path::parse(settled).unwrap()).await.unwrap().bytes().await.unwrap();
    let left =
        [writer, "0123456789ab"].map(|owner| format!("{folder}/{owner}-{}.parquet", uuid::Uuid::new_v4()));
    for path in &left {
        let payload = PutPayload::from_bytes(bytes.clone());
        lake.store.objects.put(&Path::parse(path).unwrap(), payload).await.unwrap();
    }
    let owner = Owner::of("qmq", "gen");
    let with = |more: &[&String]| {
        let mut all: Vec<String> = live.iter().chain(more.iter().copied()).cloned().collect();
        all.sort();
        all
    };
    drop(lake.become_writer(&owner).await.unwrap());
    if place.has_locks() {
        // whoever holds the lock knows that the file's writer is dead
        assert_eq!(place.files("message").await, with(&[&left[1]]));
    } else {
        // it may be of a commit that is under way
        assert_eq!(place.files("message").await, with(&[&left[0], &left[1]]));
        clock.by(TimeDelta::minutes(61));
        drop(lake.become_writer(&owner).await.unwrap());
        assert_eq!(place.files("message").await, with(&[&left[1]]));
    }
    clock.by(TimeDelta::hours(23));
    lake.vacuum().await.unwrap();
    assert_eq!(place.files("message").await, with(&[&left[1]]));
    clock.by(TimeDelta::hours(25));
    lake.vacuum().await.unwrap();
    assert_eq!(place.files("message").await, live);
    place.assert_sound().await;
}

async fn files_stored_too_long_ago_are_not_committed(place: Place) {
    let clock = Ahead::default();
    let lake = settled_lake(&place, &clock).await;
    let table = lake.table(&MESSAGE).unwrap().clone();
    let files = table.refresh().await.unwrap().files;
    let live = files.iter().find(|file| file.level == Level::Settled).unwrap();
    let path = Path::parse(format!("{}/{}", table.folder, live.path)).unwrap();
    let bytes: Bytes = lake.store.objects.get(&path).await.unwrap().bytes().await.unwrap();
    let encoded = EncodedFile { bytes, stats: live.stats.clone() };
    let owner = Owner::of("qmq", "(upkeep)");
    let stored = lake.store_file(&table, live.day, Level::Settled, &owner, encoded).await.unwrap();
    // another server sweeps what is older than an hour; so from half an hour on nothing may be committed
    for (minutes, outcome) in [(31, Outcome::Stale), (120, Outcome::Stale), (29, Outcome::Committed)] {
        clock.by(TimeDelta::minutes(minutes));
        let replaced =
            table.replace(std::slice::from_ref(live), std::slice::from_ref(&stored), 3).await.unwrap();
        assert_eq!(replaced, outcome, "after {minutes} minutes");
    }
    place.assert_sound().await;
}

#[tokio::test]
async fn the_grace_period_is_no_longer_than_the_log_remembers() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("mqlake.toml");
    let cases: BTreeMap<&str, bool> = [
        ("grace_period = \"7days\"", true),
        ("grace_period = \"8days\"", false),
        ("leftover_age = \"10s\"", false),
        ("store_timeout = \"0s\"", false),
        ("days_per_commit = 0", false),
        ("clock_tolerance = \"1day\"", true),
    ]
    .into();
    for (line, is_allowed) in cases {
        std::fs::write(&file, format!("[lake]\n{line}\n")).unwrap();
        let variables = Variables::default();
        let loaded = Config::load(&Origin { file: Some(&file), qmq_conf: None, variables: &variables });
        assert_eq!(loaded.is_ok(), is_allowed, "{line}: {:?}", loaded.err());
        if let Err(error) = loaded {
            let setting = line.split(' ').next().unwrap();
            assert!(error.to_string().contains(&format!("lake.{setting}")), "{error}");
        }
    }
}
