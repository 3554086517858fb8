//! Conditions and their reasons.

use std::fmt;

/// The types of conditions. Statuses are `True`, `False` and `Unknown` (API conventions, "Typical status
/// properties"); `Ready`, `Reconciling` and `Stalled` follow kstatus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// This generation is what it should be, everywhere.
    Ready,
    /// Work goes on by itself.
    Reconciling,
    /// Nothing goes on until somebody mends something.
    Stalled,
    /// The artifact is in its volume, verified.
    ArtifactReady,
    /// Every serving pod is proven closed.
    Sealed,
    /// Something serves, of whatever generation.
    Available,
    /// Every model that an MCP server names can be asked.
    ModelsBound,
    /// The tools of an MCP server are those that were agreed to.
    ToolsPinned,
}

impl ConditionType {
    /// As the status writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::ArtifactReady => "ArtifactReady",
            Self::Sealed => "Sealed",
            Self::Available => "Available",
            Self::ModelsBound => "ModelsBound",
            Self::ToolsPinned => "ToolsPinned",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// Why a condition has its status. The same words are the reasons of Events.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)+ }

        impl Reason {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// As the status writes it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// The reason of that name.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $(stringify!($name) => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

reasons! {
    // ArtifactReady
    /// The manifest and the header are being read.
    Planning,
    /// The bytes are on their way into the volume.
    Pulling,
    /// The bytes are there and are what the digest says.
    Verified,
    /// No registry of that host is declared by the platform.
    RegistryNotDeclared,
    /// The registry does not have the digest.
    NotFound,
    /// The registry refuses the credentials.
    Unauthorized,
    /// The registry's certificate is signed by nobody we trust.
    UnknownCA,
    /// The registry sent bytes that differ from the digest.
    DigestMismatch,
    /// The artifact is not a GGUF file of a version that can be read.
    NotGGUF,
    /// The file ends before its header says.
    Truncated,
    /// The volume is too small for the artifact.
    VolumeTooSmall,
    /// A Secret that is named is not there.
    SecretMissing,
    /// A ConfigMap that is named is not there.
    ConfigMapMissing,
    /// The keys of the OpenID provider are not there.
    KeySetMissing,
    /// The volume lies on a node where the model may not run.
    ClaimNodeMismatch,
    /// The registry cannot be reached.
    Unreachable,
    /// The manifest is not one of a model.
    InvalidManifest,
    /// The artifact's format is one that this version does not read.
    UnsupportedFormat,
    /// The file is of another kind than its place asks for: a model, an adapter or a projector.
    WrongKind,
    /// The artifact is larger than allowed.
    TooLarge,
    /// The registry's answers make no sense.
    InvalidAnswer,
    /// Another pull writes into the volume.
    VolumeInUse,
    /// The volume cannot be written.
    VolumeFailed,
    /// The pull was told to stop.
    Interrupted,
    /// The Job's pod could not start or ended without a result.
    JobFailed,

    // Sealed
    /// Proven, and no way out is declared.
    NoEgress,
    /// Proven, and only the declared ways out are open.
    DeclaredEgressOnly,
    /// A pod got out and a policy explains it.
    EgressOpen,
    /// A policy permits more than is declared.
    PolicyWidens,
    /// A pod got out and no policy explains it: the network plugin does not enforce.
    NotEnforced,
    /// A sealed pod is not what was made.
    PodAltered,
    /// The object asks for no seal, and the platform allows it in this namespace.
    SealDisabled,
    /// The first proof is not complete yet.
    Proving,
    /// A control did not work, so nothing can be concluded.
    ControlFailed,
    /// The last proof is older than it may be.
    EvidenceStale,

    // ModelsBound
    /// Every model can be asked.
    Bound,
    /// The server names no model.
    NoModels,
    /// A model that is named is not there.
    ModelNotFound,
    /// A model of another namespace does not let the server in.
    AccessNotGranted,
    /// As many servers as a model lets in because they name it were made before.
    TooManyServers,
    /// A model has no address at which it could be asked.
    NoAddress,
    /// A model serves TLS, and no CA is named to check it against.
    CaMissing,
    /// A model is there and does not serve.
    ModelNotReady,
    /// Nobody takes connections at the address of a model's Service.
    ModelUnreachable,

    // ToolsPinned
    /// The tools are those of the pin.
    Pinned,
    /// The tools are not those of the pin.
    ToolsDrifted,
    /// The server has not listed its tools yet, or gives errors instead.
    ToolsUnknown,
    /// No pin is written.
    NotPinned,

    // Available
    /// At least one pod serves.
    Serving,
    /// No pod serves.
    NoPodServes,
    /// Zero replicas are asked for.
    ScaledToZero,

    // Ready, Reconciling, Stalled
    /// Everything of this generation is as written.
    Succeeded,
    /// The artifact is not there yet.
    ArtifactNotReady,
    /// Pods of this generation are being started.
    RollingOut,
    /// The seal is not proven.
    NotSealed,
    /// A model that the server names cannot be asked.
    ModelsNotBound,
    /// Something that other pods need first is being made.
    Progressing,
    /// The API server refused or could not be reached; it is tried again.
    RetryingAfterError,
    /// A name that a child needs is taken by somebody else's object.
    NameConflict,
    /// The platform does not allow `seal.mode: Unsealed` in this namespace.
    UnsealedNotAllowed,
    /// The platform gave no image for the engine.
    ImageMissing,
    /// The object cannot be carried out as written.
    InvalidSpec,
    /// No node that may run the pods has the memory that one asks for.
    InsufficientMemory,
    /// No node that may run a pod has as many accelerators as it asks for.
    InsufficientAccelerators,
    /// A runtime was killed for want of memory.
    RuntimeOutOfMemory,
    /// A runtime gives no sign of life, or finds no end in starting.
    RuntimeHangs,
    /// A runtime ends by itself again and again.
    RuntimeFailing,
    /// A runtime says that it is healthy, and does not answer as it should.
    RuntimeAnswersWrong,
    /// An MCP server ended by itself, does so again and again, or does not start.
    ServerFailing,
    /// An MCP server does not answer.
    ServerHangs,
    /// The API server refuses a child for good, such as by a quota or an admission policy.
    ChildRefused,
    /// Somebody else changes the pod template of a child again and again.
    TemplateContested,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn every_reason_parses_back_and_is_camel_case() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(*reason));
            assert!(
                reason.as_str().chars().all(char::is_alphanumeric),
                "{reason}"
            );
        }
        assert_eq!(Reason::parse("whatever"), None);
    }
}
