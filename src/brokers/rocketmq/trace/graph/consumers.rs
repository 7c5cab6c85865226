//! The consumer side of a trace graph: reports of consumers paired to deliveries and grouped.
//!
//! A delivery is reported twice, before and after the listener ran, and either report can be missing. Clients report
//! the bare name of a group; stored copies have the whole name, with the namespace.

use std::collections::{BTreeMap, VecDeque};

use super::rows::{CopyKind, CopyRow, TraceRow};
use super::shape::{Consumer, Delivery, Outcome, UNKNOWN_GROUP};
use crate::lake::schema::namespace;

/// The reports of one delivery, at least one of the two.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    before: Option<&'a TraceRow>,
    after: Option<&'a TraceRow>,
}

/// Joins reports with the same request id and message id, in order where there are several.
pub(super) fn pair<'a>(
    before: impl Iterator<Item = &'a TraceRow>,
    after: impl Iterator<Item = &'a TraceRow>,
) -> Vec<Pair<'a>> {
    let key = |row: &'a TraceRow| row.request_id.as_deref().map(|request| (request, row.msg_id.as_deref()));
    let mut waiting: BTreeMap<_, VecDeque<&TraceRow>> = BTreeMap::new();
    for row in after {
        waiting.entry(key(row)).or_default().push_back(row);
    }
    // A report without a request id belongs to no other report.
    let alone = waiting.remove(&None).unwrap_or_default();
    let mut pairs: Vec<Pair<'_>> = before
        .map(|row| Pair {
            before: Some(row),
            after: waiting.get_mut(&key(row)).and_then(VecDeque::pop_front),
        })
        .collect();
    let rest = waiting.into_values().flatten().chain(alone);
    pairs.extend(rest.map(|row| Pair { before: None, after: Some(row) }));
    pairs.sort_by_key(|pair| pair.before.or(pair.after).map(TraceRow::order));
    pairs
}

impl<'a> Pair<'a> {
    /// The first value found, looking at the begin before the end.
    fn first(&self, field: impl Fn(&'a TraceRow) -> Option<&'a str>) -> Option<&'a str> {
        self.before.and_then(&field).or_else(|| self.after.and_then(&field))
    }

    fn group(&self) -> &'a str {
        self.first(|row| row.group_name.as_deref()).unwrap_or(UNKNOWN_GROUP)
    }

    fn delivery(&self) -> Delivery<'a> {
        let time = self.before.and_then(|row| row.time_stamp);
        let cost_ms = self.after.and_then(TraceRow::cost_ms);
        let end_time = self.after.and_then(|row| {
            let reported = row.time_stamp.filter(|time| *time > 0);
            reported.or_else(|| time?.checked_add(cost_ms.unwrap_or(0)))
        });
        Delivery {
            request_id: self.first(|row| row.request_id.as_deref()),
            client_host: self.first(|row| row.client_host.as_deref()),
            time,
            end_time,
            cost_ms,
            success: self.after.and_then(|row| row.success),
            context_code: self.after.and_then(|row| row.context_code),
            outcome: self.after.map_or(Outcome::Unknown, outcome),
            retry_times: self.before.and_then(|row| row.retry_times),
        }
    }
}

/// Clients also write code 0 where they know no code, so it does not overrule a failure.
fn outcome(after: &TraceRow) -> Outcome {
    match (after.context_code, after.success) {
        (Some(1), _) => Outcome::TimedOut,
        (Some(2), _) => Outcome::Exception,
        (Some(3), _) => Outcome::ReturnedNull,
        (Some(4), _) | (_, Some(false)) => Outcome::Failed,
        (Some(0), _) | (_, Some(true)) => Outcome::Success,
        (_, None) => Outcome::Unknown,
    }
}

/// The groups of the deliveries and of the retry and dead-letter copies, by name.
pub(super) fn consumers<'a>(pairs: Vec<Pair<'a>>, copies: &[&'a CopyRow]) -> Vec<Consumer<'a>> {
    let mut groups: BTreeMap<&str, Consumer<'a>> = BTreeMap::new();
    let whole_names = whole_names(copies);
    for pair in pairs {
        let name = pair.group();
        let whole = whole_names.get(name).copied().flatten().unwrap_or(name);
        consumer(&mut groups, whole).deliveries.push(pair.delivery());
    }
    for copy in copies {
        let group = copy.group.as_deref().unwrap_or(UNKNOWN_GROUP);
        match copy.kind {
            CopyKind::Retry => consumer(&mut groups, group).retries += 1,
            CopyKind::DeadLetter => consumer(&mut groups, group).dead_letters += 1,
            CopyKind::Other => {}
        }
    }
    groups.into_values().collect()
}

/// The whole name of each bare name for which the copies leave only one.
fn whole_names<'a>(copies: &[&'a CopyRow]) -> BTreeMap<&'a str, Option<&'a str>> {
    let mut names: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for group in copies.iter().filter_map(|copy| copy.group.as_deref()) {
        let known = names.entry(namespace::bare(group)).or_insert(Some(group));
        if *known != Some(group) {
            *known = None;
        }
    }
    names
}

fn consumer<'m, 'a>(groups: &'m mut BTreeMap<&'a str, Consumer<'a>>, group: &'a str) -> &'m mut Consumer<'a> {
    groups.entry(group).or_insert_with(|| Consumer {
        group,
        deliveries: Vec::new(),
        retries: 0,
        dead_letters: 0,
    })
}
