//! The header of a GGUF file and the memory that a model needs.
//!
//! A small bounded reader of our own: it keeps a few numbers out of a header of several mebibytes,
//! works on a stream, and never allocates what the file asks for.

#[cfg(test)]
mod accelerator;
mod chat;
mod error;
mod file_type;
mod geometry;
mod header;
mod kind;
mod kv_type;
mod layers;
pub mod memory;
mod offload;
#[cfg(test)]
mod oracle_tests;
mod pooling;
mod reader;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod sample_models;
mod tensor;
mod together;

pub use chat::ChatFamily;
pub use error::GgufError;
pub use geometry::{Geometry, LatentAttention};
pub use header::{Header, Limits};
pub use kind::Kind;
pub use kv_type::{KvType, KvTypeError};
pub use layers::LayerGroup;
pub use memory::{Memory, Need, Settings};
pub use pooling::ModelPooling;
pub use together::together;
