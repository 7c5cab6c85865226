//! Shared by the decoders of all formats: a cursor over bytes, addresses, offset ids, checksums over records. Pure;
//! nothing here knows a broker, a file or a table.

pub mod cursor;
pub mod host;
pub mod offset_id;
mod sum;

pub use sum::Sum;
