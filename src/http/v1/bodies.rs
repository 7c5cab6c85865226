//! Reads the bodies of messages that were kept.

use arrow::array::{Array, AsArray};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hashbrown::{HashMap, HashSet};

use super::super::app::App;
use super::super::budget::Held;
use super::super::sized::json_bytes;
use crate::error::{Error, Result};
use crate::lake::schema::CONTENT;
use crate::query::Pinned;
use crate::query::lookup::{self, MessagePlace, Numbers, StoredMessage, numbers, rows_at};

/// Position of a message in its topic: broker, queue, queue offset, time, and physical offset.
type Position = (String, i64, i64, i64, i64);

/// The kept bodies of some messages.
pub(super) async fn bodies_of(
    app: &App,
    pinned: &Pinned,
    system: &str,
    messages: &[StoredMessage],
) -> Result<HashMap<(String, Position), Vec<u8>>> {
    let mut by_topic: HashMap<&str, HashSet<lookup::Position<'_>>> = HashMap::new();
    // bodies in files of older versions have no physical offset
    let mut physical_offsets: HashMap<(&str, &str, i64, i64, i64), i64> = HashMap::new();
    for message in messages {
        // for QMQ, bodies are shown as attributes
        let Some(queue_id) = message.queue_id else { continue };
        by_topic.entry(&message.topic).or_default().insert(lookup::Position {
            broker: &message.broker,
            queue_id,
            sequence: message.queue_offset,
            create_time: message.order_time,
            physical_offset: message.physical_offset,
        });
        let (queue_offset, time) = (message.queue_offset, message.order_time);
        physical_offsets.insert(
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
                let asked =
                    || physical_offsets.get(&(topic, broker, queue, offset, time)).copied().unwrap_or(-1);
                let position = (broker.to_owned(), queue, offset, time, physical.unwrap_or_else(asked));
                bodies.insert((topic.to_owned(), position), body.value(row).to_vec());
            }
        }
    }
    Ok(bodies)
}

/// Topic and position of a message, by which its body is found.
pub(super) fn position_of(message: &StoredMessage) -> (String, Position) {
    let queue = message.queue_id.unwrap_or(-1);
    let physical = message.physical_offset.unwrap_or(-1);
    (
        message.topic.clone(),
        (message.broker.clone(), queue, message.queue_offset, message.order_time, physical),
    )
}

/// Maximum bytes of bodies read at a time.
const STEP_BYTES: i64 = 4 << 20;
/// Maximum bytes of one byte as JSON.
const JSON_FACTOR: usize = 6;
/// Estimated bytes of a message as JSON without its texts.
const JSON_FRAME: usize = 1024;

/// Adds the bodies to messages: as text, or in base64 if they are not text.
pub(super) async fn with_bodies(
    app: &App,
    pinned: &Pinned,
    system: &str,
    messages: &mut [StoredMessage],
) -> Result<()> {
    let mut left = messages;
    while !left.is_empty() {
        let (step, rest) = left.split_at_mut(step(left));
        let mut bodies = bodies_of(app, pinned, system, step).await?;
        for message in step {
            match bodies.remove(&position_of(message)).map(String::from_utf8) {
                Some(Ok(text)) => message.body = Some(text),
                Some(Err(bytes)) => message.body_base64 = Some(STANDARD.encode(bytes.as_bytes())),
                None => {}
            }
        }
        left = rest;
    }
    Ok(())
}

/// How many of the first messages can have their bodies read at once.
pub(super) fn step(messages: &[StoredMessage]) -> usize {
    let mut bytes = 0;
    let fits = |message: &&StoredMessage| {
        bytes += message.body_size.unwrap_or(0).max(0);
        bytes <= STEP_BYTES
    };
    messages.iter().take_while(fits).count().max(1).min(messages.len())
}

/// Adds the bodies to the messages of a page, and leaves out the last messages if the answer would be too long. Returns
/// the reserved memory, and the sort key of the first message that was left out.
pub(super) async fn page_with_bodies(
    app: &App,
    pinned: &Pinned,
    system: &str,
    messages: &mut Vec<StoredMessage>,
) -> Result<(Held, Option<MessagePlace>)> {
    let mut expected = 0;
    let max_body = usize::try_from(app.config.import.max_body.as_u64()).unwrap_or(usize::MAX);
    let fits = |message: &&StoredMessage| {
        // longer bodies were not kept
        let body = usize::try_from(message.body_size.unwrap_or(0)).unwrap_or(0);
        let body = if body > max_body { 0 } else { body };
        expected += text_bytes(message) + body + body / 3;
        expected <= app.max_answer()
    };
    let count = messages.iter().take_while(fits).count().max(1);
    let mut next = messages.get(count).map(StoredMessage::place);
    messages.truncate(count);
    // twice, since they exist as rows and as text at the same time
    let held = app.answers.take(expected.saturating_mul(2), app.config.http.timeout).await?;
    with_bodies(app, pinned, system, messages).await?;
    if let Some(earlier) = cut(app, messages)? {
        next = Some(earlier);
    }
    Ok((held, next))
}

/// Leaves out the last messages of a page if the answer would be too long. Returns the sort key of the first one that
/// was left out.
///
/// # Errors
/// [`Error::Limit`] if the first message alone is too long.
pub(super) fn cut(app: &App, messages: &mut Vec<StoredMessage>) -> Result<Option<MessagePlace>> {
    let max = app.max_answer().saturating_sub(JSON_FRAME);
    let estimated = messages.iter().map(text_bytes).fold(0, usize::saturating_add);
    if estimated.saturating_mul(JSON_FACTOR) <= max {
        return Ok(None);
    }
    let (mut bytes, mut count) = (0, 0);
    for message in messages.iter() {
        bytes += json_bytes(message)? + 1;
        if bytes > max {
            break;
        }
        count += 1;
    }
    let next = messages.get(count).map(StoredMessage::place);
    if count == 0
        && let Some(message) = messages.first()
    {
        return Err(Error::Limit(format!(
            "message `{}` alone is longer than http.max_answer_bytes ({}); ask for it without its body",
            message.message_id, app.config.http.max_answer_bytes
        )));
    }
    messages.truncate(count);
    Ok(next)
}

/// Approximate bytes of the texts of a message.
fn text_bytes(message: &StoredMessage) -> usize {
    let keys = message.keys.iter().map(|key| key.len() + 4).sum::<usize>();
    let properties = message.properties.iter();
    let properties =
        properties.map(|(name, value)| name.len() + value.as_str().map_or(0, str::len) + 8).sum::<usize>();
    let texts = [&message.body, &message.body_base64, &message.tags, &message.own_id];
    let texts = texts.into_iter().flatten().map(String::len).sum::<usize>();
    JSON_FRAME + message.topic.len() + message.message_id.len() + keys + properties + texts
}
