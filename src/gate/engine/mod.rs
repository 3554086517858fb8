//! What the gate knows of each engine: one file per engine, pure functions.

pub mod llama_cpp;

/// The engines that a gate can stand before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum Engine {
    /// llama.cpp's `llama-server`.
    LlamaCpp,
}
