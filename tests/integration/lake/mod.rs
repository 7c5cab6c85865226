//! The tables: rows equal the truth, files keep their contract, damage is found.

mod contract;
mod truth;
mod upkeep;
mod verify;
