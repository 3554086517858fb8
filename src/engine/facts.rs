//! The plain types that an engine is asked with and answers in.

use serde::{Deserialize, Serialize};

use super::{FlashAttention, Mode, Pooling};
use crate::gguf::KvType;

/// What an engine is started with. No Kubernetes type: the operator fills it in, `launch --lay-out` reads it as
/// JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// The file with the weights.
    pub model: String,
    /// What requests carry as `model`.
    pub name: String,
    /// The Unix socket to listen on, for an engine that can.
    pub socket: String,
    /// Tokens of context, as the engine's own setting counts them: llama.cpp of all slots together, Ollama of
    /// one request.
    pub context: u32,
    /// Requests that are computed at once.
    pub parallel: u32,
    /// Threads of computation.
    pub threads: u32,
    /// Type of the cached keys.
    #[serde(default)]
    pub cache_k: KvType,
    /// Type of the cached values.
    #[serde(default)]
    pub cache_v: KvType,
    /// What the model is served for.
    #[serde(default, skip_serializing_if = "Mode::is_default")]
    pub mode: Mode,
    /// How the vectors of a text's tokens become one; without it, as the model says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// Tokens that are handed to the model at once; without it, the engine's own choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// Tokens of these that are computed at once; without it, the engine's own choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<u32>,
    /// Layers in an accelerator; without it, the engine's own choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_layers: Option<u32>,
    /// Whether flash attention is used.
    #[serde(default, skip_serializing_if = "FlashAttention::is_default")]
    pub flash_attention: FlashAttention,
    /// Where its store will be, if it has one.
    #[serde(default)]
    pub store: String,
    /// A chat template in the engine's own language, instead of the one that the model's leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Texts that end an answer, beside those of the template's family.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Of several models: how many may be loaded at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_loaded: Option<u32>,
    /// LoRA adapters that every request is computed with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adapters: Vec<Adapter>,
    /// The file of a multimodal projector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projector: Option<String>,
}

/// A LoRA adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Adapter {
    /// Its file, whose path has neither a comma nor a colon.
    pub file: String,
    /// By how much it counts, as a decimal number.
    pub scale: String,
}

/// What is not the same in every pod, or in a test.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The TCP port to listen on.
    pub port: u16,
    /// The directory of the store.
    pub store: &'a str,
}

/// Where an engine listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listens {
    /// On a Unix socket.
    Unix,
    /// On 127.0.0.1, by default on this port.
    Tcp(u16),
}

/// Which sockets an engine may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sockets {
    /// AF_UNIX alone.
    UnixOnly,
    /// AF_UNIX, and TCP over AF_INET and AF_INET6.
    UnixAndStreams,
}

/// What an engine says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answers, and takes no requests yet.
    Loading,
    /// It takes requests.
    Ready,
}

/// A POST to the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Where.
    pub path: &'static str,
    /// What, as JSON.
    pub body: Vec<u8>,
}

/// Tokens since the engine's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Read.
    pub prompt: u64,
    /// Written.
    pub generated: u64,
}

#[cfg(test)]
impl Settings {
    /// Of the tests.
    pub(crate) fn sample() -> Self {
        Self {
            model: "/models/model.gguf".to_owned(),
            name: "assistant".to_owned(),
            socket: "/run/runtime.sock".to_owned(),
            context: 2048,
            parallel: 2,
            threads: 3,
            cache_k: KvType::default(),
            cache_v: KvType::default(),
            mode: Mode::default(),
            pooling: None,
            batch: None,
            micro_batch: None,
            gpu_layers: None,
            flash_attention: FlashAttention::default(),
            store: "/run/store".to_owned(),
            template: None,
            stop: Vec::new(),
            max_loaded: None,
            adapters: Vec::new(),
            projector: None,
        }
    }
}
