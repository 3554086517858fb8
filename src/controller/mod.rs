//! The reconcilers: dereference, validate, build, apply, status.
//!
//! Reflectors feed stores first and trigger second; a pass reads stores only, writes children and one
//! status, and says how it ended.

pub mod apply;
pub mod conditions;
pub mod config;
pub mod context;
pub mod difference;
pub mod guard;
pub mod keys;
pub mod leader;
pub mod mcp_server;
pub mod model_artifact;
pub mod model_deployment;
pub mod names;
pub mod nodes;
pub mod outcome;
pub mod owners;
pub mod pod;
pub mod run;
pub mod seal_view;
pub mod sealed_policy;
pub mod server;
pub mod serving;
pub mod status;
pub mod stores;
pub mod trigger;

#[cfg(test)]
mod golden_tests;
