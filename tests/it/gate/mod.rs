//! The gate as a process, from outside.

pub mod bed;
pub mod engine;

mod api;
mod drain;
mod lies;
mod limits;
mod ollama;
mod seal;
