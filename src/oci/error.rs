//! What can go wrong with a registry.

use std::time::Duration;

/// Why a registry gave us nothing, or nothing that we take.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It sent us, or we were sent, to a host that nobody declared.
    #[error("failed to reach {host}: {why}")]
    Undeclared {
        /// The host, as far as it is one.
        host: String,
        /// How we came to it.
        why: &'static str,
    },
    /// There is no such manifest or blob.
    #[error("failed to find {what} in {host}")]
    NotFound {
        /// Registry.
        host: String,
        /// Manifest or blob by digest.
        what: String,
    },
    /// 401 or 403 although we sent what we have.
    #[error("failed to authenticate to {host}: {hint}")]
    Unauthorized {
        /// Who refused.
        host: String,
        /// What we had.
        hint: &'static str,
    },
    /// Its certificate does not follow from the declared CA.
    #[error("failed to trust the certificate of {host}: {detail}")]
    UnknownCa {
        /// Whose certificate.
        host: String,
        /// What is wrong with it.
        detail: String,
    },
    /// Nothing answers, or 408, 429 or 5xx: worth another try.
    #[error("failed to get an answer from {host}: {detail}")]
    Unreachable {
        /// Who is silent.
        host: String,
        /// How.
        detail: String,
        /// What a `Retry-After` asked for.
        retry_after: Option<Duration>,
    },
    /// An answer that contradicts HTTP or what we asked for.
    #[error("failed to use the answer of {host}: {detail}")]
    Protocol {
        /// Who answered.
        host: String,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// What it holds is longer than the manifest says.
    #[error(
        "failed to use the answer of {host}: it is longer than the {expected} bytes that the manifest names"
    )]
    TooLong {
        /// Who answered.
        host: String,
        /// What the descriptor says.
        expected: u64,
    },
    /// What it holds is shorter than the manifest says.
    #[error(
        "failed to use the answer of {host}: it ends before the {expected} bytes that the manifest names"
    )]
    TooShort {
        /// Who answered.
        host: String,
        /// What the descriptor says.
        expected: u64,
    },
    /// The bytes are not those of the digest.
    #[error("failed to verify {what} from {host}: its bytes have another digest")]
    DigestMismatch {
        /// Who answered.
        host: String,
        /// Manifest or blob by digest.
        what: String,
    },
}

impl RegistryError {
    /// Whether the same request may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Protocol { .. } | Self::TooShort { .. }
        )
    }
}
