//! Names of topics and groups with a namespace in front: `MQ_INST_1_x%orders`, also behind the prefix of a retry or
//! dead-letter topic. RocketMQ only.
//!
//! Brokers know the whole name. Clients write traces without the namespace, so the same group has two names; [`bare`]
//! gives the same result for both. Nothing here knows which namespaces exist.

const SEPARATOR: char = '%';
/// Prefix of the topic with a group's retries.
pub const RETRY_PREFIX: &str = "%RETRY%";
/// Prefix of the topic with a group's dead letters.
pub const DEAD_PREFIX: &str = "%DLQ%";

/// A name cut into prefix, namespace with its separator, and the rest.
fn parts(name: &str) -> (&str, &str, &str) {
    let prefix =
        [RETRY_PREFIX, DEAD_PREFIX].into_iter().find(|prefix| name.starts_with(prefix)).unwrap_or("");
    let rest = name.strip_prefix(prefix).unwrap_or(name);
    // a name that begins with the separator belongs to the broker, such as that of a light queue
    match rest.find(SEPARATOR).filter(|at| *at > 0).and_then(|at| rest.split_at_checked(at + 1)) {
        Some((namespace, rest)) => (prefix, namespace, rest),
        None => (prefix, "", rest),
    }
}

/// The name without its namespace, as clients write it into traces. The prefix of a retry or dead-letter topic is
/// removed, too.
#[must_use]
pub fn bare(name: &str) -> &str {
    parts(name).2
}

/// Whether two names mean the same topic or group: they are equal, or only one of them has a namespace.
#[must_use]
pub fn is_same(left: &str, right: &str) -> bool {
    if left == right {
        return true;
    }
    let ((prefix, namespace, name), (other_prefix, other_namespace, other)) = (parts(left), parts(right));
    (prefix, name) == (other_prefix, other) && (namespace.is_empty() != other_namespace.is_empty())
}

/// The whole name of a group that consumes a topic: a group without a namespace gets the namespace of the topic.
#[must_use]
pub fn group_of_topic(group: &str, topic: &str) -> String {
    let (_, namespace, _) = parts(topic);
    match parts(group).1 {
        "" => format!("{namespace}{group}"),
        _ => group.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_its_namespace() {
        for (name, wanted) in [
            ("orders", "orders"),
            ("MQ_INST_1_x%orders", "orders"),
            ("%RETRY%MQ_INST_1_x%pay", "pay"),
            ("%DLQ%pay", "pay"),
            ("MQ_INST_1_x%", ""),
            ("a%b%c", "b%c"),
            ("%LMQ%dev-1", "%LMQ%dev-1"),
            ("", ""),
        ] {
            assert_eq!(bare(name), wanted, "{name}");
        }
    }

    #[test]
    fn the_same_name_with_and_without_a_namespace() {
        for (left, right, wanted) in [
            ("pay", "pay", true),
            ("ns%pay", "pay", true),
            ("pay", "ns%pay", true),
            ("ns%pay", "other%pay", false),
            ("%RETRY%ns%pay", "%RETRY%pay", true),
            ("%RETRY%ns%pay", "%DLQ%pay", false),
            ("%RETRY%pay", "pay", false),
            ("pay", "refund", false),
        ] {
            assert_eq!(is_same(left, right), wanted, "{left} {right}");
        }
        assert_eq!(group_of_topic("pay", "ns%orders"), "ns%pay");
        assert_eq!(group_of_topic("ns%pay", "ns%orders"), "ns%pay");
        assert_eq!(group_of_topic("pay", "%RETRY%ns%other"), "ns%pay");
        assert_eq!(group_of_topic("pay", "orders"), "pay");
    }
}
