//! Logs to standard error, as text or JSON lines. A warning with the same text, such as the failure of something that is
//! retried, is written once per [`REPEAT_AFTER`]. Events of other levels are always written.

use std::collections::HashMap;
use std::fmt::{Debug, Write};
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Time after which the same warning is written again.
const REPEAT_AFTER: Duration = Duration::from_secs(600);

/// Maximum warnings kept for comparison.
const MAX_KNOWN: usize = 1024;

/// Starts logging what `filter` lets through.
pub(super) fn start(filter: &str, as_json: bool) {
    let (filter, problem) = match EnvFilter::try_new(filter) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new("warn"), Some(error.to_string())),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        // a closed log must not end the process
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // for all layers: a filter of one layer may not decide by what an event says
    let registry = tracing_subscriber::registry().with(filter).with(Once::default());
    let started = match as_json {
        true => registry.with(lines.json()).try_init(),
        false => registry.with(lines).try_init(),
    };
    // a program that embeds us may log already
    let _ = started;
    if let Some(error) = problem {
        tracing::warn!(%error, "--log is not usable; warnings are logged");
    }
}

/// Filters out warnings that were written less than [`REPEAT_AFTER`] ago.
#[derive(Default)]
struct Once {
    written: Mutex<HashMap<String, Instant>>,
}

impl Once {
    fn is_new(&self, text: String, now: Instant) -> bool {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.get(&text).is_some_and(|before| now.duration_since(*before) < REPEAT_AFTER) {
            return false;
        }
        if written.len() >= MAX_KNOWN {
            written.retain(|_, before| now.duration_since(*before) < REPEAT_AFTER);
        }
        if written.len() >= MAX_KNOWN {
            written.clear();
        }
        written.insert(text, now);
        true
    }
}

impl<S: Subscriber> Layer<S> for Once {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        if *event.metadata().level() != Level::WARN {
            return true;
        }
        let mut text = Text(event.metadata().target().to_owned());
        event.record(&mut text);
        self.is_new(without_times(&text.0), Instant::now())
    }
}

/// A text without durations: errors of requests contain how long each took, and are the same otherwise.
pub(super) fn without_times(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, number) = rest.split_at(start);
        let end = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
        let (number, after) = number.split_at(end);
        plain.push_str(before);
        // addresses and versions have no decimal point or several
        let is_time = number.matches('.').count() == 1 && after.starts_with(['s', 'm', 'µ', 'n']);
        plain.push_str(if is_time { "…" } else { number });
        rest = after;
    }
    plain.push_str(rest);
    plain
}

/// All fields of an event in one text.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, "\u{1f}{}={value:?}", field.name());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_that_differ_in_durations_are_the_same() {
        let cases = [
            (
                "GET http://10.0.0.1:1/b in 1.718208207s, after 10 retries",
                "GET http://10.0.0.1:1/b in …s, after 10 retries",
            ),
            ("took 2.5ms, 0.1µs and 17s", "took …ms, …µs and 17s"),
            ("offset 5 of 0.1.0, 3.5 rows", "offset 5 of 0.1.0, 3.5 rows"),
            ("", ""),
            ("1.5s", "…s"),
        ];
        for (text, plain) in cases {
            assert_eq!(without_times(text), plain);
        }
    }

    #[test]
    fn a_warning_is_written_once_and_again_after_the_pause() {
        let once = Once::default();
        let start = Instant::now();
        assert!(once.is_new("a".to_owned(), start));
        assert!(!once.is_new("a".to_owned(), start + REPEAT_AFTER / 2));
        assert!(once.is_new("b".to_owned(), start + REPEAT_AFTER / 2));
        assert!(once.is_new("a".to_owned(), start + REPEAT_AFTER));
        assert!(!once.is_new("a".to_owned(), start + REPEAT_AFTER));
        for i in 0..2 * MAX_KNOWN {
            assert!(once.is_new(format!("c{i}"), start));
        }
        assert!(once.written.lock().unwrap().len() <= MAX_KNOWN);
    }
}
