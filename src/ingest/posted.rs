//! Traces that were posted: one stream of its own, whose position counts the bodies taken.

use bytes::Bytes;

use super::commit::encode;
use crate::error::{Error, Result};
use crate::lake::schema::{MESSAGE_KEY, TRACE};
use crate::lake::{Lake, Log, StreamId};
use crate::replay::{RocketMqBatch, TraceCarrier};

/// Name under which posted traces are stored in place of a broker's.
const POSTED: &str = "posted";
/// Attempts against another server that takes traces for the same tables.
const ATTEMPTS: usize = 5;

/// Bodies to be committed together.
#[derive(Debug)]
pub struct PostedTraces {
    /// Bodies with the address of the client, where it was told.
    pub bodies: Vec<(Bytes, Option<String>)>,
    /// When they arrived, epoch milliseconds.
    pub time_ms: i64,
}

impl Lake {
    /// Commits posted traces; returns for each body the number of events and of records that cannot be decoded.
    ///
    /// # Errors
    /// [`Error::Store`]; then nothing, or events without their keys, may be stored, and posting again is right: an event
    /// that is stored twice counts once.
    pub async fn append_posted(&self, posted: &PostedTraces) -> Result<Vec<(u64, u64)>> {
        let stream = StreamId::rocketmq(POSTED, Log::Posted);
        for _ in 0..ATTEMPTS {
            let mut batch = RocketMqBatch::default();
            let counts = posted
                .bodies
                .iter()
                .map(|(body, client_host)| {
                    let carrier = TraceCarrier {
                        id: "",
                        subject: None,
                        client_host: client_host.as_deref(),
                        store_time_ms: posted.time_ms,
                    };
                    batch.trace_body(&carrier, body)
                })
                .collect();
            let tables = self.positions(&stream, [&TRACE, &MESSAGE_KEY]).await?;
            let to = tables.iter().filter_map(|table| table.position).max().unwrap_or(0)
                + posted.bodies.len() as u64;
            let (batch, settings) = (std::sync::Arc::new(batch), self.settings.clone());
            let encoded = {
                let batch = batch.clone();
                tokio::task::spawn_blocking(move || {
                    let [_, traces, _, _, keys] = batch.tables();
                    let context = batch.context(POSTED);
                    Ok::<_, Error>([encode(traces, &context, &settings)?, encode(keys, &context, &settings)?])
                })
                .await??
            };
            let mut lost_race = false;
            for (encoded, mut table) in encoded.into_iter().zip(tables) {
                match self.commit_encoded(encoded, &stream, &mut table, to).await {
                    Ok(_) => {}
                    Err(Error::Usage(_)) => lost_race = true,
                    Err(error) => return Err(error),
                }
            }
            if !lost_race {
                return Ok(counts);
            }
        }
        Err(Error::Conflict { table: TRACE.name.to_owned(), attempts: ATTEMPTS })
    }
}
