//! How RocketMQ messages are found: ids and keys have their own table, copies lie in topics of the system, light queues
//! lie inside other topics, and names come with and without a namespace.

use super::format::{index_file, topics};
use super::{RocketMq, lost_key_text};
use crate::lake::Gap;
use crate::lake::schema::namespace;
use crate::query::literal;
use crate::query::lookup::StoredMessage;
use crate::stream::Conventions;

impl Conventions for RocketMq {
    fn has_keys(&self) -> bool {
        true
    }

    /// Users paste ids in lower case, and some clients write them so.
    fn id_forms(&self, id: &str) -> Vec<String> {
        let id = id.trim();
        let mut forms = vec![id.to_owned()];
        if matches!(id.len(), 32 | 34 | 56) && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let (upper, lower) = (id.to_ascii_uppercase(), id.to_ascii_lowercase());
            // one client writes the last digits of its ids in lower case only
            let mixed = upper.get(..26).zip(lower.get(26..)).filter(|_| id.len() == 34);
            forms.extend(mixed.map(|(head, tail)| format!("{head}{tail}")));
            forms.extend([upper, lower]);
        }
        let mut seen = std::collections::HashSet::new();
        forms.retain(|form| seen.insert(form.clone()));
        forms
    }

    fn lost_key(&self, topic: &str, key: &str) -> Option<String> {
        Some(lost_key_text(index_file::key_hash(topic, key)))
    }

    fn holds_copies(&self, topic: &str) -> bool {
        topics::holds_copies(topic)
    }

    fn is_light_queue(&self, topic: &str) -> bool {
        topic.starts_with(topics::LIGHT_PREFIX)
    }

    fn is_in_light_queue(&self, message: &StoredMessage, topic: &str) -> bool {
        let queues = message.properties.get("INNER_MULTI_DISPATCH").and_then(|queues| queues.as_str());
        self.is_light_queue(topic) && topics::is_in_light_queue(queues, topic)
    }

    fn dead_letter_topic(&self, group: &str) -> Option<String> {
        Some(format!("{}{group}", topics::DEAD_PREFIX))
    }

    fn has_samples(&self) -> bool {
        true
    }

    fn group_statement(&self, group: &str, topic: &str) -> String {
        let whole = self.whole_group(group, topic);
        let [name, whole, bare] = [group, &whole, namespace::bare(group)].map(literal);
        format!(
            "(SELECT 1 AS n FROM consumer_progress WHERE consumer_group IN ({name}, {whole}) LIMIT 1) \
             UNION ALL (SELECT 1 FROM message WHERE system = 'rocketmq' AND kind IN (1, 2) \
               AND consumer_group IN ({name}, {whole}) LIMIT 1) \
             UNION ALL (SELECT 1 FROM trace WHERE trace_type IN ('SubBefore', 'SubAfter') \
               AND group_name IN ({name}, {bare}) LIMIT 1)"
        )
    }

    fn groups_statement(&self, topic: Option<&str>) -> Option<String> {
        Some(format!(
            "SELECT DISTINCT consumer_group FROM consumer_progress \
             WHERE subject = {} AND consumer_group <> '' LIMIT 1000",
            literal(topic?)
        ))
    }

    fn group_of_topic<'a>(&self, topic: &'a str) -> Option<&'a str> {
        [topics::DEAD_PREFIX, topics::RETRY_PREFIX].iter().find_map(|prefix| topic.strip_prefix(prefix))
    }

    fn whole_group(&self, group: &str, topic: &str) -> String {
        namespace::group_of_topic(group, topic)
    }

    fn queue_of(&self, gap: &Gap, topic: Option<&str>) -> Option<Option<i32>> {
        let (stream, queue) = gap.stream.rsplit_once('/')?;
        let of = stream.splitn(4, '/').nth(3)?;
        topic.is_none_or(|wanted| wanted == of).then(|| queue.parse().ok())
    }
}
