//! The gate as a process, from outside.

pub mod bed;
pub mod engine;

mod api;
mod drain;
mod http2;
mod lies;
mod limits;
mod ollama;
mod queue;
mod seal;
mod tls;
mod tokens;
