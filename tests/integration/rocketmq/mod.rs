//! RocketMQ: the sample cluster `tests/data/rocketmq-a`, imported, answers as its brokers and clients did.
//!
//! - `messages`, `traces`, `keys`, `offsets`: every row of the golden files, from the tables
//! - `routes`: the same over HTTP, for a part of the questions
//! - `import`, `crash`, `damage`: importing again, in pieces, killed, and from damaged directories
//! - `history`, with `made_broker`: brokers that lose the end of their log, are made anew, whose clocks jump
//! - `answers`: stores made for a question, where names are not exact, something waits or nothing is found
//! - `retention`: what is known once the broker has removed files

mod answers;
mod crash;
mod damage;
mod history;
mod import;
mod keys;
mod made;
mod made_broker;
mod messages;
mod offsets;
mod retention;
mod routes;
mod traces;

use std::collections::HashMap;

use serde_json::Value;

/// Where a message is stored: topic, broker, queue, queue offset.
type Place = (String, String, i64, i64);

/// The place of a row with the columns of `message`.
fn place(row: &Value) -> Place {
    let text = |name: &str| row[name].as_str().unwrap().to_owned();
    let number = |name: &str| row[name].as_i64().unwrap();
    (text("subject"), text("broker_group"), number("queue_id"), number("sequence"))
}

/// What is wrong, counted by kind, with the first example of each.
#[derive(Debug, Default)]
struct Differences(HashMap<String, (usize, String)>);

impl Differences {
    /// Compares one field of one row.
    fn equal(&mut self, field: &str, of: &dyn std::fmt::Debug, got: &Value, wanted: &Value) {
        if got != wanted {
            self.add(field, || format!("{of:?}: {got} instead of {wanted}"));
        }
    }

    fn add(&mut self, what: &str, example: impl FnOnce() -> String) {
        self.0.entry(what.to_owned()).or_insert_with(|| (0, example())).0 += 1;
    }

    fn assert_none(&self) {
        assert!(self.0.is_empty(), "{:#?}", self.0);
    }
}
