//! How a broker walks its logs: one record at a time, and the index record of a message.
//!
//! What it cannot read it skips or dies of, as the broker does. It never checks a CRC and never resynchronises.

use mqlake::codec::cursor::{Cursor, Short};

const MESSAGE_MAGICS: [u32; 3] = [0xA1B2_C300, 0xA1B2_C301, 0xA1B2_C302];
const ACTION_MAGIC: u32 = 0xC3B2_A100;
/// The broker sees nothing in fewer bytes than this.
pub(super) const MIN_MESSAGE_BYTES: usize = 13;

/// A message record as the broker sees it.
pub(super) struct Message<'a> {
    pub(super) stored_ms: i64,
    pub(super) sequence: i64,
    pub(super) subject: &'a [u8],
    pub(super) payload: &'a [u8],
    /// Position after the record.
    pub(super) next: usize,
}

/// What the broker finds at a position.
pub(super) enum Step<'a> {
    More,
    /// The rest of what is written is skipped: an end marker, or bytes that are no record.
    Skip {
        marker: bool,
    },
    /// A blank prefix and the position after it.
    Blank(usize),
    Message(Message<'a>),
    /// The broker dies here.
    Poison,
}

pub(super) fn step(data: &[u8], pos: usize) -> Step<'_> {
    let rest = data.get(pos..).unwrap_or_default();
    if rest.len() < MIN_MESSAGE_BYTES {
        return Step::More;
    }
    step_whole(rest, pos).unwrap_or(Step::More)
}

fn step_whole(rest: &[u8], pos: usize) -> Result<Step<'_>, Short> {
    let mut cursor = Cursor::new(rest);
    let (magic, attribute, stored_ms) = (cursor.u32()?, cursor.i8()?, cursor.i64()?);
    let known = MESSAGE_MAGICS.contains(&magic);
    if !known || attribute == 1 {
        return Ok(Step::Skip { marker: known });
    }
    let used = |cursor: &Cursor<'_>| pos + rest.len() - cursor.remaining();
    if attribute == 2 {
        let size = usize::try_from(cursor.i32()?);
        return Ok(size.map_or(Step::Poison, |size| Step::Blank(used(&cursor) + size)));
    }
    let sequence = cursor.i64()?;
    let Ok(length) = usize::try_from(cursor.i16()?) else { return Ok(Step::Poison) };
    let subject = cursor.bytes(length)?;
    if magic != MESSAGE_MAGICS[0] {
        cursor.i64()?;
    }
    let Ok(length) = usize::try_from(cursor.i32()?) else { return Ok(Step::Poison) };
    let payload = cursor.bytes(length)?;
    Ok(Step::Message(Message { stored_ms, sequence, subject, payload, next: used(&cursor) }))
}

/// What type 5 makes of a message.
pub(super) enum Entry<'a> {
    Record {
        create_ms: i64,
        subject: &'a [u8],
        id: &'a [u8],
    },
    /// Empty subject or id; the broker needs this much room in the answer to find out.
    Skipped {
        room: usize,
    },
}

impl Entry<'_> {
    pub(super) fn room(&self) -> usize {
        match self {
            Self::Record { subject, id, .. } => 20 + subject.len() + id.len(),
            Self::Skipped { room } => *room,
        }
    }

    pub(super) fn write(&self, sequence: i64, out: &mut Vec<u8>) {
        let Self::Record { create_ms, subject, id } = self else { return };
        out.extend_from_slice(&sequence.to_be_bytes());
        out.extend_from_slice(&create_ms.to_be_bytes());
        for text in [subject, id] {
            out.extend_from_slice(&(text.len() as u16).to_be_bytes());
            out.extend_from_slice(text);
        }
    }
}

/// The index entry of a payload; an error kills the broker's worker.
pub(super) fn entry(payload: &[u8]) -> Result<Entry<'_>, Short> {
    let mut cursor = Cursor::new(payload);
    cursor.u8()?;
    let create_ms = cursor.i64()?;
    cursor.i64()?;
    let mut text = || {
        let length = cursor.i16()?;
        usize::try_from(length).map_or(Ok(&[][..]), |length| cursor.bytes(length))
    };
    let subject = text()?;
    if subject.is_empty() {
        return Ok(Entry::Skipped { room: 16 });
    }
    let id = text()?;
    if id.is_empty() {
        return Ok(Entry::Skipped { room: 18 + subject.len() });
    }
    Ok(Entry::Record { create_ms, subject, id })
}

/// The same in the action log.
pub(super) enum ActionStep {
    Record { time_ms: i64, next: usize },
    Marker,
    Bad,
}

pub(super) fn action(data: &[u8], pos: usize) -> Result<ActionStep, Short> {
    let mut cursor = Cursor::new(data.get(pos..).unwrap_or_default());
    if cursor.u32()? != ACTION_MAGIC {
        return Ok(ActionStep::Bad);
    }
    let attribute = cursor.i8()?;
    if attribute == 1 {
        return Ok(ActionStep::Marker);
    }
    if attribute == 2 {
        let next = usize::try_from(cursor.i32()?).unwrap_or(0);
        return Ok(if next > pos { ActionStep::Record { time_ms: 0, next } } else { ActionStep::Bad });
    }
    cursor.i8()?;
    let Ok(size) = usize::try_from(cursor.i32()?) else { return Ok(ActionStep::Bad) };
    let payload = cursor.bytes(size)?;
    let time_ms = action_time(payload).unwrap_or(0);
    Ok(ActionStep::Record { time_ms, next: pos + 10 + size })
}

fn action_time(payload: &[u8]) -> Result<i64, Short> {
    let mut cursor = Cursor::new(payload);
    for _ in 0..3 {
        cursor.bytes_u16()?;
    }
    cursor.i64()
}
