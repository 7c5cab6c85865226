//! Metrics of `/api/sql`.

use crate::config;
use crate::query::Usage;

/// Describes each metric.
pub(super) fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge};

    describe_gauge!("mqlake_sql_running", Unit::Count, "SQL statements that run");
    describe_gauge!("mqlake_sql_queued", Unit::Count, "SQL statements that wait for their turn");
    describe_gauge!(
        "mqlake_sql_max_concurrency",
        Unit::Count,
        "Most SQL statements that run at once: sql.max_concurrency"
    );
    describe_gauge!("mqlake_sql_workers", Unit::Count, "Processes that run SQL statements or wait for some");
    describe_gauge!(
        "mqlake_sql_memory_bytes",
        Unit::Bytes,
        "Memory of all processes for SQL together, without the program that they share"
    );
    describe_gauge!(
        "mqlake_sql_memory_limit_bytes",
        Unit::Bytes,
        "Most memory of all SQL statements together: sql.memory"
    );
    describe_counter!(
        "mqlake_sql_complete_total",
        Unit::Count,
        "SQL statements that ended with all of their rows"
    );
    describe_counter!(
        "mqlake_sql_refused_total",
        Unit::Count,
        "SQL statements that were refused or ended without all of their rows, by the setting that was reached, \
         or sql, store, engine, other"
    );
    describe_counter!("mqlake_sql_slow_total", Unit::Count, "SQL statements that took longer than sql.slow");
    describe_counter!(
        "mqlake_sql_workers_died_total",
        Unit::Count,
        "Processes for SQL that ended without being asked to, mostly for lack of memory"
    );
}

/// Sets the metrics to the current values.
pub(super) fn render(usage: &Usage, settings: &config::Sql) {
    metrics::gauge!("mqlake_sql_running").set(usage.running as f64);
    metrics::gauge!("mqlake_sql_queued").set(usage.queued as f64);
    metrics::gauge!("mqlake_sql_max_concurrency").set(settings.max_concurrency as f64);
    metrics::gauge!("mqlake_sql_workers").set(usage.workers as f64);
    metrics::gauge!("mqlake_sql_memory_bytes").set(usage.memory_bytes as f64);
    metrics::gauge!("mqlake_sql_memory_limit_bytes").set(settings.memory.as_u64() as f64);
    metrics::counter!("mqlake_sql_complete_total").absolute(usage.complete);
    for (reason, count) in &usage.refused {
        metrics::counter!("mqlake_sql_refused_total", "reason" => *reason).absolute(*count);
    }
    metrics::counter!("mqlake_sql_slow_total").absolute(usage.slow);
    metrics::counter!("mqlake_sql_workers_died_total").absolute(usage.died);
}
