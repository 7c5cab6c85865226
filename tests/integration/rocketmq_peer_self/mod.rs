//! Self tests of the RocketMQ peer: what it answers to a small client over sockets, with and without faults, and
//! whether a loaded store answers as the real cluster did.

mod client;
mod discovery;
mod faults;
mod fixture;
mod groups;
mod pulls;
mod queries;
mod topology;
mod wire;
