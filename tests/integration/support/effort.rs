//! How much is tried where more would find more: little by default, more with `MQLAKE_TEST_LONG=1`, and as much as a
//! variable of the test says.

/// Whether tests are to take their time.
pub fn is_long() -> bool {
    std::env::var("MQLAKE_TEST_LONG").is_ok()
}

/// How often something is tried: what the variable says, else `long` or `short`.
pub fn times(variable: &str, short: u32, long: u32) -> u32 {
    let said = std::env::var(variable).ok().and_then(|number| number.parse().ok());
    said.unwrap_or(if is_long() { long } else { short })
}
