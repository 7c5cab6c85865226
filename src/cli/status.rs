//! `mqlake status`

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

/// Shows what a running server follows: positions, lag, last commit, gaps and alarms. Exits with 1 if there is an
/// alarm or a source is not followed.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// Base URL of the server [default: http://ADDRESS of http.listen]
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    /// Print the server's own JSON
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) async fn run(self, config: Config) -> Result<ExitCode> {
        let base = match self.url {
            Some(url) => url.to_string(),
            None => format!("http://{}/", config.http.listen),
        };
        let url = format!("{}/api/status", base.trim_end_matches('/'));
        let text = fetch(&url).await.map_err(|error| {
            Error::Peer(format!("{url}: no answer ({error}); is the server running? pass its --url"))
        })?;
        let status: Value = serde_json::from_str(&text)
            .map_err(|error| Error::Peer(format!("{url}: not a status of mqlake: {error}")))?;
        if self.json {
            println!("{}", text.trim_end());
        } else {
            print_text(&status);
        }
        Ok(if is_well(&status) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

async fn fetch(url: &str) -> std::result::Result<String, reqwest::Error> {
    let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
    client.get(url).send().await?.error_for_status()?.text().await
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
    list(status, "sources").iter().all(|source| {
        let has_alarms =
            source.get("alarms").and_then(Value::as_object).is_some_and(|alarms| !alarms.is_empty());
        text(source, "state") == "following" && !has_alarms
    })
}

fn print_text(status: &Value) {
    println!("mqlake {}  {}", text(status, "version"), text(status, "data"));
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
                // brokers of RocketMQ count messages, those of QMQ bytes
                match stream.get("lag_messages").and_then(Value::as_u64) {
                    Some(messages) => format!("{messages} messages"),
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
