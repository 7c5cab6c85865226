//! Upkeep of the tables while sources are followed: merges small files, settles closed days, drops old days, deletes
//! unneeded files.
//!
//! It does one thing at a time, on threads for blocking work, so that it blocks neither receiving nor requests. A failure
//! is logged, and the next cycle tries again.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::Result;
use crate::lake::Owner;
use crate::lake::schema::codes::UPKEEP;
use crate::stream::Shared;

/// Runs a cycle every `background.settle_every`, until a stop is requested.
pub(super) async fn run(shared: Shared) {
    let mut vacuumed = Instant::now();
    loop {
        tokio::select! {
            () = tokio::time::sleep(shared.config.background.settle_every) => {}
            () = shared.stop.cancelled() => return,
        }
        let is_vacuum_due = vacuumed.elapsed() >= shared.config.background.vacuum_every;
        if is_vacuum_due {
            vacuumed = Instant::now();
        }
        let work = shared.clone();
        let runtime = tokio::runtime::Handle::current();
        // merging would block a thread that answers requests
        let done = tokio::task::spawn_blocking(move || runtime.block_on(cycle(&work, is_vacuum_due))).await;
        match done.map_err(crate::error::Error::from).and_then(|done| done) {
            Ok(()) => {}
            Err(error) => {
                metrics::counter!("mqlake_upkeep_failures_total").increment(1);
                tracing::warn!(%error, "upkeep failed; it is tried again later");
            }
        }
    }
}

async fn cycle(shared: &Shared, is_vacuum_due: bool) -> Result<()> {
    let (lake, config) = (&shared.lake, &shared.config);
    let owner = Owner::of(UPKEEP.0, UPKEEP.1);
    // another process does the upkeep of the same tables
    let Ok(_lock) = lake.become_writer(&owner).await else { return Ok(()) };
    let now = lake.store.now();
    let compacted = lake.compact(now, config.background.compact_files, &owner).await?;
    let settled = lake.settle(now, &owner).await?;
    let retention = &config.retention;
    let expired = lake
        .expire(now, |table| match table {
            "message" => retention.message,
            "dead_message" => retention.dead_message,
            "record" => retention.record,
            "content" => retention.content,
            "unresolved_ack" => retention.unresolved_ack,
            "message_key" => retention.message_key,
            "trace" => retention.trace,
            "consumer_progress" => retention.consumer_progress,
            _ => None::<Duration>,
        })
        .await?;
    if is_vacuum_due {
        let deleted = lake.vacuum().await?;
        tracing::debug!(deleted, "files that no reader needs were deleted");
    }
    if compacted.files_before + settled.files_before + expired.files > 0 {
        tracing::info!(
            merged = compacted.files_before,
            settled_days = settled.days,
            expired_files = expired.files,
            "upkeep done"
        );
        shared.catalog.refresh().await?;
    }
    Ok(())
}
