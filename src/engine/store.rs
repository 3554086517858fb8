//! What an engine's own store is made of.

use std::path::PathBuf;

use crate::gguf::Header;
use crate::types::Digest;

/// The verified weights.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// Of the file.
    pub digest: &'a Digest,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// What the file says of itself.
    pub header: &'a Header,
}

/// A file or a link of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A file with this content.
    File {
        /// Where, relative to the store.
        path: PathBuf,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// A symbolic link.
    Link {
        /// Where, relative to the store.
        path: PathBuf,
        /// To what.
        to: PathBuf,
    },
}

/// Why a store cannot be laid out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The model says nothing that a chat template could be made from.
    #[error("failed to make a chat template: {0}")]
    Template(&'static str),
    /// The engine cannot serve under this name.
    #[error("failed to name the model: {0}")]
    Name(String),
    /// The engine has no store.
    #[error("failed to lay out a store: the engine has none")]
    NoStore,
    /// Something cannot be written as JSON.
    #[error("failed to write a part of the store: {0}")]
    Json(String),
}
