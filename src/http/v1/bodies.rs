//! Bodies of messages, where they were kept.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hashbrown::HashMap;

use super::super::App;
use crate::error::{Error, Result};
use crate::lake::schema::CONTENT;
use crate::query::Pinned;
use crate::query::lookup::{Condition, StoredMessage, find};

/// Place of a message: broker, queue, queue offset, time.
type Place = (String, i64, i64, i64);

/// The kept bodies of some messages.
pub(super) async fn bodies_of(
    app: &App,
    pinned: &Pinned,
    system: &str,
    messages: &[StoredMessage],
) -> Result<HashMap<(String, Place), Vec<u8>>> {
    let mut by_topic: HashMap<&str, Vec<&StoredMessage>> = HashMap::new();
    for message in messages {
        by_topic.entry(&message.topic).or_default().push(message);
    }
    let mut bodies = HashMap::new();
    for (topic, messages) in by_topic {
        let mut offsets: Vec<i64> = messages.iter().map(|message| message.queue_offset).collect();
        offsets.sort_unstable();
        offsets.dedup();
        let conditions =
            [Condition::AnyNumber("sequence", Arc::from(offsets)), Condition::text("system", system)];
        let columns = ["broker_group", "queue_id", "sequence", "create_time", "body"];
        let table = pinned.table(&CONTENT)?;
        for batch in find(&app.catalog.files, table, topic, &conditions, &columns).await? {
            let unexpected = || Error::Invariant("a file of `content` has unexpected columns".to_owned());
            let column = |name: &str| batch.column_by_name(name).ok_or_else(unexpected);
            let brokers = column("broker_group")?.as_string_opt::<i32>().ok_or_else(unexpected)?;
            let body = column("body")?.as_binary_opt::<i32>().ok_or_else(unexpected)?;
            let queues = column("queue_id")?
                .as_primitive_opt::<arrow::datatypes::Int32Type>()
                .ok_or_else(unexpected)?;
            let offsets = column("sequence")?
                .as_primitive_opt::<arrow::datatypes::Int64Type>()
                .ok_or_else(unexpected)?;
            let times = column("create_time")?
                .as_primitive_opt::<arrow::datatypes::TimestampMillisecondType>()
                .ok_or_else(unexpected)?;
            for row in (0..batch.num_rows()).filter(|row| body.is_valid(*row) && queues.is_valid(*row)) {
                let place = (
                    brokers.value(row).to_owned(),
                    i64::from(queues.value(row)),
                    offsets.value(row),
                    times.value(row),
                );
                bodies.insert((topic.to_owned(), place), body.value(row).to_vec());
            }
        }
    }
    Ok(bodies)
}

/// Where the body of a message is found.
pub(super) fn place_of(message: &StoredMessage) -> (String, Place) {
    let queue = message.queue_id.unwrap_or(-1);
    (message.topic.clone(), (message.broker.clone(), queue, message.queue_offset, message.order_time))
}

/// Adds the bodies to messages: as text, or in base64 if they are none.
pub(super) async fn with_bodies(
    app: &App,
    pinned: &Pinned,
    system: &str,
    messages: &mut [StoredMessage],
) -> Result<()> {
    let mut bodies = bodies_of(app, pinned, system, messages).await?;
    for message in messages {
        match bodies.remove(&place_of(message)).map(String::from_utf8) {
            Some(Ok(text)) => message.body = Some(text),
            Some(Err(bytes)) => message.body_base64 = Some(STANDARD.encode(bytes.as_bytes())),
            None => {}
        }
    }
    Ok(())
}
