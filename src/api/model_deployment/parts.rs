//! Files that llama.cpp reads beside a model: adapters and a projector.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ArtifactSource;

/// A LoRA adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Adapter {
    /// Its name in the status and in messages: 1 to 40 of a-z, 0-9 and -.
    #[schemars(
        length(min = 1, max = 40),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// The adapter: one GGUF file, made for a model of this architecture and these sizes.
    pub artifact: ArtifactSource,
    /// By how much it counts, as a text from `"-99"` to `"99"`: `"1"` (default) as it was trained, `"0.5"` half, `"0"` not
    /// at all.
    #[serde(default = "scale")]
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(validation = Rule::new("self.matches('^-?[0-9]{1,2}([.][0-9]{1,4})?$')").message(
        "write a scale from -99 to 99 with at most four decimals, as a text: \"1\" or \"0.5\""
    ))]
    pub scale: String,
}

/// A multimodal projector: what makes of an image what the model reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Projector {
    /// The projector: one GGUF file, made for exactly this model.
    pub artifact: ArtifactSource,
}

fn scale() -> String {
    "1".to_owned()
}
