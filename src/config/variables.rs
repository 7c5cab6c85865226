//! The environment variables. They are read from the process once, at the start, and passed on; nothing else reads the
//! environment for settings. `known` and `layers` decide what a variable means.

use std::collections::BTreeMap;

/// Prefix of all our variables.
const PREFIX: &str = "MQLAKE_";

/// Variables of a process, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// The variables of this process. Invalid UTF-8 is replaced, so that no variable is silently dropped.
    #[must_use]
    pub fn of_process() -> Variables {
        std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .collect()
    }

    /// The value of a variable; an empty value counts as not set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Variables with our prefix: the whole name, the name without the prefix in lower case, and the value. Case is ignored,
    /// since some supervisors change it.
    pub(super) fn own(&self) -> impl Iterator<Item = (&str, String, &str)> {
        self.0.iter().filter_map(|(name, value)| {
            let start = name.get(..PREFIX.len())?;
            let rest = name.get(PREFIX.len()..)?;
            start
                .eq_ignore_ascii_case(PREFIX)
                .then(|| (name.as_str(), rest.to_ascii_lowercase(), value.as_str()))
        })
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Variables {
        Variables(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_are_settings() {
        let all: Variables = [
            ("MQLAKE_HTTP__MAX_LEN", "5"),
            ("mqlake_Data", "x"),
            ("MQLAKE", "x"),
            ("MQLAKEX", "x"),
            ("ÄÖ", "x"),
            ("PATH", "x"),
            ("MQLAKE_", ""),
        ]
        .into_iter()
        .collect();
        let own: Vec<_> = all.own().map(|(_, rest, _)| rest).collect();
        assert_eq!(own, ["", "http__max_len", "data"]);
        assert_eq!((all.get("MQLAKE_"), all.get("PATH"), all.get("HOME")), (None, Some("x"), None));
    }
}
