//! Queues of a topic as the tables know them: bounds, and where a time lies in each.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::App;
use super::refusal::Refusal;
use crate::error::{Error, Result};

/// What the tables know of a queue.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct QueueTimes {
    pub(super) broker: String,
    /// Absent for QMQ, whose subjects have one queue in each broker group.
    pub(super) queue_id: Option<i32>,
    /// First offset with a store time at or after the time.
    at_or_after: Option<i64>,
    /// Last offset with a store time at or before the time.
    at_or_before: Option<i64>,
    /// First known offset.
    pub(super) first: i64,
    /// Offset behind the last known one.
    pub(super) end: i64,
}

impl QueueTimes {
    /// The first offset at or after the time; the end of the queue if all are earlier.
    pub(super) fn lower(&self) -> i64 {
        self.at_or_after.unwrap_or(self.end)
    }

    /// The last offset at or before the time; as brokers do, the first known one if all are later.
    pub(super) fn upper(&self) -> i64 {
        self.at_or_before.unwrap_or(self.first)
    }
}

/// Where a time lies in each queue of a topic.
pub(super) async fn queue_times(
    app: &App,
    system: &str,
    topic: &str,
    time: i64,
) -> Result<Vec<QueueTimes>, Refusal> {
    let (topic, time) = (literal(topic), timestamp(time));
    let is_delivered = if system == "qmq" { "AND kind = 0" } else { "" };
    let statement = format!(
        "SELECT broker, queue_id, max(at_or_after) AS at_or_after, max(at_or_before) AS at_or_before, \
           min(first) AS first, max(\"end\") AS \"end\" FROM ( \
           SELECT broker_group AS broker, queue_id, \
             min(CASE WHEN create_time >= {time} THEN sequence END) AS at_or_after, \
             max(CASE WHEN create_time <= {time} THEN sequence END) AS at_or_before, \
             min(sequence) AS first, max(sequence) + 1 AS \"end\" \
           FROM message WHERE system = '{system}' AND subject = {topic} {is_delivered} GROUP BY 1, 2 \
           UNION ALL \
           SELECT broker_group, queue_id, NULL, NULL, max(max_offset), max(max_offset) \
           FROM consumer_progress WHERE system = '{system}' AND subject = {topic} AND consumer_group = '' \
             AND max_offset IS NOT NULL GROUP BY 1, 2) \
         GROUP BY 1, 2 ORDER BY 1, 2"
    );
    Ok(rows(app, &statement).await?)
}

/// The rows of a small statement.
pub(super) async fn rows<T: DeserializeOwned>(app: &App, statement: &str) -> Result<Vec<T>> {
    let mut result = app.sql.query(statement).await?;
    let mut writer = arrow::json::ArrayWriter::new(Vec::new());
    while let Some(batch) = result.next().await? {
        writer.write(&batch)?;
    }
    writer.finish()?;
    let text = writer.into_inner();
    let text = if text.is_empty() { b"[]".as_slice() } else { &text };
    serde_json::from_slice(text).map_err(|error| Error::Invariant(format!("rows of a statement: {error}")))
}

/// A text in SQL.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A time in SQL, within what columns can hold.
pub(super) fn timestamp(ms: i64) -> String {
    // beyond the years 1 to 9999 all times are alike
    let ms = ms.clamp(-62_135_596_800_000, 253_402_300_799_999);
    format!("arrow_cast({ms}, 'Timestamp(Millisecond, Some(\"UTC\"))')")
}
