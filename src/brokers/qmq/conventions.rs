//! How QMQ messages are found: there are no keys, retries lie beside their originals, and dead letters have their own
//! table.

use super::format::Kind;
use super::{Qmq, logs};
use crate::lake::Gap;
use crate::query::literal;
use crate::stream::Conventions;

impl Conventions for Qmq {
    fn has_keys(&self) -> bool {
        false
    }

    fn why_no_keys(&self) -> &'static str {
        "cannot be asked for: QMQ messages have no keys; ask by `id`"
    }

    fn kind_of_originals(&self) -> Option<i64> {
        Some(i64::from(Kind::Normal.as_i8()))
    }

    fn group_statement(&self, group: &str, _topic: &str) -> String {
        let name = literal(group);
        format!(
            "(SELECT 1 AS n FROM record WHERE consumer_group = {name} LIMIT 1) \
             UNION ALL (SELECT 1 FROM dead_message WHERE consumer_group = {name} LIMIT 1)"
        )
    }

    fn groups_statement(&self, topic: Option<&str>) -> Option<String> {
        Some(match topic {
            Some(topic) => format!(
                "SELECT DISTINCT consumer_group FROM record WHERE subject = {} LIMIT 1000",
                literal(topic)
            ),
            None => "SELECT DISTINCT consumer_group FROM dead_message LIMIT 1000".to_owned(),
        })
    }

    fn queue_of(&self, gap: &Gap, _topic: Option<&str>) -> Option<Option<i32>> {
        // the action log holds no messages
        (!gap.stream.ends_with(logs::ACTION.name())).then_some(None)
    }

    fn why_no_traces(&self) -> Option<&'static str> {
        Some("must be rocketmq: QMQ reports pulls and acks at /api/message/records")
    }

    fn why_no_reset(&self) -> Option<&'static str> {
        Some("must be rocketmq: QMQ's brokers have no reset")
    }

    fn why_no_sending(&self) -> Option<&'static str> {
        Some("must be rocketmq: QMQ messages are not sent again")
    }
}
