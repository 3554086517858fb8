//! The only listener of a serving pod: proves the seal, then authentication, route filter, audit, metrics,
//! drain.
//!
//! [`core`] holds what the gate knows, [`rounds`] prove, [`lease`] tells launch, [`proxy`] serves the API of a model and
//! [`mcp`] that of an MCP server, [`admin`] answers the kubelet and the operator, [`ready`] follows the engine and
//! [`doubts`] whether it still answers rightly; what is particular to an engine is in [`crate::engine`].

pub mod admin;
pub mod answer;
mod answering;
pub mod arriving;
pub mod asked;
pub mod audit;
pub mod bodies;
pub mod body;
pub mod budgets;
pub mod callers;
pub mod client;
pub mod config;
mod connection;
pub mod core;
pub mod counts;
pub mod doors;
pub mod doubts;
pub mod drain;
pub mod drain_state;
pub mod engine_view;
pub mod events;
pub mod full;
pub mod gen_ai;
pub mod jwks;
pub mod keys;
pub mod lease;
pub mod listen;
pub mod mcp;
pub mod metrics;
pub mod models;
pub mod mounted;
pub mod passing;
mod ports;
pub mod proxy;
pub mod queue;
pub mod ready;
pub mod rejected;
pub mod reply;
pub mod room;
pub mod rounds;
pub mod routes;
pub mod run;
pub mod served;
pub mod streams;
pub mod tls;
pub mod tokens;
pub mod upstream;
pub mod usage;
pub mod walk;

pub use config::{Config, Model, Patience, Serves};
pub use run::{GateError, run};
