//! What a gate says of the files that it needs to ask a model for its pod's program.

use serde::{Deserialize, Serialize};

/// A file that the gate needs to ask one model, and has not or cannot use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lack {
    /// The port of 127.0.0.1 at which the gate offers the model: what tells it from the others of the pod.
    pub port: u16,
    /// Which file.
    pub file: ModelFile,
}

/// The files of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ModelFile {
    /// The key that its requests carry.
    Key,
    /// The certificates that its own is checked against.
    Ca,
}
