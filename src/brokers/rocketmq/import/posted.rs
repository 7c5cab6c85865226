//! Traces that were posted, by any number of servers at once.
//!
//! They come from no log, so their rows have no position: a commit is proved by the names of its files alone. An event
//! that is stored twice counts once when it is read.

use bytes::Bytes;

use crate::brokers::rocketmq::replay::{RocketMqBatch, TraceCarrier};
use crate::error::{Error, Result};
use crate::lake::schema::{MESSAGE_KEY, SYSTEM_ROCKETMQ, TRACE};
use crate::lake::{Lake, Outcome, Owner};
use crate::stream::{Batch, encode};

/// Name under which posted traces are stored in place of a broker's.
const POSTED: &str = "posted";

/// Bodies to commit together.
#[derive(Debug, Clone)]
pub struct PostedTraces {
    /// Bodies, each with the address of the client if it is known.
    pub bodies: Vec<(Bytes, Option<String>)>,
    /// When they arrived, epoch milliseconds.
    pub time_ms: i64,
}

impl Lake {
    /// Commits posted traces; returns for each body the number of events and of records that cannot be decoded.
    ///
    /// # Errors
    /// [`Error::Store`]. Then nothing may be stored, or events without their keys. Posting again is safe: an event that
    /// is stored twice counts once.
    pub async fn append_posted(&self, posted: &PostedTraces) -> Result<Vec<(u64, u64)>> {
        self.store.check_refuses_taken_names().await?;
        // several processes write these files, so none could remove those of a killed one: they are never where a glob
        // sees them at once
        let settings = crate::config::Lake { settled_rows: usize::MAX, ..self.settings.clone() };
        let (posted, days) = (posted.clone(), self.days(self.store.now()));
        // texts of megabytes are not decoded on a thread that answers requests
        let decode = move || {
            let mut batch = RocketMqBatch::default();
            let bodies = posted.bodies.iter().map(|(body, client_host)| {
                let carrier = TraceCarrier {
                    id: "",
                    subject: None,
                    client_host: client_host.as_deref(),
                    store_time_ms: posted.time_ms,
                };
                batch.trace_body(&carrier, body)
            });
            let counts = bodies.collect();
            let context = batch.context(POSTED);
            let traces = encode(batch.trace_rows_alone(), &context, &settings, &days)?;
            Ok::<_, Error>((counts, [traces, encode(&batch.key_rows(), &context, &settings, &days)?]))
        };
        let (counts, encoded) = tokio::task::spawn_blocking(decode).await??;
        let owner = Owner::of(SYSTEM_ROCKETMQ, POSTED);
        for (def, encoded) in [&TRACE, &MESSAGE_KEY].into_iter().zip(encoded) {
            let table = self.table(def)?;
            let mut files = Vec::new();
            for (day, level, file) in encoded.into_files() {
                files.push(self.store_file(table, day, level, &owner, file).await?);
            }
            if files.is_empty() {
                continue;
            }
            if table.append(&files, &[], self.settings.commit_attempts).await? != Outcome::Committed {
                self.delete_files(table, &files).await?;
                return Err(Error::store("committing traces", "storing them took too long; post them again"));
            }
        }
        Ok(counts)
    }
}
