//! The time zone of dates without one: by IANA name, or the system's.

use chrono_tz::Tz;

use crate::error::{Error, Result};

/// A zone by its IANA name, such as `Asia/Shanghai`.
///
/// # Errors
/// [`Error::Config`] if there is no such zone.
pub(super) fn parse_zone(name: &str) -> Result<Tz> {
    name.parse().map_err(|_| {
        Error::Config(format!("http.time_zone: no zone `{name}`; use an IANA name such as Asia/Shanghai"))
    })
}

/// The zone that the variable `TZ` names, else the system's, else UTC.
#[must_use]
pub(super) fn system_zone(variable: Option<&str>) -> Tz {
    let named = variable.and_then(|name| name.trim_start_matches(':').parse().ok());
    named
        .or_else(|| iana_time_zone::get_timezone().ok().and_then(|name| name.parse().ok()))
        .unwrap_or(Tz::UTC)
}
