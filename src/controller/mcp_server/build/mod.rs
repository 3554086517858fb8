//! One file per child object, each a pure function.

pub mod deployment;
pub mod edge_policy;
pub mod gate;
pub mod server;
pub mod service;
