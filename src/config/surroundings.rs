//! Defaults that come from the machine and its variables. They are read once, when settings are loaded, and passed on
//! with them, so that nothing else depends on the machine.

use chrono_tz::Tz;

use super::variables::Variables;
use super::zone::system_zone;

/// Defaults for settings that are not set. Their own default is UTC, without a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// Time zone of dates without one: that of `TZ`, else the system's, else UTC.
    pub zone: Tz,
    /// First part of the identity of QMQ sources without `host_name`: the variable `QMQ_HOST`.
    pub qmq_host: Option<String>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Surroundings { zone: Tz::UTC, qmq_host: None }
    }
}

impl Surroundings {
    /// The surroundings of this machine with these variables.
    #[must_use]
    pub fn of(variables: &Variables) -> Surroundings {
        Surroundings {
            zone: system_zone(variables.get("TZ")),
            qmq_host: variables.get("QMQ_HOST").map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_set_zone_and_host() {
        let of = |pairs: &[(&str, &str)]| Surroundings::of(&pairs.iter().copied().collect());
        let there = of(&[("TZ", ":Asia/Shanghai"), ("QMQ_HOST", "backup1")]);
        assert_eq!((there.zone, there.qmq_host.as_deref()), (Tz::Asia__Shanghai, Some("backup1")));
        assert_eq!(of(&[("TZ", "UTC"), ("QMQ_HOST", "")]), Surroundings::default());
    }
}
