//! The only listener of a serving pod.

pub mod engine;
