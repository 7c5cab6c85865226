//! Producers whose clocks say anything: a bounded number of files, rows that stay queryable and expire with those that
//! came with them, watermarks that are not carried away.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use mqlake::brokers::qmq::import::ImportRequest;
use mqlake::config::Config;
use mqlake::lake::schema::{CONTENT, MESSAGE};
use mqlake::lake::{Lake, Owner};
use mqlake::stream::Progress;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::{Place, over_every_store};
use crate::support::generate;

over_every_store!(random_clocks_make_few_files_and_lose_nothing);

fn now() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2024-05-20T12:00:00Z").unwrap().to_utc()
}

/// Most of a day that is right, some of any time that can be written, some of days before and after.
fn times() -> Vec<i64> {
    let mut random = SmallRng::seed_from_u64(0x636c_6f63);
    let sane = now().timestamp_millis();
    let mut times: Vec<i64> = (0..300).map(|number| sane - number * 1000).collect();
    times.extend((0..900).map(|_| random.random_range(-2_208_988_800_000..7_258_118_400_000_i64)));
    times.extend((0..900).map(|_| random.random_range(946_684_800_000..sane)));
    times.extend([0, -1, 1, i64::MIN / 4, i64::MAX / 4, 253_402_300_799_999, 253_402_300_800_000]);
    times
}

async fn import(place: &Place, config: &Config, times: &[i64]) -> Arc<Lake> {
    let store = place.own("store");
    generate::store_at(&store, times);
    let lake = place.lake(&config.lake).await;
    let request = ImportRequest { store, broker_group: "clocks".to_owned(), skip_corrupt: false };
    lake.import(&request, config, Arc::new(Progress::default()), now()).await.unwrap();
    lake
}

async fn random_clocks_make_few_files_and_lose_nothing(place: Place) {
    let mut config = Config::default();
    config.lake.days_per_commit = 20;
    let times = times();
    let lake = import(&place, &config, &times).await;
    // one commit: twenty days and one file of the rest
    for def in [&MESSAGE, &CONTENT] {
        assert_eq!(lake.table(def).unwrap().refresh().await.unwrap().files.len(), 21, "{}", def.name);
    }
    place.assert_sound().await;
    let ids = |rows: Vec<String>| -> BTreeSet<String> {
        let id = |row: String| serde_json::from_str::<serde_json::Value>(&row).unwrap()["message_id"].clone();
        rows.into_iter().map(|row| id(row).as_str().unwrap().to_owned()).collect()
    };
    let wanted: BTreeSet<String> = (0..times.len()).map(generate::id_at).collect();
    assert_eq!(ids(place.rows("SELECT message_id FROM message").await), wanted);
    // each is found by its time, which is what it was
    for number in (0..times.len())
        .step_by(97)
        .filter(|number| (-8_000_000_000_000..8_000_000_000_000).contains(&times[*number]))
    {
        let time = DateTime::from_timestamp_millis(times[number]).unwrap().to_rfc3339();
        let statement = format!("SELECT message_id FROM message WHERE create_time = TIMESTAMP '{time}'");
        assert!(ids(place.rows(&statement).await).contains(&generate::id_at(number)), "{statement}");
    }
    // merging keeps strays apart, so that files of a day stay files of that day
    let owner = Owner::of("qmq", "(upkeep)");
    lake.settle(now() + TimeDelta::days(2), &owner).await.unwrap();
    place.assert_sound().await;
    let files = lake.table(&MESSAGE).unwrap().refresh().await.unwrap().files;
    let strays: Vec<_> = files.iter().filter(|file| file.is_stray(&MESSAGE)).collect();
    assert_eq!(strays.len(), 1);
    assert_eq!(strays[0].day, now().date_naive(), "strays lie in the day on which they came");
    assert_eq!(ids(place.rows("SELECT message_id FROM message").await), wanted);
    // rows of 1970 or 2199 neither go at once nor stay for ever
    let keep = |_: &str| Some(Duration::from_secs(90 * 24 * 3600));
    lake.expire(now() + TimeDelta::days(89), keep).await.unwrap();
    let first =
        place.rows("SELECT message_id FROM message WHERE create_time <= TIMESTAMP '1970-01-01T00:00:00Z'");
    assert!(ids(first.await).contains(&generate::id_at(2100)), "the message of 1970");
    lake.expire(now() + TimeDelta::days(92), keep).await.unwrap();
    assert_eq!(place.rows("SELECT message_id FROM message").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_days_as_are_right_keep_their_own() {
    let place = Place::memory();
    let days = 60;
    let times: Vec<i64> =
        (0..days * 3).map(|n| (now() - TimeDelta::days(n % days)).timestamp_millis()).collect();
    import(&place, &Config::default(), &times).await;
    let rows = place.rows("SELECT dt, count(*) AS n, min(create_time) AS at FROM message GROUP BY dt").await;
    assert_eq!(rows.len(), 60);
    for row in rows {
        let row: serde_json::Value = serde_json::from_str(&row).unwrap();
        assert_eq!(row["n"], 3);
        assert!(row["at"].as_str().unwrap().starts_with(row["dt"].as_str().unwrap()), "{row}");
    }
}
