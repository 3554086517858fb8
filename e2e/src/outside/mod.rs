//! The host outside the cluster: a listener that answers everybody, and counters of every packet that arrives.

/// The address that canaries and controls use, in both families.
pub const ADDRESSES: [&str; 2] = ["172.31.9.10", "fd31:9::10"];
/// Further addresses of the same host, in pairs of both families. Nothing probes them, so that a policy can
/// open one address that no probe covers.
pub const UNPROBED: [[&str; 2]; 6] = [
    ["172.31.9.21", "fd31:9::21"],
    ["172.31.9.22", "fd31:9::22"],
    ["172.31.9.23", "fd31:9::23"],
    ["172.31.9.24", "fd31:9::24"],
    ["172.31.9.25", "fd31:9::25"],
    ["172.31.9.26", "fd31:9::26"],
];

mod counters;
mod listener;

pub use counters::{Seen, parse, read};
pub use listener::{PORTS, Record, listen, read_log};
