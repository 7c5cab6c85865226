//! Caches that are smaller than the lake: what runs in the background reads each file once, not for ever.

use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use mqlake::brokers::qmq::import::ImportRequest;
use mqlake::config::Config;
use mqlake::lake::{Lake, Owner};
use mqlake::query::Catalog;
use mqlake::stream::Progress;

use super::Place;
use super::shims::Counting;
use crate::support::{generate, week_end};

/// A lake of many files.
async fn many_files(place: &Place) {
    let store = place.own("store");
    generate::store(&store, 600, 3);
    let mut config = Config::default();
    config.import.flush_rows = 100;
    let now = week_end() - chrono::TimeDelta::days(7);
    let request = ImportRequest { store, broker_group: "gen".to_owned(), skip_corrupt: false };
    let lake = place.lake(&config.lake).await;
    lake.import(&request, &config, Arc::new(Progress::default()), now).await.unwrap();
}

/// One turn of what a server does all the time.
async fn turn(catalog: &Catalog) {
    catalog.refresh().await.unwrap();
    catalog.warm().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_server_reads_nothing_however_small_its_caches() {
    let place = Place::memory();
    many_files(&place).await;
    for size in [ByteSize::b(0), ByteSize::kib(64), ByteSize::mib(256)] {
        let mut config = Config::default();
        (config.cache.metadata, config.cache.runs) = (size, size);
        let mut counting = None;
        let store = place.store_through(|inner| counting.insert(Counting::new(inner)).clone());
        let counting = counting.unwrap();
        let lake = Arc::new(Lake::open_existing(store, config.lake.clone()).await.unwrap());
        let catalog = Catalog::open(lake, &config.cache).await.unwrap();
        turn(&catalog).await;
        let before = counting.gets();
        for _ in 0..5 {
            turn(&catalog).await;
        }
        assert_eq!(counting.gets() - before, 0, "reads of an idle server with caches of {size}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_new_files_are_read_ahead_and_merged_ones_make_room() {
    let place = Place::memory();
    many_files(&place).await;
    let config = Config::default();
    let mut counting = None;
    let store = place.store_through(|inner| counting.insert(Counting::new(inner)).clone());
    let counting = counting.unwrap();
    let lake = Arc::new(Lake::open_existing(store, config.lake.clone()).await.unwrap());
    let catalog = Catalog::open(lake.clone(), &config.cache).await.unwrap();
    turn(&catalog).await;
    let full: u64 = catalog.files.bytes().iter().map(|(_, bytes)| bytes).sum();
    assert!(full > 0);
    // another process merges everything
    let other = place.lake(&config.lake).await;
    let owner = Owner::of("qmq", "(upkeep)");
    let merged = other.settle(week_end() + chrono::TimeDelta::days(30), &owner).await.unwrap();
    assert!(merged.files_before > merged.files_after, "{merged:?}");
    let before = counting.gets();
    turn(&catalog).await;
    assert!(counting.gets() > before, "the merged files are read ahead");
    tokio::time::sleep(Duration::from_millis(10)).await;
    turn(&catalog).await;
    let left: u64 = catalog.files.bytes().iter().map(|(_, bytes)| bytes).sum();
    assert!(left < full, "{left} of {full} bytes: those of files that are gone were forgotten");
}
