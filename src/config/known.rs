//! The names of all settings: they distinguish variables that set one from others, and suggest the nearest name for a
//! mistake. The names come from the settings themselves. Nothing here reads a value.

use serde_json::Value;

use super::{Config, QmqSource, RocketMqSource};

/// Variables of the command line, without the prefix `MQLAKE_`.
const COMMAND_LINE: [&str; 5] = ["data", "config", "qmq_conf", "log", "log_json"];

/// Settings with arbitrary keys.
const FREE: [&str; 2] = ["storage", "rocketmq.broker_aliases"];

/// Least similarity of a suggested name, 0 to 1.
const LEAST_SIMILARITY: f64 = 0.55;

/// Meaning of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A variable of the command line.
    CommandLine,
    /// The setting with this path, and whether its value is always a text, even if it looks like a number.
    Setting(String, bool),
    /// A variable that Kubernetes sets for a service whose name begins with `mqlake`.
    Kubernetes,
    /// No setting: the path that it would have, and the variable with the nearest name.
    Unknown(String, Option<String>),
}

/// Every setting.
pub(super) struct Known {
    tree: Value,
    leaves: Vec<String>,
}

impl Known {
    pub(super) fn new() -> Known {
        // with a source of each system, so that the names of their settings are found, too
        let rocketmq = vec![RocketMqSource::default()];
        let qmq = url::Url::parse("http://localhost/").map(QmqSource::new).into_iter().collect();
        let all = Config { qmq, rocketmq, ..Config::default() };
        let tree = serde_json::to_value(all).unwrap_or_default();
        let mut leaves = Vec::new();
        gather(&tree, "", &mut leaves);
        Known { tree, leaves }
    }

    /// Meaning of the variable `MQLAKE_<rest>` with this value; `rest` is in lower case.
    pub(super) fn meaning(&self, rest: &str, value: &str) -> Meaning {
        if COMMAND_LINE.contains(&rest) {
            return Meaning::CommandLine;
        }
        let path = rest.replace("__", ".");
        if let Some(is_text) = self.setting(&path, value) {
            return Meaning::Setting(path, is_text);
        }
        if is_of_kubernetes(rest, value) {
            return Meaning::Kubernetes;
        }
        let nearest = self.nearest_variable(rest);
        Meaning::Unknown(path, nearest)
    }

    /// Whether there is a setting at `path`, and if so whether it is a text.
    fn setting(&self, path: &str, value: &str) -> Option<bool> {
        let free =
            |name: &str| path.strip_prefix(name).is_some_and(|key| key.len() > 1 && key.starts_with('.'));
        if FREE.iter().any(|name| free(name)) {
            return Some(true);
        }
        let mut at = &self.tree;
        for key in path.split('.') {
            at = match at {
                Value::Array(sources) => sources.first()?.get(key)?,
                other => other.get(key)?,
            };
        }
        match at {
            // all settings without a default are texts
            Value::String(_) | Value::Null => Some(true),
            // `{key = value}` sets a whole section; any other value means that the name is incomplete
            Value::Object(_) => value.trim_start().starts_with('{').then_some(false),
            _ => Some(false),
        }
    }

    fn nearest_variable(&self, rest: &str) -> Option<String> {
        let names = self.leaves.iter().map(|path| path.replace('.', "__"));
        let names = names.chain(COMMAND_LINE.map(str::to_owned));
        nearest(rest, names).map(|name| format!("MQLAKE_{}", name.to_ascii_uppercase()))
    }

    /// The setting whose name is most similar to `path`.
    pub(super) fn nearest_setting(&self, path: &str) -> Option<String> {
        nearest(path, self.leaves.iter().cloned())
    }
}

fn gather(at: &Value, path: &str, leaves: &mut Vec<String>) {
    let members = match at {
        Value::Object(members) => Some(members),
        Value::Array(sources) => sources.first().and_then(Value::as_object),
        _ => None,
    };
    match members {
        Some(members) if !FREE.contains(&path) => {
            for (key, value) in members {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                gather(value, &path, leaves);
            }
        }
        _ => leaves.push(path.to_owned()),
    }
}

/// The most similar of `names`, compared as a whole or by the last part; `None` if no name is similar enough.
pub(super) fn nearest<N: AsRef<str>>(name: &str, names: impl Iterator<Item = N>) -> Option<N> {
    let likeness = |known: &str| {
        let last = known.rsplit("__").next().and_then(|part| part.rsplit('.').next()).unwrap_or(known);
        let whole = strsim::normalized_damerau_levenshtein(name, known);
        whole.max(0.95 * strsim::normalized_damerau_levenshtein(name, last))
    };
    names
        .map(|known| (likeness(known.as_ref()), known))
        .filter(|(likeness, _)| *likeness >= LEAST_SIMILARITY)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
}

/// Whether Kubernetes sets such a variable for a service: `MQLAKE_SERVICE_HOST`, `MQLAKE_PORT=tcp://…`,
/// `MQLAKE_PORT_8080_TCP_ADDR`, or the same for a service `mqlake-…`. `rest` is the name without `MQLAKE_`.
fn is_of_kubernetes(rest: &str, value: &str) -> bool {
    let rest = format!("_{rest}");
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    if rest.ends_with("_service_host") {
        return true;
    }
    if rest.contains("_service_port") {
        return is_number(value);
    }
    if rest.ends_with("_port") && value.contains("://") {
        return true;
    }
    // _port_<number>_<protocol>, alone or with one more word
    let Some((_, behind)) =
        rest.rsplit_once("_port_").filter(|(_, behind)| behind.contains('_')).or_else(|| {
            // that word may be `port` itself
            rest.strip_suffix("_port").and_then(|rest| rest.rsplit_once("_port_"))
        })
    else {
        return false;
    };
    let mut words = behind.split('_');
    words.next().is_some_and(is_number)
        && words.next().is_some_and(|word| matches!(word, "tcp" | "udp" | "sctp"))
        && words.next().is_none_or(|word| matches!(word, "proto" | "port" | "addr"))
        && words.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_known_by_their_variables() {
        let known = Known::new();
        let cases = [
            ("http__max_len", "http.max_len", false),
            ("http__listen", "http.listen", true),
            ("http__time_zone", "http.time_zone", true),
            ("retention__message", "retention.message", true),
            ("qmq", "qmq", false),
            ("rocketmq", "rocketmq", false),
            ("qmq__host_name", "qmq.host_name", true),
            ("rocketmq__name_servers", "rocketmq.name_servers", false),
            ("rocketmq__secret_key", "rocketmq.secret_key", true),
            ("rocketmq__tls__enabled", "rocketmq.tls.enabled", false),
            ("storage__aws_region", "storage.aws_region", true),
            ("sql__memory", "sql.memory", true),
        ];
        for (rest, path, is_text) in cases {
            assert_eq!(known.meaning(rest, "1"), Meaning::Setting(path.to_owned(), is_text), "{rest}");
        }
        for rest in COMMAND_LINE {
            assert_eq!(known.meaning(rest, ""), Meaning::CommandLine);
        }
        assert_eq!(known.meaning("http", "{max_len=5}"), Meaning::Setting("http".to_owned(), false));
    }

    #[test]
    fn what_kubernetes_sets_is_no_setting() {
        let known = Known::new();
        let cases = [
            ("service_host", "10.0.0.1"),
            ("service_port", "8080"),
            ("service_port_http", "8080"),
            ("service_port_http_api", "8080"),
            ("port", "tcp://10.0.0.1:8080"),
            ("port_8080_tcp", "tcp://10.0.0.1:8080"),
            ("port_8080_tcp_proto", "tcp"),
            ("port_8080_tcp_addr", "10.0.0.1"),
            ("port_8080_tcp_port", "8080"),
            ("port_53_udp_port", "53"),
            ("http_service_host", "10.0.0.1"),
            ("sql_service_port", "80"),
            ("http_port", "udp://10.0.0.1:8080"),
            ("http_port_8080_tcp_addr", "10.0.0.1"),
            ("port_forward_port_80_tcp_port", "80"),
            ("rocketmq_name_servers_port_9876_tcp", "tcp://10.0.0.1:9876"),
        ];
        for (rest, value) in cases {
            assert_eq!(known.meaning(rest, value), Meaning::Kubernetes, "{rest}");
        }
        for (rest, value) in
            [("port", "8080"), ("http_port", "8080"), ("port_x_tcp", ""), ("port_80_tcp_x", "")]
        {
            assert!(matches!(known.meaning(rest, value), Meaning::Unknown(..)), "{rest}");
        }
    }

    #[test]
    fn the_nearest_setting_is_named() {
        let known = Known::new();
        let cases = [
            ("http__max_length", Some("MQLAKE_HTTP__MAX_LEN")),
            ("http_max_len", Some("MQLAKE_HTTP__MAX_LEN")),
            ("listen", Some("MQLAKE_HTTP__LISTEN")),
            ("http__port", None),
            ("datta", Some("MQLAKE_DATA")),
            ("log_jsn", Some("MQLAKE_LOG_JSON")),
            ("sql__timout", Some("MQLAKE_SQL__TIMEOUT")),
            ("rocketmq__nameservers", Some("MQLAKE_ROCKETMQ__NAME_SERVERS")),
            ("rocketmq__tls__ca", Some("MQLAKE_ROCKETMQ__TLS__CA_FILE")),
            ("qmq__meta_server", Some("MQLAKE_QMQ__META_SERVER_ENDPOINT")),
            ("qqqqqqqqqqqqqqqqqqqqqqqqqqq", None),
        ];
        for (rest, expected) in cases {
            let Meaning::Unknown(_, nearest) = known.meaning(rest, "5") else { panic!("{rest} is known") };
            if let Some(expected) = expected {
                assert_eq!(nearest.as_deref(), Some(expected), "{rest}");
            }
        }
        assert_eq!(known.nearest_setting("htp.max_len").as_deref(), Some("http.max_len"));
    }
}
