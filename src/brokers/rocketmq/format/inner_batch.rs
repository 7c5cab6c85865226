//! Items of an inner batch: the messages inside the body of one record (RocketMQ formats: batches).
//!
//! Also the body of a classic batch request. Item *i* of a record has queue offset `queue_offset + i`, its own flag,
//! body and properties, and inherits everything else from the record. The body is decompressed before it is split
//! (see [`super::body`]). Batches inside batches do not exist and are not looked for; the count that the outer
//! properties state is not used.

use super::properties::Properties;
use crate::codec::cursor::Cursor;

/// Most items of one batch; the rest is not read.
pub const MAX_ITEMS: usize = 100_000;
/// Bytes of an item apart from its body and properties.
const FIXED_BYTES: usize = 22;

/// One message of a batch, borrowed from the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// Application-defined, opaque.
    pub flag: i32,
    /// The body. Not compressed on its own.
    pub body: &'a [u8],
    /// The message's own properties.
    pub properties: Properties<'a>,
}

/// The items of a batch body, up to the first that is not whole.
#[derive(Debug, Clone)]
pub struct Items<'a> {
    rest: &'a [u8],
    read: usize,
}

/// Splits a decompressed batch body.
#[must_use]
pub const fn items(body: &[u8]) -> Items<'_> {
    Items { rest: body, read: 0 }
}

impl<'a> Items<'a> {
    /// The bytes not read. Not empty at the end of the iteration if the body is damaged or has too many items.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        if self.read >= MAX_ITEMS {
            return None;
        }
        let (item, size) = decode(self.rest)?;
        self.rest = self.rest.get(size..)?;
        self.read += 1;
        Some(item)
    }
}

fn decode(bytes: &[u8]) -> Option<(Item<'_>, usize)> {
    let size = usize::try_from(Cursor::new(bytes).i32().ok()?).ok()?;
    let mut cursor = Cursor::new(bytes.get(..size)?);
    // size, an unused magic and an unused CRC
    cursor.bytes(12).ok()?;
    let flag = cursor.i32().ok()?;
    let body_bytes = usize::try_from(cursor.i32().ok()?).ok()?;
    let body = cursor.bytes(body_bytes).ok()?;
    let property_bytes = usize::try_from(cursor.i16().ok()?).ok()?;
    let properties = Properties::new(cursor.bytes(property_bytes).ok()?);
    (cursor.remaining() == 0).then_some((Item { flag, body, properties }, size))
}

/// Appends an item.
///
/// The properties may have at most 32767 bytes and the whole item `i32::MAX`; longer ones get a wrapped length.
pub fn encode(out: &mut Vec<u8>, flag: i32, body: &[u8], properties: &[u8]) {
    let size = FIXED_BYTES + body.len() + properties.len();
    out.extend_from_slice(&(size as u32).to_be_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&flag.to_be_bytes());
    out.extend_from_slice(&(body.len() as u32).to_be_bytes());
    out.extend_from_slice(body);
    out.extend_from_slice(&(properties.len() as u16).to_be_bytes());
    out.extend_from_slice(properties);
}

#[cfg(test)]
#[path = "inner_batch_tests.rs"]
mod tests;
