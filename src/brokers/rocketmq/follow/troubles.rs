//! What operators see of the queues of one broker: which of them fail and why, and how many messages are missing.
//!
//! This module reports and decides nothing. The lag of a broker is known while that of every queue is: not before each
//! has answered, and not while one fails.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::stream::Board;

/// Most failures that an alarm shows.
const MOST_FAILURES: usize = 5;
/// Most queues that an alarm names for each failure.
const MOST_NAMES: usize = 5;

/// The queues of a broker.
pub(super) struct Troubles {
    board: Arc<Board>,
    log: &'static str,
    queues: Mutex<Queues>,
}

type Name = (String, i32);

#[derive(Default)]
struct Queues {
    /// Messages in each queue beyond what was received, where that is known.
    behind: HashMap<Name, Option<u64>>,
    /// Queues whose lag is not known.
    unknown: usize,
    /// Sum of the lags that are known.
    sum: u64,
    /// Why queues cannot be pulled, each with a number that grows.
    failing: BTreeMap<Name, (u64, String)>,
    failures: u64,
}

impl Queues {
    fn set(&mut self, name: &Name, behind: Option<Option<u64>>) {
        let old = match behind {
            Some(behind) => self.behind.insert(name.clone(), behind),
            None => self.behind.remove(name),
        };
        match old {
            Some(Some(old)) => self.sum = self.sum.saturating_sub(old),
            Some(None) => self.unknown = self.unknown.saturating_sub(1),
            None => {}
        }
        match behind {
            Some(Some(new)) => self.sum = self.sum.saturating_add(new),
            Some(None) => self.unknown += 1,
            None => {}
        }
    }

    fn lag(&self) -> Option<u64> {
        (self.unknown == 0).then_some(self.sum)
    }

    /// The failures, the newest first, each with its queues.
    fn failures(&self) -> Option<String> {
        let mut by_text: HashMap<&str, (u64, Vec<&Name>)> = HashMap::new();
        for (name, (number, text)) in &self.failing {
            let (newest, names) = by_text.entry(text).or_default();
            *newest = (*newest).max(*number);
            names.push(name);
        }
        let mut failures: Vec<_> = by_text.into_iter().collect();
        failures.sort_by_key(|(_, (newest, _))| std::cmp::Reverse(*newest));
        let mut shown: Vec<String> =
            failures.iter().take(MOST_FAILURES).map(|(text, (_, names))| shown(names, text)).collect();
        let more = failures.len().saturating_sub(MOST_FAILURES);
        if more > 0 {
            shown.push(format!("and {more} other failures"));
        }
        (!shown.is_empty()).then(|| shown.join("; "))
    }
}

/// `order/0, order/1 and 3 more: why`.
fn shown(names: &[&Name], text: &str) -> String {
    let named: Vec<String> =
        names.iter().take(MOST_NAMES).map(|(topic, queue_id)| format!("{topic}/{queue_id}")).collect();
    let more = match names.len().saturating_sub(MOST_NAMES) {
        0 => String::new(),
        more => format!(" and {more} more queues"),
    };
    format!("{}{more}: {text}", named.join(", "))
}

impl Troubles {
    pub(super) fn new(board: Arc<Board>, log: &'static str) -> Troubles {
        Troubles { board, log, queues: Mutex::default() }
    }

    fn change(&self, change: impl FnOnce(&mut Queues) -> bool) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let is_alarm_new = change(&mut queues);
        let lag = queues.lag();
        let failures = is_alarm_new.then(|| queues.failures());
        drop(queues);
        self.board.lag_messages(self.log, lag);
        match failures {
            Some(Some(what)) => self.board.alarm("pulling", what),
            Some(None) => self.board.clear_alarm("pulling"),
            None => {}
        }
    }

    /// A queue is pulled from now on.
    pub(super) fn began(&self, topic: &str, queue_id: i32) {
        self.change(|queues| {
            queues.set(&(topic.to_owned(), queue_id), Some(None));
            false
        });
    }

    /// A queue is no longer pulled.
    pub(super) fn ended(&self, topic: &str, queue_id: i32) {
        let name = (topic.to_owned(), queue_id);
        self.change(|queues| {
            queues.set(&name, None);
            queues.failing.remove(&name).is_some()
        });
    }

    /// A queue was answered and has `behind` more messages.
    pub(super) fn answered(&self, topic: &str, queue_id: i32, behind: i64) {
        let name = (topic.to_owned(), queue_id);
        self.change(|queues| {
            queues.set(&name, Some(Some(u64::try_from(behind).unwrap_or(0))));
            !queues.failing.is_empty() && queues.failing.remove(&name).is_some()
        });
    }

    /// A queue cannot be pulled.
    pub(super) fn failed(&self, topic: &str, queue_id: i32, why: String) {
        let name = (topic.to_owned(), queue_id);
        self.change(|queues| {
            queues.set(&name, Some(None));
            queues.failures += 1;
            let (number, is_new) =
                (queues.failures, queues.failing.get(&name).is_none_or(|(_, known)| *known != why));
            queues.failing.insert(name, (number, why));
            is_new
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn troubles() -> (Arc<Board>, Troubles) {
        let board = Arc::new(Board::new("test".to_owned()));
        board.add_stream("pulled");
        board.following("127.0.0.1:1");
        (board.clone(), Troubles::new(board, "pulled"))
    }

    fn alarm(board: &Board) -> Option<String> {
        board.status().alarms.get("pulling").cloned()
    }

    #[test]
    fn the_alarm_shows_the_newest_failure_first_of_every_queue_that_has_one() {
        let (board, troubles) = troubles();
        for queue in 0..7 {
            troubles.failed("order", queue, "closed".to_owned());
        }
        troubles.failed("pay", 0, "refused".to_owned());
        assert_eq!(
            alarm(&board).unwrap(),
            "pay/0: refused; order/0, order/1, order/2, order/3, order/4 and 2 more queues: closed"
        );
        troubles.failed("order", 0, "denied".to_owned());
        assert!(alarm(&board).unwrap().starts_with("order/0: denied; pay/0: refused; order/1, "));
        troubles.answered("pay", 0, 0);
        assert!(!alarm(&board).unwrap().contains("pay"));
        troubles.ended("order", 0);
        for queue in 1..7 {
            troubles.answered("order", queue, 0);
        }
        assert_eq!(alarm(&board), None);
        for number in 0..8 {
            troubles.failed("order", number, format!("failure {number}"));
        }
        let text = alarm(&board).unwrap();
        assert!(
            text.starts_with("order/7: failure 7; ") && text.ends_with("; and 3 other failures"),
            "{text}"
        );
    }

    #[test]
    fn the_lag_is_known_only_while_that_of_every_queue_is() {
        let (board, troubles) = troubles();
        let lag = || board.status().streams.iter().map(|stream| stream.lag_messages).next().unwrap();
        troubles.began("order", 0);
        troubles.began("order", 1);
        assert_eq!(lag(), None);
        troubles.answered("order", 0, 5);
        assert_eq!(lag(), None);
        troubles.answered("order", 1, 2);
        assert_eq!(lag(), Some(7));
        troubles.failed("order", 1, "closed".to_owned());
        assert_eq!(lag(), None);
        troubles.answered("order", 1, 3);
        assert_eq!(lag(), Some(8));
        troubles.ended("order", 0);
        assert_eq!(lag(), Some(3));
        board.problem("waiting", "away".to_owned());
        assert_eq!(lag(), None);
    }
}
