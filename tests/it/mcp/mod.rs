//! Bridge and gate in front of MCP servers, from outside.

pub mod bed;

mod asks;
mod attack;
mod audit;
mod callers;
mod children;
mod crowds;
mod drift;
mod endpoint;
mod eras;
mod faults;
mod fields;
mod hangs;
mod hidden;
mod http;
mod leaving;
mod limits;
mod lists;
mod logs;
mod memory;
mod resources;
mod sdk;
mod sessions;
mod streams;
mod subscriptions;
mod tasks;
mod tricks;
