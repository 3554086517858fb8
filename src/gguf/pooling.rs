//! What a model says about how its vectors are made.

use serde::{Deserialize, Serialize};

use super::Header;

/// How a model makes one vector, or one number, of a text's tokens (llama.cpp, `llama_pooling_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModelPooling {
    /// It does not say: it was not made for that.
    None,
    /// The mean of all tokens.
    Mean,
    /// The first token.
    Cls,
    /// The last token.
    Last,
    /// It has an output that ranks a text beside a query.
    Rank,
}

impl ModelPooling {
    /// Out of `<architecture>.pooling_type`. A ranking output counts whatever that says: converters of the time wrote
    /// the pooling below it.
    #[must_use]
    pub fn of(header: &Header) -> Self {
        if header.places().ranks {
            return Self::Rank;
        }
        match header.arch_int("pooling_type") {
            Some(1) => Self::Mean,
            Some(2) => Self::Cls,
            Some(3) => Self::Last,
            Some(4) => Self::Rank,
            _ => Self::None,
        }
    }
}
