//! The children of a ModelDeployment, one file each.

pub mod artifact;
pub mod deployment;
pub mod edge_policy;
pub mod gate;
pub mod runtime;
pub mod service;
