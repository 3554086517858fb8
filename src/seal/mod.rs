//! The seal: what is probed, what a probe means, when a pod counts as closed.
//!
//! Nothing here knows Kubernetes.

pub mod lease;
pub mod wire;
