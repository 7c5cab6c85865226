//! The JSON header, type 0 (RocketMQ remoting: JSON header).
//!
//! It is written strictly, with members in alphabetical order, and read tolerantly: unknown members are ignored, absent
//! and null ones have their default, and a field may be a number or a boolean although Java writes texts only.

use bytes::Bytes;
use serde::ser::{Serialize, Serializer};

use super::command::{Command, Language};
use super::header_error::{EncodeError, HeaderError};
use crate::brokers::rocketmq::format::json;
use crate::brokers::rocketmq::format::json::Value;

/// Reads the header. The command has no body yet.
pub(super) fn decode(header: &[u8]) -> Result<Command, HeaderError> {
    let header = json::parse(header).map_err(HeaderError::Json)?;
    if !matches!(header, Value::Map(_)) {
        return Err(HeaderError::NotAnObject);
    }
    let fields = match header.get("extFields") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Map(entries)) => entries.iter().filter_map(field).collect(),
        Some(_) => return Err(HeaderError::BadMember("extFields")),
    };
    let remark = match header.get("remark") {
        None | Some(Value::Null) => None,
        Some(remark) => text(remark),
    };
    let language = header.get("language").and_then(Value::as_str);
    Ok(Command {
        code: number(&header, "code")?,
        language: language.map_or(Language::Java, Language::from_name),
        version: number(&header, "version")?,
        opaque: number(&header, "opaque")?,
        flag: number(&header, "flag")?,
        remark,
        fields,
        body: Bytes::new(),
    })
}

fn number(header: &Value, name: &'static str) -> Result<i32, HeaderError> {
    match header.get(name) {
        None | Some(Value::Null) => Ok(0),
        Some(value) => {
            let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
            number.ok_or(HeaderError::BadMember(name))
        }
    }
}

fn field((name, value): &(Value, Value)) -> Option<(String, String)> {
    Some((text(name)?, text(value)?))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) | Value::Word(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

/// Appends the header.
pub(super) fn encode(out: &mut Vec<u8>, command: &Command) -> Result<(), EncodeError> {
    let header = Header {
        code: command.code,
        ext_fields: Fields(&command.fields),
        flag: command.flag,
        language: command.language.name(),
        opaque: command.opaque,
        remark: command.remark.as_deref(),
        serialize_type: "JSON",
        version: command.version,
    };
    serde_json::to_writer(out, &header).map_err(|_| EncodeError::DoesNotFit("header"))
}

#[derive(serde::Serialize)]
struct Header<'a> {
    code: i32,
    #[serde(rename = "extFields")]
    ext_fields: Fields<'a>,
    flag: i32,
    language: &'a str,
    opaque: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    remark: Option<&'a str>,
    /// Java does not need it, but servers written in Rust close the connection without it.
    #[serde(rename = "serializeTypeCurrentRPC")]
    serialize_type: &'a str,
    version: i32,
}

struct Fields<'a>(&'a [(String, String)]);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}
