//! Decoding of a trace body into events.
//!
//! The body is the text of a trace message after decompression, or the same text from another source. One bad record
//! never hides another: it comes back as [`Undecoded`] with its bytes, for the caller to keep and count. Nothing is
//! looked up elsewhere, so a value that only another event has stays absent.

use std::iter::FusedIterator;
use std::str::FromStr;

use thiserror::Error;

use super::event::{Text, TraceEvent};
use super::kind::Kind;
use super::{FIELD_SEPARATOR, RECORD_SEPARATOR};

/// Fields of the longest record that is known, a `Pub` with client host.
const MAX_KNOWN_FIELDS: usize = 15;

/// How much of a body is decoded. The rest comes back undecoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body. Clients write about 128,000 characters at most.
    pub body_bytes: usize,
    /// Records of a body.
    pub records: u32,
    /// Fields of a record, its type word included.
    pub fields: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body_bytes: 16 << 20, records: 100_000, fields: 64 }
    }
}

/// Bytes of a body that are not an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undecoded<'a> {
    /// Index in the body, counted as [`TraceEvent::event`].
    pub event: u32,
    /// What is wrong.
    pub reason: Reason,
    /// The record without its end. With [`Reason::BodyTooLong`] and [`Reason::TooManyRecords`], the whole rest of the
    /// body.
    pub raw: &'a [u8],
}

/// Why bytes of a body are not an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Reason {
    /// The first field is not a known type word.
    #[error("unknown type of trace record")]
    UnknownType,
    /// Fields that all versions of the type have are missing.
    #[error("trace record of {found} fields, at least {needed} needed")]
    TooFewFields {
        /// Fields found, trailing empty ones not counted.
        found: usize,
        /// Fields that the type needs.
        needed: usize,
    },
    /// The record has more fields than allowed.
    #[error("trace record of {found} fields, more than {limit}")]
    TooManyFields {
        /// Fields found.
        found: usize,
        /// [`Limits::fields`].
        limit: usize,
    },
    /// A field that holds a number holds something else, or a number out of range.
    #[error("bad number in field {field} of a trace record")]
    BadNumber {
        /// Name of the field, as in [`TraceEvent`].
        field: &'static str,
    },
    /// The body continues beyond [`Limits::records`].
    #[error("more than {limit} records in a trace body")]
    TooManyRecords {
        /// [`Limits::records`].
        limit: u32,
    },
    /// The body continues beyond [`Limits::body_bytes`].
    #[error("trace body of more than {limit} bytes")]
    BodyTooLong {
        /// [`Limits::body_bytes`].
        limit: usize,
    },
}

impl Reason {
    /// A short stable name, for counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownType => "unknown_type",
            Self::TooFewFields { .. } => "too_few_fields",
            Self::TooManyFields { .. } => "too_many_fields",
            Self::BadNumber { .. } => "bad_number",
            Self::TooManyRecords { .. } => "too_many_records",
            Self::BodyTooLong { .. } => "body_too_long",
        }
    }
}

/// Whether a body, after decompression, starts as that of a trace message does: with a known type word and a field
/// separator.
#[must_use]
pub fn looks_like_trace(body: &[u8]) -> bool {
    Kind::ALL.iter().any(|kind| {
        body.strip_prefix(kind.word().as_bytes()).and_then(<[u8]>::first) == Some(&FIELD_SEPARATOR)
    })
}

/// Decodes a trace body, after decompression. The last record may lack its end.
#[must_use]
pub fn decode(body: &[u8], limits: Limits) -> Decoder<'_> {
    let end = match body.get(..limits.body_bytes) {
        // Cut behind the last record that ends within the limit.
        Some(head) if head.len() < body.len() => {
            head.iter().rposition(|byte| *byte == RECORD_SEPARATOR).map_or(0, |last| last + 1)
        }
        _ => body.len(),
    };
    let (rest, beyond) = body.split_at_checked(end).unwrap_or((body, &[]));
    Decoder { body, limits, rest, beyond, event: 0 }
}

/// The records of a body in order, see [`decode()`].
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    body: &'a [u8],
    limits: Limits,
    rest: &'a [u8],
    /// The bytes behind `rest`, beyond the limit.
    beyond: &'a [u8],
    event: u32,
}

impl<'a> Iterator for Decoder<'a> {
    type Item = Result<TraceEvent<'a>, Undecoded<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        while let [RECORD_SEPARATOR, rest @ ..] = self.rest {
            self.rest = rest;
        }
        let event = self.event;
        if self.rest.is_empty() {
            let raw = std::mem::take(&mut self.beyond);
            let reason = Reason::BodyTooLong { limit: self.limits.body_bytes };
            return (!raw.is_empty()).then_some(Err(Undecoded { event, reason, raw }));
        }
        if event >= self.limits.records {
            let at = self.body.len() - self.rest.len() - self.beyond.len();
            let raw = self.body.get(at..).unwrap_or(self.rest);
            (self.rest, self.beyond) = (&[], &[]);
            let reason = Reason::TooManyRecords { limit: self.limits.records };
            return Some(Err(Undecoded { event, reason, raw }));
        }
        let end = self.rest.iter().position(|byte| *byte == RECORD_SEPARATOR).unwrap_or(self.rest.len());
        let end = self.rest.get(..end).and_then(unended).unwrap_or(end);
        let (raw, rest) = self.rest.split_at_checked(end)?;
        (self.rest, self.event) = (rest, event + 1);
        Some(record(raw, event, self.limits.fields).map_err(|reason| Undecoded { event, reason, raw }))
    }
}

impl FusedIterator for Decoder<'_> {}

/// Where a `SubAfter` without an end marker ends. Some clients write it with seven fields and nothing between it and
/// the next record, whose type word then stands in place of the time.
fn unended(raw: &[u8]) -> Option<usize> {
    const FIELDS: usize = 7;
    raw.strip_prefix(Kind::SubAfter.word().as_bytes())
        .filter(|rest| rest.first() == Some(&FIELD_SEPARATOR))?;
    let mut separators = raw.iter().enumerate().filter(|(_, byte)| **byte == FIELD_SEPARATOR);
    let (end, _) = separators.nth(FIELDS - 1)?;
    let next = raw.get(end + 1..)?;
    Kind::from_word(next.split(is_separator).next()?).map(|_| end + 1)
}

/// Decodes one record, given without its end.
fn record(raw: &[u8], event: u32, max_fields: usize) -> Result<TraceEvent<'_>, Reason> {
    let fields = Fields::new(raw);
    let [word, ..] = fields.known;
    let kind = Kind::from_word(word).ok_or(Reason::UnknownType)?;
    if fields.count > max_fields {
        return Err(Reason::TooManyFields { found: fields.count, limit: max_fields });
    }
    let event = TraceEvent::new(kind, event);
    match kind {
        Kind::Pub => publication(event, &fields),
        Kind::SubBefore => before_listener(event, &fields),
        Kind::SubAfter => after_listener(event, &fields),
        Kind::EndTransaction => end_transaction(event, &fields),
        Kind::Recall => recall(event, &fields),
    }
}

/// A record cut into fields. Trailing empty fields are not counted, because splitters of some clients drop them.
struct Fields<'a> {
    record: &'a [u8],
    count: usize,
    /// The first fields; empty behind the last.
    known: [&'a [u8]; MAX_KNOWN_FIELDS],
}

impl<'a> Fields<'a> {
    fn new(raw: &'a [u8]) -> Self {
        let mut record = raw;
        while let [head @ .., FIELD_SEPARATOR] = record {
            record = head;
        }
        let mut known: [&[u8]; MAX_KNOWN_FIELDS] = [&[]; MAX_KNOWN_FIELDS];
        let mut count = 0;
        for field in record.split(is_separator) {
            if let Some(slot) = known.get_mut(count) {
                *slot = field;
            }
            count += 1;
        }
        Self { record, count, known }
    }

    fn at_least(&self, needed: usize) -> Result<(), Reason> {
        if self.count < needed { Err(Reason::TooFewFields { found: self.count, needed }) } else { Ok(()) }
    }

    /// The fields behind the first `known` ones.
    fn extra(&self, known: usize) -> Text<'a> {
        self.record.splitn(known + 1, is_separator).nth(known).map(String::from_utf8_lossy)
    }
}

const fn is_separator(byte: &u8) -> bool {
    *byte == FIELD_SEPARATOR
}

fn text(field: &[u8]) -> Text<'_> {
    (!is_absent(field)).then(|| String::from_utf8_lossy(field))
}

fn number<T: FromStr>(name: &'static str, field: &[u8]) -> Result<Option<T>, Reason> {
    if is_absent(field) {
        return Ok(None);
    }
    let parsed = std::str::from_utf8(field).ok().and_then(|text| text.parse().ok());
    parsed.map(Some).ok_or(Reason::BadNumber { field: name })
}

/// Clients write the word `null` for most missing values.
fn is_absent(field: &[u8]) -> bool {
    field.is_empty() || field == b"null"
}

/// As in the clients' own reader, every text but `true`, in any case, is false.
const fn flag(field: &[u8]) -> bool {
    field.eq_ignore_ascii_case(b"true")
}

/// Whether a text can be an address or the name of a host, with or without a port.
fn is_host(text: &str) -> bool {
    let is_of_host = |c: char| c.is_ascii_alphanumeric() || ".:-_%[]@".contains(c);
    text.len() <= 255 && text.chars().all(is_of_host) && text.contains(|c: char| c.is_ascii_alphanumeric())
}

fn publication<'a>(event: TraceEvent<'a>, fields: &Fields<'a>) -> Result<TraceEvent<'a>, Reason> {
    fields.at_least(12)?;
    let [
        _,
        time_stamp,
        region_id,
        group_name,
        topic,
        msg_ids,
        tags,
        keys,
        host,
        length,
        cost,
        msg_type,
        tail @ ..,
    ] = fields.known;
    // The oldest clients end with the type, the next ones with success; then the offset id came before it.
    let [twelfth, thirteenth, client_host] = tail;
    let (offset_msg_ids, success): (&[u8], bool) = match fields.count {
        12 => (&[], true),
        13 => (&[], flag(twelfth)),
        _ => (twelfth, flag(thirteenth)),
    };
    Ok(TraceEvent {
        time_stamp: number("time_stamp", time_stamp)?,
        region_id: text(region_id),
        group_name: text(group_name),
        topic: text(topic),
        msg_ids: text(msg_ids),
        tags: text(tags),
        keys: text(keys),
        store_host: text(host),
        body_length: number("body_length", length)?,
        cost_time: number("cost_time", cost)?,
        msg_type: number("msg_type", msg_type)?,
        offset_msg_ids: text(offset_msg_ids),
        success: Some(success),
        success_derived: fields.count == 12,
        client_host: text(client_host),
        extra: fields.extra(15),
        ..event
    })
}

fn before_listener<'a>(event: TraceEvent<'a>, fields: &Fields<'a>) -> Result<TraceEvent<'a>, Reason> {
    fields.at_least(7)?;
    let [_, time_stamp, region_id, group_name, request_id, msg_id, retry_times, keys, host, ..] =
        fields.known;
    // Go clients and Java 4.8 write their address behind the keys; all others write nothing there.
    let client_host = text(host).filter(|host| is_host(host));
    let known = if client_host.is_some() || is_absent(host) { 9 } else { 8 };
    Ok(TraceEvent {
        time_stamp: number("time_stamp", time_stamp)?,
        region_id: text(region_id),
        group_name: text(group_name),
        request_id: text(request_id),
        msg_ids: text(msg_id),
        retry_times: number("retry_times", retry_times)?,
        keys: text(keys),
        extra: fields.extra(known),
        client_host,
        ..event
    })
}

fn after_listener<'a>(event: TraceEvent<'a>, fields: &Fields<'a>) -> Result<TraceEvent<'a>, Reason> {
    // The oldest clients write six fields; the last, the keys, may be empty.
    fields.at_least(5)?;
    let [_, request_id, msg_id, cost, success, keys, code, time_stamp, group_name, ..] = fields.known;
    let success = flag(success);
    let context_code = number("context_code", code)?;
    Ok(TraceEvent {
        request_id: text(request_id),
        msg_ids: text(msg_id),
        cost_time: number("cost_time", cost)?,
        success: Some(success),
        keys: text(keys),
        context_code: Some(context_code.unwrap_or(if success { 0 } else { 4 })),
        context_code_derived: context_code.is_none(),
        time_stamp: number("time_stamp", time_stamp)?,
        group_name: text(group_name),
        extra: fields.extra(9),
        ..event
    })
}

fn end_transaction<'a>(event: TraceEvent<'a>, fields: &Fields<'a>) -> Result<TraceEvent<'a>, Reason> {
    fields.at_least(13)?;
    let [
        _,
        time_stamp,
        region_id,
        group_name,
        topic,
        msg_id,
        tags,
        keys,
        host,
        msg_type,
        id,
        state,
        check,
        ..,
    ] = fields.known;
    Ok(TraceEvent {
        time_stamp: number("time_stamp", time_stamp)?,
        region_id: text(region_id),
        group_name: text(group_name),
        topic: text(topic),
        msg_ids: text(msg_id),
        tags: text(tags),
        keys: text(keys),
        store_host: text(host),
        msg_type: number("msg_type", msg_type)?,
        transaction_id: text(id),
        transaction_state: text(state),
        from_transaction_check: Some(flag(check)),
        extra: fields.extra(13),
        ..event
    })
}

fn recall<'a>(event: TraceEvent<'a>, fields: &Fields<'a>) -> Result<TraceEvent<'a>, Reason> {
    fields.at_least(7)?;
    let [_, time_stamp, region_id, group_name, topic, msg_id, success, ..] = fields.known;
    Ok(TraceEvent {
        time_stamp: number("time_stamp", time_stamp)?,
        region_id: text(region_id),
        group_name: text(group_name),
        topic: text(topic),
        msg_ids: text(msg_id),
        success: Some(flag(success)),
        extra: fields.extra(7),
        ..event
    })
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
