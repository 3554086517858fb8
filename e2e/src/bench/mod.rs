//! What is measured and not tested: no time is asserted, since machines differ.

mod gate;
mod holes;
mod pairs;

pub use gate::gate;
pub use holes::holes;
