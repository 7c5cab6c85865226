//! Bodies of messages, where they were kept.

use arrow::array::{Array, AsArray};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hashbrown::{HashMap, HashSet};

use super::super::App;
use crate::error::{Error, Result};
use crate::lake::schema::CONTENT;
use crate::query::Pinned;
use crate::query::lookup::{self, Numbers, StoredMessage, numbers, rows_at};

/// Place of a message: broker, queue, queue offset, time, and place in the log.
type Place = (String, i64, i64, i64, i64);

/// The kept bodies of some messages.
pub(super) async fn bodies_of(
    app: &App,
    pinned: &Pinned,
    system: &str,
    messages: &[StoredMessage],
) -> Result<HashMap<(String, Place), Vec<u8>>> {
    let mut by_topic: HashMap<&str, HashSet<lookup::Place<'_>>> = HashMap::new();
    // bodies of an older version do not tell the place in the log
    let mut places: HashMap<(&str, &str, i64, i64, i64), i64> = HashMap::new();
    for message in messages {
        // bodies of QMQ are told as attributes
        let Some(queue_id) = message.queue_id else { continue };
        by_topic.entry(&message.topic).or_default().insert(lookup::Place {
            broker: &message.broker,
            queue_id,
            sequence: message.queue_offset,
            create_time: message.order_time,
            physical_offset: message.physical_offset,
        });
        let (queue_offset, time) = (message.queue_offset, message.order_time);
        places.insert(
            (&message.topic, &message.broker, queue_id, queue_offset, time),
            message.physical_offset.unwrap_or(-1),
        );
    }
    let mut bodies = HashMap::new();
    let columns = ["broker_group", "queue_id", "sequence", "create_time", "body", "physical_offset"];
    for (topic, wanted) in by_topic {
        let table = pinned.table(&CONTENT)?;
        for batch in rows_at(&app.catalog.files, table, system, topic, &wanted, &columns).await? {
            let unexpected = || Error::Invariant("a file of `content` has unexpected columns".to_owned());
            let column = |name: &str| batch.column_by_name(name).ok_or_else(unexpected);
            let brokers = column("broker_group")?.as_string_opt::<i32>().ok_or_else(unexpected)?;
            let body = column("body")?.as_binary_opt::<i32>().ok_or_else(unexpected)?;
            let queues = numbers(&batch, "queue_id")?;
            let (offsets, times) = (numbers(&batch, "sequence")?, numbers(&batch, "create_time")?);
            let physical = numbers(&batch, "physical_offset").ok();
            for row in (0..batch.num_rows()).filter(|row| body.is_valid(*row)) {
                let number = |numbers: &Numbers<'_>| numbers.get(row).unwrap_or_default();
                let (broker, queue, offset, time) =
                    (brokers.value(row), number(&queues), number(&offsets), number(&times));
                let physical = physical.as_ref().and_then(|physical| physical.get(row));
                let asked = || places.get(&(topic, broker, queue, offset, time)).copied().unwrap_or(-1);
                let place = (broker.to_owned(), queue, offset, time, physical.unwrap_or_else(asked));
                bodies.insert((topic.to_owned(), place), body.value(row).to_vec());
            }
        }
    }
    Ok(bodies)
}

/// Where the body of a message is found.
pub(super) fn place_of(message: &StoredMessage) -> (String, Place) {
    let queue = message.queue_id.unwrap_or(-1);
    let physical = message.physical_offset.unwrap_or(-1);
    (
        message.topic.clone(),
        (message.broker.clone(), queue, message.queue_offset, message.order_time, physical),
    )
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
