//! TODO codec

pub mod cursor;
mod sum;

pub use sum::Sum;
