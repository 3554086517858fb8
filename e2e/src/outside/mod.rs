//! The host outside the cluster: a listener that answers everybody, and counters of every packet that arrives.

mod counters;
mod listener;

pub use counters::{Seen, parse, read, reset};
pub use listener::{PORTS, Record, listen};
