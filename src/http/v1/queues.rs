//! Queues of a topic as the tables know them: bounds, and where a time lies in each.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::App;
use super::known::Asked;
use super::refusal::Refusal;
use crate::error::{Error, Result};
use crate::query::moment::Moment;

/// Where a time lies in a queue.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct QueueTimes {
    pub(super) broker: String,
    /// Absent for QMQ, whose subjects have one queue in each broker group.
    pub(super) queue_id: Option<i32>,
    /// The first offset at or after the time; the end of the queue if all are earlier.
    pub(super) lower: i64,
    /// The last offset at or before the time; as brokers do, the first known one if all are later.
    pub(super) upper: i64,
}

/// Where a time lies in each queue of a topic.
pub(super) async fn queue_times(
    app: &App,
    system: &str,
    topic: &str,
    moment: Moment,
) -> Result<Vec<QueueTimes>, Refusal> {
    let time = match moment {
        Moment::At(time) => timestamp(time),
        Moment::QueueEnd => "-1".to_owned(),
    };
    let statement = format!(
        "SELECT broker_group AS broker, queue_id, lower_offset AS lower, upper_offset AS upper \
         FROM offsets_at('{system}', {}, {}) ORDER BY 1, 2",
        literal(topic),
        time
    );
    Ok(rows(app, &statement).await?)
}

/// Nothing is known of a topic: what could have been meant is told.
pub(super) async fn unknown_topic(app: &App, system: &str, topic: &str) -> Refusal {
    match Asked::topic(system, topic).known(app, &app.catalog.pin()).await {
        Ok(known) => Refusal::NotFound(known.detail().to_owned()),
        Err(error) => Refusal::from(error),
    }
}

/// The rows of a small statement.
pub(super) async fn rows<T: DeserializeOwned>(app: &App, statement: &str) -> Result<Vec<T>> {
    let mut result = app.sql.query(statement).await?;
    let mut writer = arrow::json::ArrayWriter::new(Vec::new());
    while let Some(batch) = result.next().await? {
        writer.write(&batch)?;
        // rows have longer names than what is made of them
        if writer.get_mut().len() > app.max_answer().saturating_mul(4) {
            return Err(Error::Limit(format!(
                "the answer is longer than http.max_answer_bytes ({}); ask for less",
                app.config.http.max_answer_bytes
            )));
        }
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
