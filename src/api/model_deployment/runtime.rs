//! The engine of a [`super::ModelDeployment`].

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LlamaCpp, Ollama};
use crate::engine::{Task, Tuning};
use crate::gguf::KvType;

pub use crate::engine::{Engine, FlashAttention, Mode, Pooling, Printed};

/// The engine, its image and its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.engine == 'LlamaCpp' || !has(self.llamaCpp)").message(
    "llamaCpp holds the settings of engine LlamaCpp only: write engine: LlamaCpp, or the member of the engine that is named"
))]
#[x_kube(validation = Rule::new("self.engine == 'Ollama' || !has(self.ollama)").message(
    "ollama holds the settings of engine Ollama only: write engine: Ollama, or the member of the engine that is named"
))]
pub struct Runtime {
    /// The program that runs the model: `LlamaCpp` (llama.cpp's llama-server) or `Ollama`. It decides which of llamaCpp
    /// and ollama may be written, and which format the artifact must have: of both it is GGUF.
    pub engine: Engine,
    /// The engine's image by digest: `host[:port]/repository@sha256:<64 hex digits>`. Without one it is the platform's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9][a-z0-9.-]*(:[0-9]+)?/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$')").message(
        "select the runtime's image by digest, not by tag: write host[:port]/repository@sha256:<64 lower-case hex digits>"
    ))]
    pub image: Option<String>,
    /// Further groups of the pod's processes by their numbers, at most 8, where the files of a device belong to one: those
    /// of `/dev/kfd` and `/dev/dri` on a node with an AMD accelerator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(range(min = 1, max = 2_147_483_647)))]
    pub supplemental_groups: Vec<i64>,
    /// What becomes of what the engine prints once it serves. `Drop` (default): it is counted and dropped, because it
    /// may hold prompts and answers. `Log`: it goes into the log of the container `runtime`, at most 50 lines a second
    /// of 512 bytes each, and status.seal.exits lists it. What it prints before it serves is always there.
    #[serde(default)]
    pub output: Printed,
    /// Settings of `engine: LlamaCpp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llama_cpp: Option<LlamaCpp>,
    /// Settings of `engine: Ollama`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ollama: Option<Ollama>,
}

impl Runtime {
    /// What the settings of its engine say that the one model does.
    #[must_use]
    pub fn task(&self) -> Task {
        let task = match self.engine {
            Engine::LlamaCpp => self.llama_cpp.as_ref().map(LlamaCpp::task),
            Engine::Ollama => self.ollama.as_ref().map(Ollama::task),
        };
        task.unwrap_or_default()
    }

    /// How the settings of its engine say that it serves.
    ///
    /// `cpus` is how many threads there are where they do not say.
    #[must_use]
    pub fn tuning(&self, cpus: u32) -> Tuning {
        match self.engine {
            Engine::LlamaCpp => self.llama_cpp.clone().unwrap_or_default().tuning(cpus),
            Engine::Ollama => self.ollama.clone().unwrap_or_default().tuning(cpus),
        }
    }
}

/// Types of cached keys and values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum KvCacheType {
    /// 2 bytes an element.
    #[default]
    F16,
    /// 8.5 bits an element.
    #[serde(rename = "Q8_0")]
    Q8_0,
    /// 4.5 bits an element.
    #[serde(rename = "Q4_0")]
    Q4_0,
}

impl From<KvCacheType> for KvType {
    fn from(kind: KvCacheType) -> Self {
        match kind {
            KvCacheType::F16 => Self::F16,
            KvCacheType::Q8_0 => Self::Q8_0,
            KvCacheType::Q4_0 => Self::Q4_0,
        }
    }
}

/// `contextLength` where it is not written.
pub(super) fn context_length() -> u32 {
    4096
}

/// `parallel` where it is not written.
pub(super) fn parallel() -> u32 {
    1
}
