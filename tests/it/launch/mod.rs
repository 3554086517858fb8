//! launch as a process, from outside.

pub mod bed;

mod dumps;
mod lease;
mod lock;
mod streams;
