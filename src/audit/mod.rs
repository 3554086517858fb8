//! Reading the gate's audit lines: pure. [`crate::gate::audit`] writes them.

pub mod entry;
pub mod filter;
pub mod lines;
pub mod totals;

pub use entry::Entry;
pub use filter::{Filter, Statuses};
pub use lines::{Line, Lines};
pub use totals::Totals;
