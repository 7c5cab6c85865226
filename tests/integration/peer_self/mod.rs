//! Tests of the test peer: what it answers is what the captured answers and the worked examples of the protocol say,
//! and its faults are the ones asked for.

mod faults;
mod logs;
mod servers;
mod support;
mod wire;
