//! Why a ModelDeployment cannot be carried out, and what to do.

use crate::api::Reason;
use crate::controller::model_deployment::accelerator::Wrong;
use crate::controller::outcome::Stall;
use crate::types::ImageRefError;

/// Why a ModelDeployment cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Several models cannot be served so.
    #[error("models: {0}")]
    Models(String),
    /// Adapters or a projector cannot be served so.
    #[error("runtime.llamaCpp: {0}")]
    Parts(&'static str),
    /// Two names for one model.
    #[error("models: the engine takes {0} and {1} for one model: give each another name")]
    Twins(String, String),
    /// Nobody gave an image of the engine.
    #[error(
        "the platform has no image of the engine {0}: write runtime.image, or have the platform set its image in the chart's values engines"
    )]
    NoImage(&'static str),
    /// The engine cannot serve for this.
    #[error("runtime: {0}")]
    Mode(String),
    /// The engine cannot serve under the name.
    #[error("{field}: {text}")]
    Name {
        /// Which field.
        field: &'static str,
        /// How.
        text: String,
    },
    /// Neither artifact nor models.
    #[error("write artifact: the model to serve")]
    NoArtifact,
    /// A reference is wrong.
    #[error("{field}: {source}")]
    Reference {
        /// Which field.
        field: &'static str,
        /// How.
        source: ImageRefError,
    },
    /// The registry is not declared.
    #[error(
        "no registry {0} is declared: the platform declares registries in the chart's value registries; name an artifact in one of them"
    )]
    Registry(String),
    /// Unsealed where it may not be.
    #[error(
        "seal.mode: Unsealed is not allowed in namespace {0}: write Enforced, or have the platform list the namespace in the chart's value unsealedNamespaces"
    )]
    Unsealed(String),
    /// A peer that means everybody or nothing.
    #[error("access.from[{0}] names nobody: write podSelector, namespaceSelector or ipBlock")]
    Peer(usize),
    /// The accelerators.
    #[error(transparent)]
    Accelerator(#[from] Wrong),
    /// Pods that cannot be spread.
    #[error(
        "scheduling.topologySpread is of use with delivery.persistentVolumeClaim.accessMode ReadWriteMany only: all pods of another claim run where it is"
    )]
    Spread,
    /// A quantity is none.
    #[error("resources: {0} is no quantity such as 2Gi or 500m")]
    Quantity(String),
}

impl From<Invalid> for Stall {
    fn from(invalid: Invalid) -> Self {
        let reason = match &invalid {
            Invalid::NoImage(_) => Reason::ImageMissing,
            Invalid::Registry(_) => Reason::RegistryNotDeclared,
            Invalid::Unsealed(_) => Reason::UnsealedNotAllowed,
            Invalid::NoArtifact
            | Invalid::Models(_)
            | Invalid::Parts(_)
            | Invalid::Twins(..)
            | Invalid::Mode(_)
            | Invalid::Name { .. }
            | Invalid::Reference { .. }
            | Invalid::Peer(_)
            | Invalid::Accelerator(_)
            | Invalid::Spread
            | Invalid::Quantity(_) => Reason::InvalidSpec,
        };
        // Spec and configuration decide alone: only a change of one of them can help.
        Self::new(reason, invalid.to_string())
    }
}
