//! A request or a response, independent of how its header is written (RocketMQ remoting: request, response, one-way).
//!
//! A [`Command`] never knows which header type it came in, and never interprets its fields.

use bytes::Bytes;

use super::codes::response;

/// Flag bit of a response.
pub const FLAG_RESPONSE: i32 = 1;
/// Flag bit of a request that wants no response.
pub const FLAG_ONE_WAY: i32 = 2;

/// Version ordinal that requests name, that of V5_3_3. From 401 on name servers answer routes in strict JSON.
pub const CLIENT_VERSION: i32 = 479;

/// The program a command comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Language {
    Java = 0,
    Cpp = 1,
    Dotnet = 2,
    Python = 3,
    Delphi = 4,
    Erlang = 5,
    Ruby = 6,
    Other = 7,
    Http = 8,
    Go = 9,
    Php = 10,
    Oms = 11,
    Rust = 12,
    NodeJs = 13,
}

impl Language {
    /// Every language; each stands at the index of its code.
    pub const ALL: [Self; 14] = [
        Self::Java,
        Self::Cpp,
        Self::Dotnet,
        Self::Python,
        Self::Delphi,
        Self::Erlang,
        Self::Ruby,
        Self::Other,
        Self::Http,
        Self::Go,
        Self::Php,
        Self::Oms,
        Self::Rust,
        Self::NodeJs,
    ];

    /// The code in compact headers, 0 to 13.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The language with this code. [`Language::Other`] for codes of the future.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or(Self::Other)
    }

    /// The name in JSON headers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Java => "JAVA",
            Self::Cpp => "CPP",
            Self::Dotnet => "DOTNET",
            Self::Python => "PYTHON",
            Self::Delphi => "DELPHI",
            Self::Erlang => "ERLANG",
            Self::Ruby => "RUBY",
            Self::Other => "OTHER",
            Self::Http => "HTTP",
            Self::Go => "GO",
            Self::Php => "PHP",
            Self::Oms => "OMS",
            Self::Rust => "RUST",
            Self::NodeJs => "NODE_JS",
        }
    }

    /// The language with this name. [`Language::Other`] for names of the future.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|language| language.name() == name).unwrap_or(Self::Other)
    }
}

/// A request or a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Request code of a request, response code of a response; see [`codes`](super::codes).
    pub code: i32,
    /// Who sends it.
    pub language: Language,
    /// Version ordinal of the sender.
    pub version: i32,
    /// Number chosen by the requester and repeated in the response.
    pub opaque: i32,
    /// `FLAG_` bits.
    pub flag: i32,
    /// Free text: what went wrong, in a response.
    pub remark: Option<String>,
    /// The custom header, name and value, in the order of sending. Of two with the same name the last counts.
    pub fields: Vec<(String, String)>,
    /// The body; can be empty.
    pub body: Bytes,
}

impl Command {
    /// A request from this client, without opaque, fields and body.
    #[must_use]
    pub fn request(code: i32) -> Self {
        Self {
            code,
            language: Language::Other,
            version: CLIENT_VERSION,
            opaque: 0,
            flag: 0,
            remark: None,
            fields: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// What this client answers to a request of the peer: it serves none.
    #[must_use]
    pub fn not_supported(&self) -> Self {
        Self {
            opaque: self.opaque,
            flag: FLAG_RESPONSE,
            remark: Some(format!("request code {} is not supported by this client", self.code)),
            ..Self::request(response::REQUEST_CODE_NOT_SUPPORTED)
        }
    }

    /// Whether it answers a request.
    #[must_use]
    pub const fn is_response(&self) -> bool {
        self.flag & FLAG_RESPONSE != 0
    }

    /// Whether it is a request that wants no response.
    #[must_use]
    pub const fn is_one_way(&self) -> bool {
        self.flag & FLAG_ONE_WAY != 0
    }

    /// The value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().rev().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_have_a_code_and_a_name() {
        for (code, language) in (0_u8..).zip(Language::ALL) {
            assert_eq!(language.code(), code);
            assert_eq!(Language::from_code(code), language);
            assert_eq!(Language::from_name(language.name()), language);
        }
        assert_eq!(Language::from_code(14), Language::Other);
        assert_eq!(Language::from_name("ZIG"), Language::Other);
    }

    #[test]
    fn the_last_of_two_fields_counts() {
        let mut command = Command::request(105);
        command.fields = vec![("topic".into(), "a".into()), ("topic".into(), "b".into())];
        assert_eq!(command.field("topic"), Some("b"));
        assert_eq!(command.field("Topic"), None);
    }

    #[test]
    fn the_answer_to_an_unknown_request_repeats_its_opaque() {
        let asked = Command { opaque: 41, ..Command::request(307) };
        let answer = asked.not_supported();
        assert_eq!((answer.code, answer.opaque, answer.is_response()), (3, 41, true));
        assert!(!asked.is_response() && !asked.is_one_way());
        assert!(Command { flag: FLAG_ONE_WAY, ..asked }.is_one_way());
    }
}
