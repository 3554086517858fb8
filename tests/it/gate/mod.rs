//! The gate as a process, from outside.

pub mod bed;
pub mod engine;

mod api;
mod audit;
mod budgets;
mod cached;
mod drain;
mod framing;
mod full;
mod http2;
mod lies;
mod limits;
mod loading;
mod models;
mod modes;
mod mounted;
mod ollama;
mod queue;
mod seal;
mod several;
pub mod tls;
pub mod tokens;
mod wrong;
