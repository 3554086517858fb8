//! Bridge and gate in front of MCP servers, from outside.

pub mod bed;

mod asks;
mod audit;
mod children;
mod drift;
mod endpoint;
mod eras;
mod http;
mod sessions;
