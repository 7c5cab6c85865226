//! What can go wrong with a peer, in a form callers can match on.
//!
//! An error names the peer and what was asked of it. It never says what to do next: that depends on the stream.

use std::time::Duration;

use super::remoting::{BROKER_ERROR, BROKER_REJECT, PARAM_ERROR, UNKNOWN_CODE, result_name};

/// A failed call to a peer.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// No connection came about in time; `source` is of kind `TimedOut` if the peer stayed silent.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// `host:port` of the peer.
        address: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The peer is connected but did not answer in time. The connection can be used further.
    #[error("{address} did not answer {what} within {after:?}")]
    Timeout {
        /// `host:port` of the peer.
        address: String,
        /// What was asked.
        what: String,
        /// How long was waited.
        after: Duration,
    },
    /// The connection ended before the answer came.
    #[error("{address} closed the connection")]
    Closed {
        /// `host:port` of the peer.
        address: String,
    },
    /// The peer answered with a result code other than success.
    #[error("{address} refused {what}: {}", explain(*.code))]
    Refused {
        /// `host:port` of the peer.
        address: String,
        /// What was asked.
        what: String,
        /// The result code.
        code: i16,
    },
    /// The peer sent what the protocol does not allow.
    #[error("{address} broke the protocol: {reason}")]
    Protocol {
        /// `host:port` of the peer.
        address: String,
        /// What does not fit.
        reason: String,
    },
    /// An HTTP request failed, took too long or returned something unusable.
    #[error("{url}: {reason}")]
    Http {
        /// The address asked, without query and credentials.
        url: String,
        /// What is wrong.
        reason: String,
    },
}

impl PeerError {
    /// Whether a connected peer gave no answer at all. A broker does that when it cannot read what was requested.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::Timeout { .. })
    }

    /// Says more precisely what was asked.
    pub(super) fn about(mut self, asked: impl FnOnce() -> String) -> Self {
        if let Self::Timeout { what, .. } | Self::Refused { what, .. } = &mut self {
            *what = asked();
        }
        self
    }
}

fn explain(code: i16) -> String {
    let meaning = match code {
        UNKNOWN_CODE => "this port does not serve the request",
        BROKER_ERROR => "the request failed there or is not allowed",
        BROKER_REJECT => "requests are not taken at present",
        PARAM_ERROR => "a parameter is wrong",
        _ => "",
    };
    match (result_name(code), meaning) {
        (None, _) => format!("unknown result code {code}"),
        (Some(name), "") => format!("code {code} {name}"),
        (Some(name), meaning) => format!("code {code} {name}, {meaning}"),
    }
}

impl From<PeerError> for crate::error::Error {
    fn from(source: PeerError) -> Self {
        crate::error::Error::Peer(source.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_code() {
        for (code, expected) in [
            (3, "code 3 UNKNOWN_CODE"),
            (4, "code 4 NO_MESSAGE"),
            (51, "code 51 BROKER_ERROR"),
            (52, "code 52 BROKER_REJECT"),
            (53, "code 53 PARAM_ERROR"),
            (77, "unknown result code 77"),
        ] {
            let error = PeerError::Refused { address: "b:1".into(), what: "index".into(), code };
            assert!(error.to_string().starts_with(&format!("b:1 refused index: {expected}")), "{error}");
            assert!(!error.is_silence());
        }
    }

    #[test]
    fn only_a_missing_answer_is_silence() {
        let after = Duration::from_secs(3);
        let silence = PeerError::Timeout { address: "b:1".into(), what: "request 20".into(), after };
        assert!(silence.is_silence());
        let silence = silence.about(|| "the index at offset 7".into());
        assert_eq!(silence.to_string(), "b:1 did not answer the index at offset 7 within 3s");
        let source = std::io::Error::from(std::io::ErrorKind::TimedOut);
        assert!(!PeerError::Connect { address: "b:1".into(), source }.is_silence());
        assert!(!PeerError::Closed { address: "b:1".into() }.is_silence());
    }
}
