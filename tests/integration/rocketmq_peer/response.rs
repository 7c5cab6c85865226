//! What a handler answers, and how it reads the fields of a request.
//!
//! Knows no frames: the opaque and the header type are added where the answer is sent.

use super::frame::{Frame, HeaderType, VERSION};
use std::str::FromStr;

pub(super) const SUCCESS: i32 = 0;
pub(super) const SYSTEM_ERROR: i32 = 1;
pub(super) const SYSTEM_BUSY: i32 = 2;
pub(super) const NOT_SUPPORTED: i32 = 3;
pub(super) const MESSAGE_ILLEGAL: i32 = 13;
pub(super) const NO_PERMISSION: i32 = 16;
pub(super) const TOPIC_NOT_EXIST: i32 = 17;
pub(super) const PULL_NOT_FOUND: i32 = 19;
pub(super) const PULL_RETRY: i32 = 20;
pub(super) const PULL_OFFSET_MOVED: i32 = 21;
pub(super) const QUERY_NOT_FOUND: i32 = 22;
pub(super) const SUBSCRIPTION_PARSE_FAILED: i32 = 23;
pub(super) const SUBSCRIPTION_NOT_EXIST: i32 = 24;
pub(super) const GROUP_NOT_EXIST: i32 = 26;
pub(super) const INVALID_PARAMETER: i32 = 29;
pub(super) const CONSUMER_NOT_ONLINE: i32 = 206;

/// An answer, or a refusal: the error of handlers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Response {
    pub(super) code: i32,
    pub(super) remark: Option<String>,
    pub(super) fields: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Response {
    pub(super) fn error(code: i32, remark: impl Into<String>) -> Self {
        Self { code, remark: Some(remark.into()), ..Self::default() }
    }

    pub(super) fn body(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    pub(super) fn field(mut self, name: &'static str, value: impl ToString) -> Self {
        self.fields.push((name, value.to_string()));
        self
    }

    pub(super) fn no_topic(topic: &str) -> Self {
        Self::error(TOPIC_NOT_EXIST, format!("topic[{topic}] not exist, apply first please!"))
    }

    /// As a frame.
    pub(super) fn frame(self, opaque: i32, header: HeaderType) -> Frame {
        Frame {
            code: self.code,
            language: "JAVA".to_owned(),
            version: VERSION,
            opaque,
            flag: 1,
            remark: self.remark,
            fields: self.fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            body: self.body,
            header,
        }
    }
}

/// What handlers give.
pub(super) type Answer = Result<Response, Box<Response>>;

/// A refusal, for use with `?`.
pub(super) fn refuse<T>(response: Response) -> Result<T, Box<Response>> {
    Err(Box::new(response))
}

/// A required field; a broker that misses it answers with the text of an exception.
pub(super) fn required<'a>(request: &'a Frame, name: &str) -> Result<&'a str, Box<Response>> {
    let missing = || Response::error(SYSTEM_ERROR, format!("java.lang.NullPointerException, {name}"));
    request.field(name).ok_or_else(|| Box::new(missing()))
}

/// A required number.
pub(super) fn number<T: FromStr>(request: &Frame, name: &str) -> Result<T, Box<Response>> {
    let text = required(request, name)?;
    let remark = || format!("java.lang.NumberFormatException, For input string: \"{text}\"");
    text.parse().map_err(|_| Box::new(Response::error(SYSTEM_ERROR, remark())))
}

/// A number that may be missing.
pub(super) fn optional<T: FromStr>(request: &Frame, name: &str) -> Result<Option<T>, Box<Response>> {
    request.field(name).map(|_| number(request, name)).transpose()
}
