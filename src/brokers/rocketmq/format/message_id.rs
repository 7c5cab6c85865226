//! Message ids: the client's unique id, the broker's offset id, and the id of gRPC clients (RocketMQ formats:
//! message identifiers).
//!
//! Ids are split into their fields, never judged: clients in some languages fill the fields with other things, and any
//! text can be the id of a message. No id is looked up here.

use std::fmt;
use std::net::IpAddr;

use chrono::{DateTime, Datelike, Duration, NaiveDate, TimeZone};

use crate::codec::cursor::{Cursor, Short};
use crate::codec::offset_id::{OffsetId, read_ip, write_hex, write_ip};

/// 2021-01-01T00:00:00Z in seconds since the Unix epoch, from which gRPC ids count.
const GRPC_EPOCH_SECONDS: i64 = 1_609_459_200;
const GRPC_VERSION: u8 = 1;
const V4_BYTES: usize = 16;
const V6_BYTES: usize = 28;
const GRPC_BYTES: usize = 17;
/// Times outside the years 2000 to 2099 are not candidates for the creation time of an id.
const CANDIDATES_MS: std::ops::Range<i64> = 946_684_800_000..4_102_444_800_000;

/// What the text of an id can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageId {
    /// 32 or 56 hex digits. Unique ids and offset ids look the same: only a look-up shows which it is, and it can be
    /// both. See [`OffsetId::is_plausible`].
    Classic {
        /// The id read as a client's unique id.
        unique: UniqueId,
        /// The id read as a broker's offset id.
        offset: OffsetId,
    },
    /// 34 hex digits that begin with `01`: the unique id of a gRPC client.
    Grpc(GrpcId),
    /// Anything else: defined by the application.
    Other,
}

impl MessageId {
    /// Splits an id into its fields; hex digits may be of either case.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut bytes = [0; V6_BYTES];
        let Some(bytes) = unhex(text, &mut bytes) else { return Self::Other };
        let read = match bytes.len() {
            V4_BYTES | V6_BYTES => UniqueId::read(bytes)
                .and_then(|unique| Ok(Self::Classic { unique, offset: OffsetId::read(bytes)? })),
            GRPC_BYTES if bytes.first() == Some(&GRPC_VERSION) => GrpcId::read(bytes).map(Self::Grpc),
            _ => return Self::Other,
        };
        read.unwrap_or(Self::Other)
    }
}

/// The unique id that a remoting client gives a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UniqueId {
    /// Address of the client. Only a hint: without a network it is part of a time.
    pub ip: IpAddr,
    /// Low half of the process id.
    pub pid: u16,
    /// Distinguishes several clients in one process; opaque.
    pub loader: u32,
    /// Milliseconds since the start of the month in the client's time zone. More than a month if the clock was set
    /// back.
    pub span_ms: u32,
    /// Counts the ids of a process, and wraps.
    pub counter: u16,
}

impl UniqueId {
    fn read(bytes: &[u8]) -> Result<Self, Short> {
        let mut cursor = Cursor::new(bytes);
        Ok(Self {
            ip: read_ip(&mut cursor)?,
            pid: cursor.u16()?,
            loader: cursor.u32()?,
            span_ms: cursor.u32()?,
            counter: cursor.u16()?,
        })
    }

    /// When the id was made, in milliseconds since the Unix epoch, judged from a time at most about a month later.
    ///
    /// The id names neither month nor year. `reference_ms` is the record's born or store time plus a day of slack,
    /// never the present; `zone` is that of the producing host. `None` if the id fits no time near the reference.
    #[must_use]
    pub fn near_time<Z: TimeZone>(&self, reference_ms: i64, zone: &Z) -> Option<i64> {
        let span = i64::from(self.span_ms);
        let month = Month::of(reference_ms, zone)?;
        let start = month.start(zone)?;
        let near = start.checked_add(span)?;
        if near < reference_ms {
            return Some(near);
        }
        let earlier = month.previous()?.start(zone)?.checked_add(span)?;
        (earlier < start).then_some(earlier)
    }

    /// All times from `from_ms` to `to_ms` (inclusive, milliseconds since the Unix epoch, in the years 2000 to 2099)
    /// at which the id can have been made: at most one for each month.
    #[must_use]
    pub fn candidates<Z: TimeZone>(&self, from_ms: i64, to_ms: i64, zone: &Z) -> Vec<i64> {
        let from = from_ms.max(CANDIDATES_MS.start);
        let to = to_ms.min(CANDIDATES_MS.end);
        let mut found = Vec::new();
        let mut next = if from <= to { Month::of(from, zone) } else { None };
        while let Some(month) = next {
            let following = month.following();
            let Some(start) = month.start(zone).filter(|start| *start <= to) else { break };
            let time = start.saturating_add(i64::from(self.span_ms));
            let end = following.and_then(|month| month.start(zone));
            if (from..=to).contains(&time) && end.is_some_and(|end| time < end) {
                found.push(time);
            }
            next = following;
        }
        found
    }
}

impl fmt::Display for UniqueId {
    /// 32 or 56 hex digits in upper case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_ip(f, self.ip)?;
        write!(f, "{:04X}{:08X}{:08X}{:04X}", self.pid, self.loader, self.span_ms, self.counter)
    }
}

/// The unique id of a gRPC client, version 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GrpcId {
    /// Hardware address of the client, or random bytes.
    pub mac: [u8; 6],
    /// Low half of the process id.
    pub pid: u16,
    /// Seconds since the start of 2021, in UTC or the client's time zone.
    pub seconds: u32,
    /// Counts the ids of a process.
    pub sequence: u32,
}

impl GrpcId {
    /// When the id was made, in milliseconds since the Unix epoch; up to 14 hours off, because some clients count
    /// from the start of 2021 in their own time zone.
    #[must_use]
    pub fn time_ms(&self) -> i64 {
        (GRPC_EPOCH_SECONDS + i64::from(self.seconds)) * 1000
    }

    fn read(bytes: &[u8]) -> Result<Self, Short> {
        let mut cursor = Cursor::new(bytes);
        cursor.u8()?;
        Ok(Self {
            mac: cursor.bytes(6)?.try_into().map_err(|_| Short)?,
            pid: cursor.u16()?,
            seconds: cursor.u32()?,
            sequence: cursor.u32()?,
        })
    }
}

impl fmt::Display for GrpcId {
    /// 34 hex digits in upper case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{GRPC_VERSION:02X}")?;
        write_hex(f, &self.mac)?;
        write!(f, "{:04X}{:08X}{:08X}", self.pid, self.seconds, self.sequence)
    }
}

/// A month of a calendar, whatever the zone.
#[derive(Clone, Copy)]
struct Month {
    first_day: NaiveDate,
}

impl Month {
    fn of<Z: TimeZone>(time_ms: i64, zone: &Z) -> Option<Self> {
        let local = DateTime::from_timestamp_millis(time_ms)?.with_timezone(zone);
        Some(Self { first_day: local.date_naive().with_day(1)? })
    }

    /// The first instant of the month in milliseconds since the Unix epoch.
    fn start<Z: TimeZone>(self, zone: &Z) -> Option<i64> {
        let midnight = self.first_day.and_hms_opt(0, 0, 0)?;
        // a day whose midnight was skipped by a clock change begins a little later
        (0..=4)
            .find_map(|halves| {
                zone.from_local_datetime(&(midnight + Duration::minutes(30 * halves))).earliest()
            })
            .map(|start| start.timestamp_millis())
    }

    fn previous(self) -> Option<Self> {
        Some(Self { first_day: self.first_day.pred_opt()?.with_day(1)? })
    }

    fn following(self) -> Option<Self> {
        let first_day = match self.first_day.month() {
            12 => NaiveDate::from_ymd_opt(self.first_day.year().checked_add(1)?, 1, 1)?,
            month => self.first_day.with_month(month + 1)?,
        };
        Some(Self { first_day })
    }
}

/// The bytes behind hex digits, if the text is nothing else and they fit.
fn unhex<'a>(text: &str, bytes: &'a mut [u8]) -> Option<&'a [u8]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let bytes = bytes.get_mut(..pairs.len())?;
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

fn digit(character: u8) -> Option<u8> {
    char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
#[path = "message_id_tests.rs"]
mod tests;
