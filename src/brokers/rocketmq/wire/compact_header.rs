//! The compact header, type 1 (RocketMQ remoting: compact header).
//!
//! It holds fixed numbers, then remark and fields with their lengths. An empty text and an absent one look the same, so
//! fields with an empty name or value are neither written nor read. Invalid UTF-8 is replaced, as Java does.

use bytes::Bytes;

use super::command::{Command, Language};
use super::header_error::{EncodeError, HeaderError};

/// Reads the header. The command has no body yet.
pub(super) fn decode(header: &[u8]) -> Result<Command, HeaderError> {
    let mut reader = Reader(header);
    let code = i32::from(reader.i16("code")?);
    let [language] = reader.array("language")?;
    let version = i32::from(reader.i16("version")?);
    let opaque = reader.i32("opaque")?;
    let flag = reader.i32("flag")?;
    let remark = reader.text("remark")?;
    let fields_bytes = reader.i32("fields length")?;
    let mut entries = Reader(reader.bytes(fields_bytes, "fields")?);
    let mut fields = Vec::new();
    while !entries.0.is_empty() {
        let name_bytes = i32::from(entries.i16("field name length")?);
        let name = text(entries.bytes(name_bytes, "field name")?);
        if let (Some(name), Some(value)) = (name, entries.text("field value")?) {
            fields.push((name, value));
        }
    }
    let language = Language::from_code(language);
    Ok(Command { code, language, version, opaque, flag, remark, fields, body: Bytes::new() })
}

/// Appends the header.
pub(super) fn encode(out: &mut Vec<u8>, command: &Command) -> Result<(), EncodeError> {
    out.extend_from_slice(&short(command.code, "code")?.to_be_bytes());
    out.push(command.language.code());
    out.extend_from_slice(&short(command.version, "version")?.to_be_bytes());
    out.extend_from_slice(&command.opaque.to_be_bytes());
    out.extend_from_slice(&command.flag.to_be_bytes());
    put_text(out, command.remark.as_deref().unwrap_or_default(), "remark")?;
    let mut entries = Vec::new();
    for (name, value) in command.fields.iter().filter(|(name, value)| !name.is_empty() && !value.is_empty()) {
        entries.extend_from_slice(&short(name.len(), "field name length")?.to_be_bytes());
        entries.extend_from_slice(name.as_bytes());
        put_text(&mut entries, value, "field value")?;
    }
    put_length(out, entries.len(), "fields")?;
    out.extend_from_slice(&entries);
    Ok(())
}

fn short<N: TryInto<i16>>(number: N, what: &'static str) -> Result<i16, EncodeError> {
    number.try_into().map_err(|_| EncodeError::DoesNotFit(what))
}

fn put_length(out: &mut Vec<u8>, length: usize, what: &'static str) -> Result<(), EncodeError> {
    let length = i32::try_from(length).map_err(|_| EncodeError::DoesNotFit(what))?;
    out.extend_from_slice(&length.to_be_bytes());
    Ok(())
}

fn put_text(out: &mut Vec<u8>, text: &str, what: &'static str) -> Result<(), EncodeError> {
    put_length(out, text.len(), what)?;
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

fn text(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
}

/// What is left of the header.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], HeaderError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(HeaderError::Short(what))?;
        self.0 = rest;
        Ok(*head)
    }

    fn i16(&mut self, what: &'static str) -> Result<i16, HeaderError> {
        self.array(what).map(i16::from_be_bytes)
    }

    fn i32(&mut self, what: &'static str) -> Result<i32, HeaderError> {
        self.array(what).map(i32::from_be_bytes)
    }

    fn bytes(&mut self, length: i32, what: &'static str) -> Result<&'a [u8], HeaderError> {
        let length = usize::try_from(length).map_err(|_| HeaderError::NegativeLength { what, length })?;
        let (head, rest) = self.0.split_at_checked(length).ok_or(HeaderError::Short(what))?;
        self.0 = rest;
        Ok(head)
    }

    /// A text after its length in four bytes; `None` if it is empty.
    fn text(&mut self, what: &'static str) -> Result<Option<String>, HeaderError> {
        let length = self.i32(what)?;
        Ok(text(self.bytes(length, what)?))
    }
}
