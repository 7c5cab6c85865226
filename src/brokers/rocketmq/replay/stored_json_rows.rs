//! A stored message as JSON, inline in `message_key`, so that one run of rows answers a look-up by key.
//!
//! Names and values are those of `/api/v1/messages`. [`crate::query::lookup::StoredMessage`] reads the text back, and a
//! message found by its key equals the one found by its id.

use std::fmt::Display;

use serde::ser::{SerializeMap, Serializer};
use serde::{Serialize, ser};

use crate::codec::offset_id::OffsetId;
use crate::rows::NO_NUMBER;

/// The fields in the order of the answer.
#[derive(Serialize)]
pub(super) struct StoredJson<'a> {
    pub topic: &'a str,
    pub origin_topic: Option<&'a str>,
    pub kind: &'static str,
    pub consumer_group: Option<&'a str>,
    pub broker: &'a str,
    pub queue_id: Number,
    pub queue_offset: i64,
    pub message_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub own_id: &'a str,
    #[serde(serialize_with = "displayed")]
    pub offset_message_id: Option<OffsetId>,
    pub keys: Vec<&'a str>,
    pub tags: Option<&'a str>,
    pub born_time: i64,
    pub store_time: i64,
    pub born_host: &'a str,
    pub store_host: &'a str,
    pub body_size: Number,
    pub stored_size: Number,
    pub reconsume_times: Number,
    pub flag: Number,
    pub sys_flag: Number,
    pub body_crc: Number,
    pub physical_offset: i64,
    pub prepared_transaction_offset: i64,
    pub properties: PropertyMap<'a>,
}

/// A number that becomes null if it is not known.
pub(super) struct Number(pub i32);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            NO_NUMBER => serializer.serialize_none(),
            number => serializer.serialize_i32(number),
        }
    }
}

/// Properties, each name once.
pub(super) struct PropertyMap<'a>(pub &'a [(&'a [u8], &'a [u8])]);

impl Serialize for PropertyMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(&String::from_utf8_lossy(name), &String::from_utf8_lossy(value))?;
        }
        map.end()
    }
}

fn displayed<S: Serializer, T: Display>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => ser::Serializer::serialize_none(serializer),
    }
}
