//! What can be wrong with a GGUF header.

use super::Kind;

/// Why bytes are no GGUF model that we hand to an engine.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// The first four bytes are not `GGUF`.
    #[error("failed to read gguf header: the file does not begin with the magic GGUF")]
    Magic,
    /// A version that engines do not load; little-endian 2 and 3 are read (ggml, `docs/gguf.md`).
    #[error("failed to read gguf header: version {0} is not supported, little-endian 2 or 3 are")]
    Version(u32),
    /// The bytes end inside the header, or the tensors reach past the end of the file.
    #[error("failed to read gguf: the file is truncated, {detail}")]
    Truncated {
        /// Where it ends.
        detail: String,
    },
    /// A count, length or nesting is larger than any real model's.
    #[error("failed to read gguf header: {what} is beyond the limit of {limit}")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// The bound it broke.
        limit: u64,
    },
    /// The header contradicts itself or lacks what every model has.
    #[error("failed to read gguf header: {0}")]
    Invalid(&'static str),
    /// A well-formed GGUF file of another kind than the one that is asked for.
    #[error("failed to use gguf file as {wanted}: it is {found}")]
    WrongKind {
        /// What was asked for.
        wanted: Kind,
        /// What it is.
        found: &'static str,
    },
    /// Reading failed for a reason of its own.
    #[error("failed to read gguf header")]
    Io(#[source] std::io::Error),
}

impl GgufError {
    /// Whether the bytes ended too early, as opposed to being wrong.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        matches!(self, Self::Truncated { .. })
    }
}
