//! Importing: resumable, idempotent, and clear about bad input.

mod bad_input;
mod regressions;
mod repeat;
mod segments;
