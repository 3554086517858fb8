//! What NetworkPolicies allow a pod: pure.
//!
//! Policies come in as `networking.k8s.io/v1` objects and are parsed once into [`Policy`]. From there two
//! questions are answered: may this one connection be made ([`World::permits`]), and do all policies together
//! allow a pod more than its object declared ([`closure`])?
//!
//! The semantics are those of the API's own documentation: a policy isolates the pods it selects in the
//! directions of its `policyTypes`, what isolated pods may do is the union of all rules that select them,
//! and a pod that no policy isolates in a direction may do everything there.

mod block;
mod closure;
mod cover;
mod describe;
mod foreign;
mod model;
mod parse;
mod permits;
pub mod sample;
mod selector;

#[cfg(test)]
mod closure_tests;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod permits_tests;
#[cfg(test)]
mod properties;

pub use block::Block;
pub use closure::{Allowed, Closure, Declared, Widening, allowed, closure};
pub use foreign::is_foreign;
pub use model::{
    Direction, Labels, NamedPort, Peer, Peers, Pod, PolicyRef, PortMatch, Ports, Protocol, Rule,
};
pub use parse::Policy;
pub use permits::{BlockScope, Remote, World, permits};
pub use selector::Selector;
