//! Which tools clients see.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which tools clients see and may call, and which list of tools was agreed to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("self.policy == 'AllowListed' ? has(self.allow) && size(self.allow) > 0 : !has(self.allow) || size(self.allow) == 0").message(
    "policy: AllowListed needs the tools' names in allow, and policy: All has no list"
))]
pub struct Tools {
    /// `All` (default): every tool of the server. `AllowListed`: those in allow; the others are not listed, and calls
    /// of them are refused.
    #[serde(default)]
    pub policy: ToolsPolicy,
    /// Names of tools, exactly as the server lists them, at most 128. With `policy: AllowListed`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 128),
        inner(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9_./:-]+$")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub allow: Vec<String>,
    /// The hash of the tools' names, descriptions, schemas and annotations, as `sealroom pin` prints it. A server whose
    /// tools have another hash is taken out of service, and the status says what changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 71), regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub pin: Option<String>,
}

/// The ways of [`Tools`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ToolsPolicy {
    /// Every tool.
    #[default]
    All,
    /// Those that are named.
    AllowListed,
}

impl ToolsPolicy {
    /// As the gate's flag writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::AllowListed => "AllowListed",
        }
    }
}
