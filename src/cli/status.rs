//! `mqlake status`: requests the status from a running server. It opens no store itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;
use serde_json::Value;
use url::Url;

use crate::config::Config;
use crate::error::{Error, Result};

/// Longest time for the answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum bytes of an answer: a status with thousands of sources has some megabytes.
const MAX_BYTES: usize = 64 << 20;

/// Show what a running server follows: positions, lag, last commit, gaps and alarms
///
/// Exits with 1 if the server is not ready, there is an alarm, or a source is not followed; with 4 if no server answers
/// at the URL, or something that is not mqlake does.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// Base URL of the server [default: http://ADDRESS of http.listen]
    #[arg(long, value_name = "URL", value_parser = base_url)]
    url: Option<Url>,
    /// Print the server's own JSON
    #[arg(long)]
    json: bool,
}

fn base_url(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err("not a URL such as http://127.0.0.1:8080".to_owned()),
    }
}

/// The address to connect to: a server that listens on all addresses is reached on the loopback address.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

impl Status {
    pub(super) async fn run(self, config: Config) -> Result<ExitCode> {
        let base = match self.url {
            Some(url) => url.to_string(),
            None => format!("http://{}/", reachable(config.http.listen)),
        };
        let url = format!("{}/api/status", base.trim_end_matches('/'));
        let text = fetch(&url).await?;
        let status: Value = serde_json::from_str(&text).unwrap_or_default();
        if !is_status(&status) {
            return Err(Error::Peer(format!(
                "{url}: the answer is not a status of mqlake; something else listens there? pass the server's --url"
            )));
        }
        if self.json {
            println!("{}", text.trim_end());
        } else {
            print_text(&status);
        }
        Ok(if is_well(&status) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

async fn fetch(url: &str) -> Result<String> {
    let failed = |error: reqwest::Error| {
        // the library's text contains the URL, but not the cause
        let mut cause: &dyn std::error::Error = &error;
        while let Some(next) = cause.source() {
            cause = next;
        }
        let what = if error.is_timeout() { format!("none within {TIMEOUT:?}") } else { cause.to_string() };
        Error::Peer(format!("{url}: no answer ({what}); is the server running? pass its --url"))
    };
    let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().map_err(failed)?;
    let mut response = client.get(url).send().await.map_err(failed)?;
    if !response.status().is_success() {
        return Err(Error::Peer(format!(
            "{url}: answered with {}; something else than mqlake listens there, or a proxy in front of it refuses? pass \
             the server's --url",
            response.status()
        )));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_BYTES {
            return Err(Error::Peer(format!("{url}: the answer is larger than a status can be")));
        }
    }
    String::from_utf8(bytes).map_err(|_| Error::Peer(format!("{url}: the answer is not a status of mqlake")))
}

/// Whether an answer is a status of this or an older version. Without followed clusters it has no sources.
fn is_status(status: &Value) -> bool {
    status.get("version").is_some_and(Value::is_string) && status.get("tables").is_some_and(Value::is_array)
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or("-")
}

fn number(value: &Value, name: &str) -> String {
    match value.get(name) {
        Some(Value::Number(number)) => number.to_string(),
        _ => "-".to_owned(),
    }
}

fn seconds(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_f64).map_or_else(|| "-".to_owned(), |age| format!("{age:.1}"))
}

fn is_well(status: &Value) -> bool {
    let is_ready = status.get("ready").and_then(Value::as_bool).unwrap_or(true);
    is_ready
        && list(status, "sources").iter().all(|source| {
            let has_alarms =
                source.get("alarms").and_then(Value::as_object).is_some_and(|alarms| !alarms.is_empty());
            text(source, "state") == "following" && !has_alarms
        })
}

fn print_text(status: &Value) {
    println!("mqlake {}  {}", text(status, "version"), text(status, "data"));
    if status.get("ready").and_then(Value::as_bool) == Some(false) {
        println!("NOT READY  see /readyz");
    }
    if let Some(problem) = status.get("problem").and_then(Value::as_str) {
        println!("problem    {problem}");
    }
    for table in list(status, "tables") {
        let bytes = table.get("bytes").and_then(Value::as_u64).unwrap_or(0);
        println!(
            "table   {:<15} {:>12} rows  {:>8} hot  {:>6} files  {:>10}  {} to {}",
            text(table, "name"),
            number(table, "rows"),
            number(table, "hot_rows"),
            number(table, "files"),
            ByteSize(bytes).to_string(),
            text(table, "first_day"),
            text(table, "last_day"),
        );
    }
    for source in list(status, "sources") {
        println!(
            "source  {}  group {}  {}  {}",
            text(source, "name"),
            text(source, "broker_group"),
            text(source, "state"),
            text(source, "address")
        );
        if let Some(problem) = source.get("problem").and_then(Value::as_str) {
            println!("        {problem}");
        }
        for stream in list(source, "streams") {
            println!(
                "  {:<8} received {}  visible {}  committed {}  broker {}  lag {}, last commit {}",
                text(stream, "log"),
                number(stream, "received"),
                number(stream, "visible"),
                number(stream, "committed"),
                number(stream, "broker_end"),
                // RocketMQ brokers count messages, QMQ brokers count bytes
                match stream.get("lag_messages").and_then(Value::as_u64) {
                    Some(messages) => format!("{messages} messages"),
                    // what an unreachable broker has is unknown
                    None if stream.get("lag_bytes").is_none_or(Value::is_null) => "unknown".to_owned(),
                    None =>
                        format!("{} bytes, {} s", number(stream, "lag_bytes"), seconds(stream, "lag_seconds")),
                },
                match stream.get("last_commit_seconds").and_then(Value::as_f64) {
                    Some(age) => format!("{age:.0} s ago"),
                    None => "not since the start".to_owned(),
                },
            );
        }
        for gap in list(source, "gaps") {
            println!(
                "  gap      {} from {} to {}",
                text(gap, "stream"),
                number(gap, "from"),
                number(gap, "to")
            );
        }
        for (about, what) in source.get("alarms").and_then(Value::as_object).into_iter().flatten() {
            println!("  ALARM    {about}: {}", what.as_str().unwrap_or_default());
        }
    }
}
