//! What the machine and its variables say where settings say nothing. It is asked for once, when settings are loaded,
//! and passed on with them, so that nothing else depends on where it runs.

use chrono_tz::Tz;

use super::variables::Variables;
use super::zone::system_zone;

/// What holds where a setting says nothing. The default knows nothing and lies in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// Zone of dates that carry none: that of `TZ`, else the system's, else UTC.
    pub zone: Tz,
    /// First part of the identity of QMQ sources that set none: the variable `QMQ_HOST`.
    pub qmq_host: Option<String>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Surroundings { zone: Tz::UTC, qmq_host: None }
    }
}

impl Surroundings {
    /// Those of this machine with these variables.
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
    fn variables_say_where_we_are() {
        let of = |pairs: &[(&str, &str)]| Surroundings::of(&pairs.iter().copied().collect());
        let there = of(&[("TZ", ":Asia/Shanghai"), ("QMQ_HOST", "backup1")]);
        assert_eq!((there.zone, there.qmq_host.as_deref()), (Tz::Asia__Shanghai, Some("backup1")));
        assert_eq!(of(&[("TZ", "UTC"), ("QMQ_HOST", "")]), Surroundings::default());
    }
}
