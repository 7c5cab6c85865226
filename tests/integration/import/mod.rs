//! Importing: resumable, idempotent, and clear about bad input.

mod bad_input;
mod crash;
mod regressions;
mod repeat;
mod segments;
