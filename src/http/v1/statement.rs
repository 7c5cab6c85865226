//! Runs our own small statements, and writes times for them.

use serde::de::DeserializeOwned;

use super::super::app::App;
use crate::error::{Error, Result};

/// The rows of a small statement.
pub(super) async fn rows<T: DeserializeOwned>(app: &App, statement: &str) -> Result<Vec<T>> {
    let mut result = app.sql.query(statement).await?;
    let mut writer = arrow::json::ArrayWriter::new(Vec::new());
    while let Some(batch) = result.next().await? {
        writer.write(&batch)?;
        // these rows have longer names than the answer made of them
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

/// A time as an SQL expression, clamped to what columns can hold.
pub(super) fn timestamp(ms: i64) -> String {
    // the years 1 to 9999
    let ms = ms.clamp(-62_135_596_800_000, 253_402_300_799_999);
    format!("arrow_cast({ms}, 'Timestamp(Millisecond, Some(\"UTC\"))')")
}
