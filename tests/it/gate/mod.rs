//! The gate as a process, from outside.

pub mod bed;
pub mod engine;

mod api;
mod budgets;
mod drain;
mod http2;
mod lies;
mod limits;
mod models;
mod modes;
mod ollama;
mod queue;
mod seal;
mod several;
mod tls;
mod tokens;
