//! `[admin]`: whether this server may change anything in a broker, and how fast. It only holds and checks values.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{Http, limits};
use crate::error::{Error, Result};

/// Bounds of `replay_rate`, in messages per second.
const REPLAY_RATES: RangeInclusive<u32> = 1..=100_000;

/// `[admin]`: actions that change offsets or send messages. There are no users, so every client that reaches the
/// listener may use all of them; a proxy in front must not forward them for everybody.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Whether clients may move offsets (backtrack, reset), replay messages to a topic and send dead letters
    /// again; default false. Needs a listener that only this machine reaches.
    pub enabled: bool,
    /// Maximum messages sent in a second, 1 to 100000; default 200.
    pub replay_rate: u32,
    /// Maximum messages of one replay, at least 1; default 1000000.
    pub replay_max: usize,
}

impl Default for Admin {
    fn default() -> Self {
        Admin { enabled: false, replay_rate: 200, replay_max: 1_000_000 }
    }
}

impl Admin {
    /// Checks the bounds, and `http.listen`, in which the command line may have set another address.
    ///
    /// # Errors
    /// [`Error::Config`] that names the setting, also if `enabled` is combined with an address that other machines reach,
    /// or with a server that answers under every name.
    pub(crate) fn check(&self, http: &Http) -> Result<()> {
        let listen = http.listen;
        // the address can be an IPv4-mapped IPv6 address
        if self.enabled && !listen.ip().to_canonical().is_loopback() {
            return Err(Error::Config(format!(
                "admin.enabled needs http.listen on a loopback address, such as 127.0.0.1:8080, not {listen}: there \
                 are no users, so whoever reaches the server could move offsets and send messages"
            )));
        }
        if self.enabled && http.hosts.iter().any(|host| host == "*") {
            return Err(Error::Config(
                "admin.enabled and `*` in http.hosts exclude each other: any page that a browser on this machine shows \
                 could move offsets and send messages; list the names"
                    .to_owned(),
            ));
        }
        if !REPLAY_RATES.contains(&self.replay_rate) {
            return Err(Error::Config(format!(
                "admin.replay_rate is {}; it must be between {} and {} messages per second",
                self.replay_rate,
                REPLAY_RATES.start(),
                REPLAY_RATES.end()
            )));
        }
        limits::positive("admin.replay_max", self.replay_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(listen: &str) -> Http {
        Http { listen: listen.parse().unwrap(), ..Http::default() }
    }

    #[test]
    fn actions_and_every_name_exclude_each_other() {
        let any = Http { hosts: vec!["*".to_owned()], ..Http::default() };
        let error = Admin { enabled: true, ..Admin::default() }.check(&any).unwrap_err().to_string();
        assert!(error.contains("http.hosts"), "{error}");
        Admin::default().check(&any).unwrap();
    }

    #[test]
    fn actions_need_a_loopback_listener() {
        let on = Admin { enabled: true, ..Admin::default() };
        for near in ["127.0.0.1:8080", "127.1.2.3:0", "[::1]:8080", "[::ffff:127.0.0.1]:8080"] {
            on.check(&at(near)).unwrap();
        }
        for far in ["0.0.0.0:8080", "10.0.0.1:8080", "[::]:8080", "[::ffff:10.0.0.1]:80", "[fe80::1]:80"] {
            let error = on.check(&at(far)).unwrap_err().to_string();
            assert!(error.contains("admin.enabled needs http.listen on a loopback"), "{far}: {error}");
            assert!(error.contains(far), "{error}");
            Admin::default().check(&at(far)).unwrap();
        }
    }

    #[test]
    fn a_wrong_bound_is_refused_by_name() {
        let listen = at("127.0.0.1:8080");
        let cases = [
            ("admin.replay_rate", Admin { replay_rate: 0, ..Admin::default() }),
            ("admin.replay_rate", Admin { replay_rate: 100_001, ..Admin::default() }),
            ("admin.replay_max", Admin { replay_max: 0, ..Admin::default() }),
        ];
        for (name, wrong) in cases {
            let error = wrong.check(&listen).unwrap_err().to_string();
            assert!(error.contains(name), "{name}: {error}");
        }
        Admin { replay_rate: 100_000, replay_max: 1, enabled: false }.check(&listen).unwrap();
    }
}
