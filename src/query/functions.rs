//! The table functions of `sql/functions/`: statements with parameters, called by name from any statement.
//!
//! A function is planned once for a session; a call puts its arguments in, and the optimizer sees one statement. So a
//! function reads no more than the same statement written out.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use chrono::DateTime;
use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result as SqlResult, ScalarValue, plan_err};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::prelude::SessionContext;

use crate::error::{Error, Result};

/// Type of an argument.
#[derive(Debug, Clone, Copy)]
enum Argument {
    /// Text.
    Text,
    /// Epoch milliseconds, ISO 8601, or a timestamp.
    Time,
}

/// A function: its name, its statement, and its arguments.
type Definition = (&'static str, &'static str, &'static [(&'static str, Argument)]);

use Argument::{Text, Time};

const FUNCTIONS: [Definition; 2] = [
    (
        "offsets_at",
        include_str!("../../sql/functions/offsets_at.sql"),
        &[("system", Text), ("topic", Text), ("time", Time)],
    ),
    (
        "backtrack_preview",
        include_str!("../../sql/functions/backtrack_preview.sql"),
        &[("system", Text), ("group", Text), ("topic", Text), ("time", Time)],
    ),
];

/// Times beyond the years 1 to 9999 are alike: no column can hold them.
const TIMES: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// Adds the functions to a session that has the tables.
pub(super) async fn register(context: &SessionContext) -> Result<()> {
    for (name, sql, arguments) in FUNCTIONS {
        let plan = context.state().create_logical_plan(sql).await;
        let plan = plan.map_err(|error| Error::Invariant(format!("sql/functions/{name}.sql: {error}")))?;
        context.register_udtf(name, Arc::new(SqlFunction { name, plan, arguments }));
    }
    Ok(())
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
            kind.value(value)
                .or_else(|error| plan_err!("argument `{name}` of {}: {}", self.name, error.message()))
        });
        let values = values.collect::<SqlResult<Vec<ScalarValue>>>()?;
        Ok(Arc::new(ViewTable::new(self.plan.clone().with_param_values(values)?, None)))
    }
}

impl Argument {
    fn value(self, given: &ScalarValue) -> SqlResult<ScalarValue> {
        if given.is_null() {
            return plan_err!("must not be null");
        }
        match self {
            Text => given.cast_to(&DataType::Utf8),
            Time => {
                let milliseconds = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
                let number = match given {
                    ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => epoch_ms(text)?,
                    _ => {
                        match given.cast_to(&milliseconds).and_then(|time| time.cast_to(&DataType::Int64))? {
                            ScalarValue::Int64(Some(number)) => number,
                            _ => return plan_err!("is no time"),
                        }
                    }
                };
                let number = number.clamp(*TIMES.start(), *TIMES.end());
                Ok(ScalarValue::TimestampMillisecond(Some(number), Some("UTC".into())))
            }
        }
    }
}

fn epoch_ms(text: &str) -> SqlResult<i64> {
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) => Ok(time.timestamp_millis()),
        Err(_) => {
            plan_err!("`{text}` is no time: write epoch milliseconds, or ISO 8601 as 2026-11-21T10:00:00Z")
        }
    }
}
