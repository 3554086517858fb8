//! The seal: what is probed, what a probe means, when a pod counts as closed.
//!
//! Nothing here knows Kubernetes. [`sign`] says who may order, [`check`] what an order may hold, [`session`]
//! which run of a gate it is for, [`probe`] asks the network, [`verdict`] says what an answer means, [`state`]
//! adds the verdicts up.

pub mod check;
pub mod lease;
pub mod probe;
pub mod session;
pub mod sign;
pub mod state;
pub mod verdict;
pub mod wire;
