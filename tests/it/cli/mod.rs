//! The command line, as people and scripts call it.

mod audit;
mod status;
