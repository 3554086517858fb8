//! Why a child could not be written.

use kube::ResourceExt;

use super::Child;

/// Why a child could not be made so.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Its name belongs to somebody else's object.
    #[error("{kind} {name} exists and is not ours")]
    NameConflict {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
    },
    /// Its name is still that of a child of an object that had the name of this one, and is gone.
    #[error("{kind} {name} of the object that had this name before is being deleted")]
    Leaving {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
    },
    /// The API server refuses it for good.
    #[error("the API server refuses {kind} {name}: {message}")]
    Refused {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
        /// The API server's words, shortened.
        message: String,
    },
    /// Anything else: worth another try.
    #[error("failed to write {kind} {name}: {source}")]
    Request {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
        /// Why.
        source: Box<kube::Error>,
    },
}

/// What the API server said when a child was to be written.
pub(super) fn fault<K: Child>(of: &K, source: kube::Error) -> ApplyError {
    let kind = K::kind(&()).into_owned();
    let name = of.name_any();
    match source {
        kube::Error::Api(status) if status.is_invalid() || status.is_forbidden() => {
            let message = status.message.chars().take(256).collect();
            ApplyError::Refused {
                kind,
                name,
                message,
            }
        }
        source => ApplyError::Request {
            kind,
            name,
            source: Box::new(source),
        },
    }
}
