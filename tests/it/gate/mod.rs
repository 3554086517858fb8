//! The gate as a process, from outside.

pub mod bed;
pub mod engine;

mod api;
mod drain;
mod limits;
mod ollama;
mod queue;
mod seal;
