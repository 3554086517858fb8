//! What the pods of both kinds that serve have in common: the gate, who may come in, how many there are.

pub mod access;
pub mod edge;
pub mod gate;
pub mod numbers;
pub mod remains;
pub mod runtime;
pub mod service;
pub mod summary;
pub mod template;
