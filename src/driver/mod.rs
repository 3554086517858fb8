//! Drives the proofs: evaluates policies, runs the challenges, keeps the board of pods and their seals.
//!
//! Pure: [`targets`] says what a pod is asked to probe, [`shape`] how a pod differs from what was made, [`planner`] which
//! pods are due, what a report means and what is to be done. Shared by them: [`sequence`], and [`made`], in which the
//! reconcilers note what they made. Shared with the reconcilers: [`again`], the pace of what somebody else undoes. Thin:
//! [`edge`] speaks HTTP with gates and canaries, [`cluster`] with the API server, [`run`] moves messages between them. The
//! planner is owned by one task, so nothing in it is locked.

pub mod again;
pub mod board;
pub mod cluster;
pub mod config;
pub mod edge;
pub mod made;
pub mod metrics;
pub mod planner;
pub mod run;
pub mod seen;
pub mod sequence;
pub mod shape;
pub mod stores;
pub mod targets;
#[cfg(test)]
mod targets_tests;
pub mod view;

pub use board::{Board, Changed, PodSeal};
pub use cluster::{Cluster, KubeCluster};
pub use config::{Config, ServiceName, WirePorts};
pub use made::Made;
pub use planner::{Owner, Owners, Reason, Sealed, Status};
pub use run::{drive, run};
pub use stores::{Services, Stores};
