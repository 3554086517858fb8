//! The plain types that an engine is asked with and answers in.

use serde::{Deserialize, Serialize};

use super::{Task, Tuning};

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
    /// Where its store will be, if it has one.
    #[serde(default)]
    pub store: String,
    /// LoRA adapters that every request is computed with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adapters: Vec<Adapter>,
    /// The file of a multimodal projector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projector: Option<String>,
    /// What the model does.
    #[serde(default, skip_serializing_if = "Task::is_default")]
    pub task: Task,
    /// How the engine serves.
    pub tuning: Tuning,
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
            store: "/run/store".to_owned(),
            adapters: Vec::new(),
            projector: None,
            task: Task::default(),
            tuning: Tuning::sample(),
        }
    }
}
