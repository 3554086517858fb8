//! What can end a pull.

use std::io;

use serde::{Deserialize, Serialize};

use crate::gguf::GgufError;
use crate::oci::{ManifestError, RegistryError};

/// Why a plan or a pull ended without its artifact, in one word for conditions and scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// A host that nobody declared.
    RegistryNotDeclared,
    /// No such manifest or blob.
    NotFound,
    /// The registry refuses the credentials.
    Unauthorized,
    /// The registry's certificate does not follow from the declared CA.
    UnknownCA,
    /// Bytes that are not those of the digest or size.
    DigestMismatch,
    /// The layer is no GGUF file.
    NotGGUF,
    /// The file or blob ends too early.
    Truncated,
    /// The artifact does not fit the volume.
    VolumeTooSmall,
    /// A pull secret is not there.
    SecretMissing,
    /// The registry does not answer.
    Unreachable,
    /// The registry's answers contradict HTTP.
    InvalidAnswer,
    /// The manifest is none.
    InvalidManifest,
    /// A format that is not supported.
    UnsupportedFormat,
    /// A GGUF file of another kind than the one that is asked for.
    WrongKind,
    /// Larger than the declared limit.
    TooLarge,
    /// The directory holds another artifact, or another pull works in it.
    VolumeInUse,
    /// Reading or writing the volume failed.
    VolumeFailed,
    /// A signal ended it; what is there is kept.
    Interrupted,
}

/// Why a plan or a pull ended without its artifact.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The file.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// A named secret file is absent.
    #[error("failed to read the pull secret {file}: it is not there (yet)")]
    SecretMissing {
        /// Path as it was given.
        file: String,
    },
    /// A named secret file is no `.dockerconfigjson`.
    #[error("failed to read the pull secret {file}: it is no dockerconfigjson")]
    SecretInvalid {
        /// Path as it was given.
        file: String,
    },
    /// The CA file is absent.
    #[error("failed to read the registry's ca {file}: it is not there (yet)")]
    CaMissing {
        /// Path as it was given.
        file: String,
    },
    /// Seen before the first byte is written.
    #[error(
        "failed to fit the artifact: it needs {needed} bytes more and the volume has {available}"
    )]
    VolumeTooSmall {
        /// Bytes that are still to be written.
        needed: u64,
        /// Bytes that are free.
        available: u64,
    },
    /// Seen while writing.
    #[error("failed to fit the artifact: the volume is full")]
    VolumeFull,
    /// Beyond `--max-bytes`.
    #[error("failed to pull: the artifact has {bytes} bytes and {limit} are allowed")]
    TooLarge {
        /// By the manifest.
        bytes: u64,
        /// By declaration.
        limit: u64,
    },
    /// What was written has another digest.
    #[error("failed to verify blob {digest}: the bytes that the registry sent have another digest")]
    DigestMismatch {
        /// Of the descriptor.
        digest: String,
    },
    /// `sealroom.json` names another artifact.
    #[error("failed to use the directory: it holds the artifact {found}")]
    OtherArtifact {
        /// Digest of that one.
        found: String,
    },
    /// Another process holds the directory's lock.
    #[error("failed to use the directory: another pull works in it")]
    Busy,
    /// The volume.
    #[error("failed to {what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// How it failed.
        source: io::Error,
    },
}

impl PullError {
    /// For `map_err`: tells a full volume from other trouble.
    pub(super) fn io(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::VolumeFull,
            _ => Self::Io { what, source },
        }
    }

    /// In one word.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Registry(error) => match error {
                RegistryError::Undeclared { .. } => Reason::RegistryNotDeclared,
                RegistryError::NotFound { .. } => Reason::NotFound,
                RegistryError::Unauthorized { .. } => Reason::Unauthorized,
                RegistryError::UnknownCa { .. } => Reason::UnknownCA,
                RegistryError::Unreachable { .. } => Reason::Unreachable,
                RegistryError::Protocol { .. } => Reason::InvalidAnswer,
                RegistryError::TooShort { .. } => Reason::Truncated,
                RegistryError::TooLong { .. } | RegistryError::DigestMismatch { .. } => {
                    Reason::DigestMismatch
                }
            },
            Self::Manifest(ManifestError::Invalid(_)) => Reason::InvalidManifest,
            Self::Manifest(ManifestError::Unsupported(_)) => Reason::UnsupportedFormat,
            Self::Gguf(error) => match error {
                GgufError::Truncated { .. } => Reason::Truncated,
                GgufError::WrongKind { .. } => Reason::WrongKind,
                GgufError::Io(_) => Reason::VolumeFailed,
                _ => Reason::NotGGUF,
            },
            Self::SecretMissing { .. } => Reason::SecretMissing,
            Self::SecretInvalid { .. } => Reason::Unauthorized,
            Self::CaMissing { .. } => Reason::UnknownCA,
            Self::VolumeTooSmall { .. } | Self::VolumeFull => Reason::VolumeTooSmall,
            Self::TooLarge { .. } => Reason::TooLarge,
            Self::DigestMismatch { .. } => Reason::DigestMismatch,
            Self::OtherArtifact { .. } | Self::Busy => Reason::VolumeInUse,
            Self::Io { .. } => Reason::VolumeFailed,
        }
    }

    /// What `--wait` waits for; `None` for what ends a pull in any case.
    #[must_use]
    pub fn waits_for(&self) -> Option<Reason> {
        let reason = self.reason();
        matches!(
            reason,
            Reason::SecretMissing | Reason::Unauthorized | Reason::UnknownCA | Reason::Unreachable
        )
        .then_some(reason)
    }
}
