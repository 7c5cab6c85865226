//! Bounded HTTP reads for the few calls that are not frames.
//!
//! Every read has a time limit and a size limit. Nothing here repeats a request or interprets a body.

use std::error::Error;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{Client, StatusCode};
use url::Url;

use super::error::PeerError;

/// Largest body taken for an address.
const MAX_ADDRESS_BYTES: usize = 1024;
/// Characters of an unusable body that an error shows.
const SHOWN_CHARS: usize = 60;

/// The body of a response with status 200.
#[derive(Debug)]
pub(super) struct Fetched {
    /// What was read.
    pub(super) body: Bytes,
    /// Why reading stopped before the end, if it did.
    pub(super) cut: Option<String>,
}

/// Gets a URL and reads at most `max_bytes` of its body. `timeout` is for the whole exchange.
pub(super) async fn get(
    http: &Client,
    url: &Url,
    timeout: Duration,
    max_bytes: usize,
) -> Result<Fetched, PeerError> {
    let response = http.get(url.clone()).timeout(timeout).send().await;
    let mut response = response.map_err(|error| failure(url, reason(error, timeout)))?;
    if response.status() != StatusCode::OK {
        return Err(failure(url, format!("status {} instead of 200", response.status().as_u16())));
    }
    let mut body = BytesMut::new();
    let cut = loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break None,
            Err(error) => break Some(reason(error, timeout)),
        };
        let room = max_bytes.saturating_sub(body.len());
        if let Some(fitting) = chunk.get(..room).filter(|_| chunk.len() > room) {
            body.extend_from_slice(fitting);
            break Some(format!("the answer is larger than {max_bytes} bytes"));
        }
        body.extend_from_slice(&chunk);
    };
    Ok(Fetched { body: body.freeze(), cut })
}

/// Gets a URL whose body is `host:port` or nothing.
pub(super) async fn get_address(
    http: &Client,
    url: &Url,
    timeout: Duration,
) -> Result<Option<String>, PeerError> {
    let fetched = get(http, url, timeout, MAX_ADDRESS_BYTES).await?;
    if let Some(reason) = fetched.cut {
        return Err(failure(url, reason));
    }
    let text = String::from_utf8_lossy(&fetched.body);
    match text.trim() {
        "" => Ok(None),
        address if is_host_port(address) => Ok(Some(address.to_owned())),
        other => {
            let shown: String = other.chars().take(SHOWN_CHARS).collect();
            Err(failure(url, format!("expected host:port, got {shown:?}")))
        }
    }
}

/// An error about a URL. Its query is left out because it can be long, its credentials because they are secret.
pub(super) fn failure(url: &Url, reason: impl Into<String>) -> PeerError {
    let mut url = url.clone();
    url.set_query(None);
    // Fails only for URLs that cannot have credentials.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    PeerError::Http { url: url.into(), reason: reason.into() }
}

/// Whether `text` is a host name or IPv4 address, a colon and a port.
fn is_host_port(text: &str) -> bool {
    let Some((host, port)) = text.split_once(':') else { return false };
    let host_fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let digits_only = port.chars().all(|c| c.is_ascii_digit());
    !host.is_empty()
        && host.chars().all(host_fits)
        && digits_only
        && port.parse().is_ok_and(|port: u16| port > 0)
}

fn reason(error: reqwest::Error, timeout: Duration) -> String {
    if error.is_timeout() {
        return format!("no whole answer within {timeout:?}");
    }
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::brokers::qmq::wire::fake;

    #[test]
    fn addresses_are_a_host_and_a_port() {
        for good in ["10.0.0.1:20880", "meta-1.example_zone:1", "h:65535"] {
            assert!(is_host_port(good), "{good}");
        }
        for bad in ["", ":", "h", "h:", ":1", "h:0", "h:65536", "h:+1", "h:1:2", "[::1]:1", "<p>:1", "a b:1"]
        {
            assert!(!is_host_port(bad), "{bad}");
        }
    }

    #[test]
    fn errors_show_neither_query_nor_credentials() {
        let url = Url::parse("http://user:secret@host:1/path?groupName=g").unwrap();
        assert_eq!(failure(&url, "bad").to_string(), "http://host:1/path: bad");
    }

    #[tokio::test]
    async fn bodies_are_read_up_to_the_limit() {
        let (address, _) = fake::http(vec![fake::ok(b"12345"), fake::ok(b"12345")]).await;
        let (http, url) = (Client::new(), Url::parse(&format!("http://{address}/")).unwrap());
        let whole = get(&http, &url, fake::PATIENCE, 5).await.unwrap();
        assert_eq!((whole.body.as_ref(), whole.cut), (b"12345".as_slice(), None));
        let cut = get(&http, &url, fake::PATIENCE, 4).await.unwrap();
        assert_eq!(cut.body.as_ref(), b"1234");
        assert!(cut.cut.unwrap().contains("larger than 4 bytes"));
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_cut() {
        let (address, _) =
            fake::http(vec![b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc".to_vec()]).await;
        let url = Url::parse(&format!("http://{address}/")).unwrap();
        let found = get(&Client::new(), &url, fake::PATIENCE, 100).await.unwrap();
        assert_eq!(found.body.as_ref(), b"abc");
        assert!(found.cut.is_some());
    }

    #[tokio::test]
    async fn a_silent_server_is_given_up() {
        let (listener, address) = fake::listen().await;
        let url = Url::parse(&format!("http://{address}/")).unwrap();
        let error = get(&Client::new(), &url, Duration::from_millis(30), 100).await.unwrap_err();
        assert!(error.to_string().contains("no whole answer within 30ms"), "{error}");
        drop(listener);
    }

    #[tokio::test]
    async fn another_status_is_an_error() {
        let (address, _) = fake::http(vec![b"HTTP/1.1 500 no\r\ncontent-length: 0\r\n\r\n".to_vec()]).await;
        let url = Url::parse(&format!("http://{address}/")).unwrap();
        let error = get(&Client::new(), &url, fake::PATIENCE, 100).await.unwrap_err();
        assert!(error.to_string().contains("status 500"), "{error}");
    }
}
