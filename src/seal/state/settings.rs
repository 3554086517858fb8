//! What the platform decides about the gate's states.

use std::time::Duration;

/// How the names of targets on the pod's own node begin, other than canaries.
pub const OWN_NODE: &str = "own-node/";

/// What a proof that is too old means (`seal.whenStale`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum WhenStale {
    /// Go on serving; the condition says Unknown.
    Serve,
    /// Refuse after the grace time, as if open.
    Refuse,
}

/// What reaching the pod's own node means (`seal.ownNode`).
///
/// NetworkPolicy lets a CNI always allow traffic between a pod and its own node (Kubernetes, "Network
/// Policies": "traffic to and from the node where a Pod is running is always allowed").
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum OwnNode {
    /// It is reported as reached, for the status to list among the exits, and opens nothing.
    Report,
    /// It opens like any other target.
    Require,
}

/// The settings of a [`Machine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// What Stale means.
    pub when_stale: WhenStale,
    /// From the end of the validity to the first refusal under [`WhenStale::Refuse`].
    pub grace: Duration,
    /// What the own node means.
    pub own_node: OwnNode,
}
