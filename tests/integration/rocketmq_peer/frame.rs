//! Frames of the remoting protocol with both header types, written down a second time on purpose: the project's own
//! codec is what the peer is there to test.
//!
//! Knows no request: fields are names and texts. Reads strictly, as a server that closes the connection does.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Largest frame, length field included.
pub const MAX_FRAME_BYTES: usize = 16 << 20;
/// Version ordinal that servers answer with: V5_3_3.
pub const VERSION: i32 = 479;

const LANGUAGES: [&str; 14] = [
    "JAVA", "CPP", "DOTNET", "PYTHON", "DELPHI", "ERLANG", "RUBY", "OTHER", "HTTP", "GO", "PHP", "OMS",
    "RUST", "NODE_JS",
];

/// How a header is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeaderType {
    /// Type 0.
    #[default]
    Json,
    /// Type 1, "ROCKETMQ".
    Compact,
}

/// A request or a response.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// Request or response code.
    pub code: i32,
    /// Name of the sender's language.
    pub language: String,
    /// Version ordinal of the sender.
    pub version: i32,
    /// Correlation id.
    pub opaque: i32,
    /// Bit 1: response, bit 2: one-way.
    pub flag: i32,
    /// Free text.
    pub remark: Option<String>,
    /// The custom header.
    pub fields: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
    /// Type of the header it came with.
    pub header: HeaderType,
}

impl Frame {
    /// A request, for tests that play the client.
    pub fn request(code: i32, opaque: i32, fields: &[(&str, &str)], body: &[u8]) -> Self {
        Self {
            code,
            language: "OTHER".to_owned(),
            version: VERSION,
            opaque,
            fields: fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body: body.to_vec(),
            ..Self::default()
        }
    }

    /// Whether this is a response.
    pub fn is_response(&self) -> bool {
        self.flag & 1 != 0
    }

    /// Whether the sender wants no response.
    pub fn is_one_way(&self) -> bool {
        self.flag & 2 != 0
    }

    /// A field of the custom header.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// A numeric field; panics without one. For tests that play the client.
    pub fn number(&self, name: &str) -> i64 {
        let text = self.field(name).unwrap_or_else(|| panic!("no field {name} in {self:?}"));
        text.parse().unwrap_or_else(|_| panic!("field {name} is no number: {text}"))
    }

    /// The whole frame with a header of its type.
    pub fn encode(&self) -> Vec<u8> {
        let header = match self.header {
            HeaderType::Json => self.json_header(),
            HeaderType::Compact => self.compact_header(),
        };
        let total = 4 + header.len() + self.body.len();
        let mut out = (total as u32).to_be_bytes().to_vec();
        out.extend_from_slice(&((self.header as u32) << 24 | header.len() as u32).to_be_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(&self.body);
        out
    }

    fn json_header(&self) -> Vec<u8> {
        let mut header = json!({
            "code": self.code, "flag": self.flag, "language": self.language, "opaque": self.opaque,
            "serializeTypeCurrentRPC": "JSON", "version": self.version,
        });
        if let Some(remark) = &self.remark {
            header["remark"] = remark.as_str().into();
        }
        if !self.fields.is_empty() {
            header["extFields"] = json!(self.fields);
        }
        header.to_string().into_bytes()
    }

    fn compact_header(&self) -> Vec<u8> {
        let mut fields = Vec::new();
        for (name, value) in self.fields.iter().filter(|(_, value)| !value.is_empty()) {
            fields.extend_from_slice(&(name.len() as i16).to_be_bytes());
            fields.extend_from_slice(name.as_bytes());
            fields.extend_from_slice(&(value.len() as i32).to_be_bytes());
            fields.extend_from_slice(value.as_bytes());
        }
        let code = i16::try_from(self.code).expect("a code that fits the compact header");
        let mut out = code.to_be_bytes().to_vec();
        out.push(LANGUAGES.iter().position(|name| *name == self.language).unwrap_or(0) as u8);
        out.extend_from_slice(&(self.version as i16).to_be_bytes());
        out.extend_from_slice(&self.opaque.to_be_bytes());
        out.extend_from_slice(&self.flag.to_be_bytes());
        let remark = self.remark.as_deref().unwrap_or_default();
        out.extend_from_slice(&(remark.len() as i32).to_be_bytes());
        out.extend_from_slice(remark.as_bytes());
        out.extend_from_slice(&(fields.len() as i32).to_be_bytes());
        out.extend_from_slice(&fields);
        out
    }
}

/// Reads a frame; anything malformed is an error, after which a server closes the connection.
///
/// # Errors
/// The connection ends or breaks first, or the frame is malformed.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Frame> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let total = u32::from_be_bytes(head) as usize;
    if !(4..=MAX_FRAME_BYTES - 4).contains(&total) {
        return Err(wrong("length"));
    }
    let mut rest = vec![0; total];
    stream.read_exact(&mut rest).await?;
    decode(&rest)
}

/// Decodes what follows the length of a frame.
///
/// # Errors
/// The frame is malformed.
pub fn decode(rest: &[u8]) -> io::Result<Frame> {
    let (word, rest) = rest.split_first_chunk().ok_or_else(|| wrong("length"))?;
    let word = u32::from_be_bytes(*word);
    let length = (word & 0x00FF_FFFF) as usize;
    let (header, body) = rest.split_at_checked(length).ok_or_else(|| wrong("header length"))?;
    let frame = match word >> 24 {
        0 => from_json(header)?,
        1 => from_compact(header).ok_or_else(|| wrong("compact header"))?,
        _ => return Err(wrong("header type")),
    };
    Ok(Frame { body: body.to_vec(), ..frame })
}

fn from_json(header: &[u8]) -> io::Result<Frame> {
    let header: Map<String, Value> = serde_json::from_slice(header)?;
    let number = |name: &str| match header.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
            number.map(Some).ok_or_else(|| wrong(name))
        }
    };
    let text = |name: &str| header.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut fields = BTreeMap::new();
    for (name, value) in header.get("extFields").and_then(Value::as_object).into_iter().flatten() {
        if !value.is_null() {
            // A number here would pass with Java, but must not be sent.
            fields.insert(name.clone(), value.as_str().ok_or_else(|| wrong(name))?.to_owned());
        }
    }
    Ok(Frame {
        code: number("code")?.unwrap_or(0),
        language: text("language").unwrap_or_else(|| "JAVA".to_owned()),
        version: number("version")?.unwrap_or(0),
        // Java makes an opaque of its own up.
        opaque: number("opaque")?.unwrap_or(i32::MAX),
        flag: number("flag")?.unwrap_or(0),
        remark: text("remark"),
        fields,
        body: Vec::new(),
        header: HeaderType::Json,
    })
}

fn from_compact(header: &[u8]) -> Option<Frame> {
    let mut rest = header;
    let code = i16::from_be_bytes(take(&mut rest)?);
    let [language] = take(&mut rest)?;
    let version = i16::from_be_bytes(take(&mut rest)?);
    let opaque = i32::from_be_bytes(take(&mut rest)?);
    let flag = i32::from_be_bytes(take(&mut rest)?);
    let remark = long(&mut rest)?;
    let mut entries = long(&mut rest)?;
    let mut fields = BTreeMap::new();
    while !entries.is_empty() {
        let length = i16::from_be_bytes(take(&mut entries)?);
        let (name, value) = (bytes(&mut entries, length.into())?, long(&mut entries)?);
        if !name.is_empty() && !value.is_empty() {
            fields.insert(text(name), text(value));
        }
    }
    Some(Frame {
        code: code.into(),
        language: (*LANGUAGES.get(usize::from(language))?).to_owned(),
        version: version.into(),
        opaque,
        flag,
        remark: (!remark.is_empty()).then(|| text(remark)),
        fields,
        body: Vec::new(),
        header: HeaderType::Compact,
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (chunk, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*chunk)
}

fn long<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = i32::from_be_bytes(take(rest)?);
    bytes(rest, length)
}

fn bytes<'a>(rest: &mut &'a [u8], length: i32) -> Option<&'a [u8]> {
    let (bytes, tail) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = tail;
    Some(bytes)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("wrong {what}"))
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
