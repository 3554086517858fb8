//! The children of a ModelArtifact, one file each.

pub mod claim;
pub mod edge_policy;
pub mod job;
pub mod registry;
