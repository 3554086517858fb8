//! The header of a GGUF file and the memory that a model needs.
//!
//! A small bounded reader of our own: it keeps a few numbers out of a header of several mebibytes,
//! works on a stream, and never allocates what the file asks for.

mod chat;
mod error;
mod file_type;
mod geometry;
mod header;
pub mod memory;
mod reader;
mod tensor;

pub use chat::ChatFamily;
pub use error::GgufError;
pub use geometry::{Geometry, LatentAttention, LayerGroup};
pub use header::{Header, Limits};
pub use memory::{KvType, Memory, Settings};
