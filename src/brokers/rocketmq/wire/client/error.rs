//! What can go wrong with a name server or a broker, in a form callers can match on.
//!
//! An error names the server and what was asked of it. It says whether asking again is worth it, never when.

use std::time::Duration;

use crate::brokers::rocketmq::wire::codes::{explain_response, response};
use crate::brokers::rocketmq::wire::header_error::EncodeError;
use crate::brokers::rocketmq::wire::requests::AnswerError;

/// A failed call to a server.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// No connection was made in time; `source` is of kind `TimedOut` if the server stayed silent, and says so if TLS
    /// is the reason.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// `host:port` of the server.
        address: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The server is connected but did not answer in time. The connection can be used further.
    #[error("{address} did not answer {request} within {after:?}")]
    Timeout {
        /// `host:port` of the server.
        address: String,
        /// Name of the request.
        request: String,
        /// How long was waited.
        after: Duration,
    },
    /// The connection ended before the answer came. Whether the request was served is unknown.
    #[error("the connection to {address} ended before {request} was answered: {reason}")]
    Closed {
        /// `host:port` of the server.
        address: String,
        /// Name of the request.
        request: String,
        /// Who ended it, or the cause.
        reason: String,
    },
    /// The server sent what the protocol does not allow; the connection is closed.
    #[error("{address} broke the protocol: {reason}")]
    Protocol {
        /// `host:port` of the server.
        address: String,
        /// Name of the request that waited.
        request: String,
        /// What does not fit.
        reason: String,
    },
    /// The server refused the request.
    #[error("{address} refused {request}: {}", explain(*.code, .remark.as_deref()))]
    Refused {
        /// `host:port` of the server.
        address: String,
        /// Name of the request.
        request: String,
        /// The response code.
        code: i32,
        /// What the server says about it.
        remark: Option<String>,
    },
    /// The server says that the request succeeded, but its answer is not readable.
    #[error("{address} answered {request} in an unknown way: {source}")]
    Answer {
        /// `host:port` of the server.
        address: String,
        /// Name of the request.
        request: String,
        /// What is wrong.
        source: AnswerError,
    },
    /// The request cannot be written as a frame, and was not sent.
    #[error("cannot send {request} to {address}: {source}")]
    Unsendable {
        /// `host:port` of the server.
        address: String,
        /// Name of the request.
        request: String,
        /// The cause.
        source: EncodeError,
    },
}

impl RemoteError {
    /// `host:port` of the server.
    #[must_use]
    pub fn address(&self) -> &str {
        match self {
            Self::Connect { address, .. }
            | Self::Timeout { address, .. }
            | Self::Closed { address, .. }
            | Self::Protocol { address, .. }
            | Self::Refused { address, .. }
            | Self::Answer { address, .. }
            | Self::Unsendable { address, .. } => address,
        }
    }

    /// The response code of a refusal.
    #[must_use]
    pub const fn code(&self) -> Option<i32> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// What the server says about a refusal.
    #[must_use]
    pub fn remark(&self) -> Option<&str> {
        match self {
            Self::Refused { remark, .. } => remark.as_deref(),
            _ => None,
        }
    }

    /// Whether the same request may succeed later: the server was busy, shutting down, unreachable or silent. A slave
    /// that serves no pulls always answers that it is busy, so ask another address of the broker as well. Do not repeat
    /// a request that changes something without checking its effect first.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Timeout { .. } | Self::Closed { .. } => true,
            Self::Refused { code, .. } => matches!(*code, response::SYSTEM_BUSY | response::GO_AWAY),
            Self::Protocol { .. } | Self::Answer { .. } | Self::Unsendable { .. } => false,
        }
    }

    /// Whether the user is unknown or lacks the right, or the topic or group is closed to everybody.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        match self {
            Self::Refused { code: response::NO_PERMISSION, .. } => true,
            // Brokers with the older ACL have no response code of their own for it.
            Self::Refused { code: response::SYSTEM_ERROR, remark: Some(remark), .. } => {
                remark.contains("AclException")
            }
            _ => false,
        }
    }

    /// Whether there is no such topic, group, message or offset.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                code: response::TOPIC_NOT_EXIST
                    | response::QUERY_NOT_FOUND
                    | response::SUBSCRIPTION_GROUP_NOT_EXIST,
                ..
            }
        )
    }
}

fn explain(code: i32, remark: Option<&str>) -> String {
    let code = match explain_response(code) {
        Some((name, meaning)) => format!("{meaning} (code {code} {name})"),
        None => format!("unknown code {code}"),
    };
    match remark {
        Some(remark) => format!("{code}: {remark}"),
        None => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: i32, remark: &str) -> RemoteError {
        RemoteError::Refused {
            address: "b:1".into(),
            request: "PULL_MESSAGE".into(),
            code,
            remark: Some(remark.into()),
        }
    }

    #[test]
    fn a_refusal_says_who_what_and_why() {
        let text = refused(17, "topic[T] not exist").to_string();
        let expected =
            "b:1 refused PULL_MESSAGE: there is no such topic (code 17 TOPIC_NOT_EXIST): topic[T] not exist";
        assert_eq!(text, expected);
        assert!(refused(77, "x").to_string().ends_with("unknown code 77: x"));
        assert_eq!((refused(17, "x").code(), refused(17, "x").remark()), (Some(17), Some("x")));
    }

    #[test]
    fn refusals_have_kinds() {
        let kinds = |error: RemoteError| [error.is_retryable(), error.is_permission(), error.is_not_found()];
        for code in [2, 1500] {
            assert_eq!(kinds(refused(code, "")), [true, false, false]);
        }
        for code in [17, 22, 26] {
            assert_eq!(kinds(refused(code, "")), [false, false, true]);
        }
        assert_eq!(kinds(refused(16, "")), [false, true, false]);
        assert_eq!(kinds(refused(1, "CODE: 1 AclException: No acl config")), [false, true, false]);
        assert_eq!(kinds(refused(1, "java.lang.NullPointerException")), [false, false, false]);
        let (address, request) = (String::from("b:1"), String::from("x"));
        let after = Duration::from_secs(3);
        assert!(RemoteError::Timeout { address, request, after }.is_retryable());
        let protocol =
            RemoteError::Protocol { address: "b:1".into(), request: "x".into(), reason: "y".into() };
        assert!(!protocol.is_retryable() && protocol.code().is_none());
        assert_eq!(protocol.address(), "b:1");
    }
}
