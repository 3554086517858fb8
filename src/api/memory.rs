//! Memory as a status shows it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a model needs in memory, as quantities such as `412Mi`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemoryStatus {
    /// The weights.
    #[schemars(length(max = 32))]
    pub weights: String,
    /// The keys and values of every token in the context.
    #[schemars(length(max = 32))]
    pub kv_cache: String,
    /// The buffers of a computation, which grow with the tokens that are computed at once.
    #[schemars(length(max = 32))]
    pub compute: String,
    /// The sum with headroom: what the runtime's container asks for where the object does not say.
    #[schemars(length(max = 32))]
    pub total: String,
    /// What the accelerators need in all, where layers are there: their part of the three, and 512 MiB for the driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub accelerators: Option<String>,
    /// True: computed from the model's header, not measured.
    pub estimate: bool,
}
