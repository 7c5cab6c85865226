//! The table functions of `sql/functions/`: statements with parameters, called by name from any statement.
//!
//! A function is planned once a session. A call fills in its arguments, and the optimizer sees one statement, so a
//! function reads no more than the same statement written out.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use chrono_tz::Tz;
use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result as SqlResult, ScalarValue, plan_err};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::prelude::SessionContext;

use super::moment::{self, Moment};
use crate::error::{Error, Result};
use crate::lake::schema::namespace;

/// Type of an argument.
#[derive(Debug, Clone, Copy)]
enum Argument {
    /// Text.
    Text,
    /// A time in any form that the routes take, or a timestamp. Without a zone it is UTC, as everywhere in SQL.
    Time,
}

/// A function: its name, its statement after the common beginning, and its arguments.
type Definition = (&'static str, &'static str, &'static [(&'static str, Argument)]);

use Argument::{Text, Time};

/// The common beginning of all statements.
const QUEUE_MESSAGES: &str = include_str!("../../sql/functions/queue_messages.sql");
const BACKTRACK_PREVIEW: &str = include_str!("../../sql/functions/backtrack_preview.sql");

const FUNCTIONS: [Definition; 2] = [
    (
        "offsets_at",
        include_str!("../../sql/functions/offsets_at.sql"),
        &[("system", Text), ("topic", Text), ("time", Time)],
    ),
    (
        "backtrack_preview",
        BACKTRACK_PREVIEW,
        &[("system", Text), ("group", Text), ("topic", Text), ("time", Time)],
    ),
];

/// Times that columns can hold: the years 1 to 9999. Times beyond are clamped.
const TIMES: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// Adds the functions to a session. The tables must be registered before.
pub(super) async fn register(context: &SessionContext) -> Result<()> {
    for (name, sql, arguments) in FUNCTIONS {
        let plan = context.state().create_logical_plan(&format!("{QUEUE_MESSAGES}{sql}")).await;
        let plan = plan.map_err(|error| Error::Invariant(format!("sql/functions/{name}.sql: {error}")))?;
        context.register_udtf(name, Arc::new(SqlFunction { name, plan, arguments }));
    }
    Ok(())
}

/// What a group would consume again if it were reset to a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PreviewQuery<'a> {
    /// System.
    pub(crate) system: &'a str,
    /// Consumer group.
    pub(crate) group: &'a str,
    /// Topic.
    pub(crate) topic: &'a str,
    /// The time to which it would be reset.
    pub(crate) time: Moment,
    /// Current answers of brokers: broker, queue, offset of the group, first offset that the broker still has.
    pub(crate) live: &'a [(String, i32, Option<i64>, Option<i64>)],
}

impl PreviewQuery<'_> {
    /// The statement behind `backtrack_preview`, with the current answers of brokers.
    pub(crate) fn statement(&self) -> String {
        let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
        let lines: Vec<String> = self
            .live
            .iter()
            .map(|(broker, queue, offset, first)| {
                format!("{broker}\t{queue}\t{}\t{}", number(*offset), number(*first))
            })
            .collect();
        let time = self.time.bounded();
        let mut values = vec![
            ("system", literal(self.system)),
            ("topic", literal(self.topic)),
            ("time", format!("arrow_cast({time}, 'Timestamp(Millisecond, Some(\"UTC\"))')")),
            ("live", literal(&lines.join("\n"))),
        ];
        let groups = group_names(self.group, self.topic);
        values.extend(groups.iter().map(|(name, value)| (*name, literal(value))));
        filled(&format!("{QUEUE_MESSAGES}{BACKTRACK_PREVIEW}"), &values)
    }
}

/// The names of a group that consumes a topic: as given, with its namespace, and without it, as traces have it.
fn group_names(group: &str, topic: &str) -> [(&'static str, String); 3] {
    [
        ("group", group.to_owned()),
        ("whole_group", namespace::group_of_topic(group, topic)),
        ("bare_group", namespace::bare(group).to_owned()),
    ]
}

/// A text as an SQL literal.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A statement with its parameters replaced by values.
fn filled(statement: &str, values: &[(&str, String)]) -> String {
    let mut parts = statement.split('$');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len());
        let (name, rest) = part.split_at_checked(end).unwrap_or((part, ""));
        match values.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => text.push_str(value),
            None => text.extend(["$", name]),
        }
        text.push_str(rest);
    }
    text
}

#[derive(Debug)]
struct SqlFunction {
    name: &'static str,
    plan: LogicalPlan,
    arguments: &'static [(&'static str, Argument)],
}

impl TableFunctionImpl for SqlFunction {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> SqlResult<Arc<dyn TableProvider>> {
        let given = args.exprs();
        if given.len() != self.arguments.len() {
            let names: Vec<&str> = self.arguments.iter().map(|(name, _)| *name).collect();
            return plan_err!(
                "{}({}) was called with {} arguments",
                self.name,
                names.join(", "),
                given.len()
            );
        }
        let values = self.arguments.iter().zip(given).map(|((name, kind), given)| {
            let Expr::Literal(value, _) = given else {
                return plan_err!("argument `{name}` of {} must be a constant", self.name);
            };
            let value = kind
                .value(value)
                .or_else(|error| plan_err!("argument `{name}` of {}: {}", self.name, error.message()))?;
            Ok((*name, value))
        });
        let mut values = values.collect::<SqlResult<Vec<(&str, ScalarValue)>>>()?;
        let text = |name: &str| {
            let value = values.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
            value.and_then(|value| value.try_as_str().flatten()).unwrap_or_default().to_owned()
        };
        let names = group_names(&text("group"), &text("topic"));
        values.retain(|(name, _)| *name != "group");
        values.extend(names.map(|(name, value)| (name, ScalarValue::from(value))));
        values.push(("live", ScalarValue::from("")));
        Ok(Arc::new(ViewTable::new(self.plan.clone().with_param_values(values)?, None)))
    }
}

impl Argument {
    fn value(self, given: &ScalarValue) -> SqlResult<ScalarValue> {
        if given.is_null() {
            return plan_err!("must not be null");
        }
        match self {
            Text => {
                let text = given.cast_to(&DataType::Utf8)?;
                Ok(ScalarValue::from(moment::trimmed(text.try_as_str().flatten().unwrap_or_default())))
            }
            Time => {
                let milliseconds = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
                let moment = match given {
                    ScalarValue::Utf8(Some(text))
                    | ScalarValue::Utf8View(Some(text))
                    | ScalarValue::LargeUtf8(Some(text)) => moment::parse(text, Tz::UTC, None),
                    _ if given.data_type().is_integer() => match given.cast_to(&DataType::Int64)? {
                        ScalarValue::Int64(Some(number)) => moment::of_number(number),
                        _ => return plan_err!("is no time"),
                    },
                    _ => {
                        match given.cast_to(&milliseconds).and_then(|time| time.cast_to(&DataType::Int64))? {
                            ScalarValue::Int64(Some(number)) => Ok(Moment::At(number)),
                            _ => return plan_err!("is no time"),
                        }
                    }
                };
                let moment = moment.or_else(|what| match what.as_str() {
                    moment::FORMS => plan_err!(
                        "`{given}` is no time: write epoch milliseconds, or ISO 8601 as 2026-11-21T10:00:00Z"
                    ),
                    what => plan_err!("`{given}` {what}"),
                })?;
                Ok(ScalarValue::TimestampMillisecond(Some(moment.bounded()), Some("UTC".into())))
            }
        }
    }
}

impl Moment {
    /// Epoch milliseconds, clamped to what columns can hold. The end of a queue is the last of them.
    fn bounded(self) -> i64 {
        match self {
            Moment::At(time) => time.clamp(*TIMES.start(), *TIMES.end()),
            Moment::QueueEnd => *TIMES.end(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_replaced_by_values_once() {
        let values = [("topic", "'$group'".to_owned()), ("group", "'g'".to_owned())];
        let wanted = "a = '$group' AND b IN ('g', $other)";
        assert_eq!(filled("a = $topic AND b IN ($group, $other)", &values), wanted);
        assert_eq!(filled("$topic", &values), "'$group'");
    }

    #[test]
    fn every_parameter_of_the_preview_has_a_value() {
        let live = [("broker-a".to_owned(), 0, Some(5), None)];
        let (system, group, topic) = ("a-system", "g'", "ns%t");
        let query = PreviewQuery { system, group, topic, time: Moment::QueueEnd, live: &live };
        let statement = query.statement();
        assert!(!statement.contains('$'), "{statement}");
        assert!(statement.contains("'broker-a\t0\t5\t'"), "{statement}");
        assert!(statement.contains("'g'''") && statement.contains("'ns%g'''"), "{statement}");
    }
}
