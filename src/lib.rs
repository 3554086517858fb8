//! Sealroom runs language models in Kubernetes clusters that have no internet and proves,
//! from inside the running pods, that they stay closed.
//!
//! The rooms, from pure to thin: [`types`] parse, [`policy`], [`seal`], [`gguf`], [`engine`], [`mcp`], [`oci`] and
//! [`audit`] decide, [`pull`], [`gate`], [`launch`], [`bridge`] and [`canary`] run in pods, [`controller`] and [`driver`]
//! run in the operator, [`cli`] turns flags into typed configuration.

pub mod api;
pub mod audit;
pub mod bridge;
pub mod canary;
pub mod cli;
pub mod controller;
pub mod driver;
pub mod engine;
pub mod gate;
pub mod gguf;
pub mod launch;
pub mod mcp;
pub mod oci;
pub mod policy;
pub mod pull;
pub mod seal;
pub mod telemetry;
pub mod types;
