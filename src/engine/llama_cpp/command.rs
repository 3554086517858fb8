//! llama-server's command line.

use super::TEMPLATE;
use crate::engine::{FlashAttention, Mode, Pooling, Settings};
use crate::gguf::KvType;
use crate::gguf::memory::CHECKPOINTS;

/// Threads of its HTTP server beside those for requests: for the gate's questions, for its health and counters, and for
/// requests whose clients have just gone, of which it learns within a second.
const BESIDE: u32 = 8;

/// Program and arguments.
pub(super) fn command(settings: &Settings) -> Vec<String> {
    let context = settings.tuning.context.to_string();
    let parallel = settings.tuning.parallel.to_string();
    let threads = settings.tuning.threads.to_string();
    let http = settings.tuning.requests.saturating_add(BESIDE).to_string();
    let checkpoints = CHECKPOINTS.to_string();
    let mut command: Vec<String> = [
        "/usr/bin/llama-server",
        "-m",
        &settings.model,
        "--host",
        &settings.socket,
        // Without it some builds refuse to start; nothing listens there.
        "--port",
        "8080",
        "--offline",
        "--no-ui",
        "--no-slots",
        "--metrics",
        "--alias",
        &settings.name,
        "-c",
        &context,
        "-np",
        &parallel,
        "-t",
        &threads,
        // One for each request that it holds, waiting or not. Older builds have no more than parallel + 2 by default, or the
        // node's cores, and with all of them taken answer nobody who asks for their health (`tools/server`).
        "--threads-http",
        &http,
        // The default is a prompt cache of 8 GiB.
        "--cache-ram",
        "0",
        // The default is 32 a slot, which of windows and states are gigabytes.
        "--ctx-checkpoints",
        &checkpoints,
    ]
    .map(str::to_owned)
    .into();
    for (name, kind) in [
        ("--cache-type-k", settings.tuning.cache_k),
        ("--cache-type-v", settings.tuning.cache_v),
    ] {
        if kind != KvType::default() {
            command.extend([name.to_owned(), kind.as_str().to_owned()]);
        }
    }
    for (name, number) in [
        ("--batch-size", settings.tuning.batch),
        ("--ubatch-size", settings.tuning.micro_batch),
        ("--gpu-layers", settings.tuning.gpu_layers),
    ] {
        command.extend(
            number
                .map(|n| [name.to_owned(), n.to_string()])
                .into_iter()
                .flatten(),
        );
    }
    match settings.task.mode {
        Mode::Completion => {}
        Mode::Embedding => command.push("--embeddings".to_owned()),
        Mode::Rerank => command.push("--reranking".to_owned()),
    }
    if let Some(pooling) = settings.tuning.pooling {
        let word = match pooling {
            Pooling::Mean => "mean",
            Pooling::Cls => "cls",
            Pooling::Last => "last",
        };
        command.extend(["--pooling", word].map(str::to_owned));
    }
    if settings.tuning.flash_attention == FlashAttention::Always {
        command.extend(["--flash-attn", "on"].map(str::to_owned));
    }
    if settings.task.template.is_some() {
        let file = format!("{}/{TEMPLATE}", settings.store);
        command.extend(["--chat-template-file".to_owned(), file]);
    }
    // One argument for all: of several only the last would count (llama.cpp, `common/arg.cpp`).
    let adapters = settings.adapters.iter();
    let adapters: Vec<String> = adapters
        .map(|adapter| format!("{}:{}", adapter.file, adapter.scale))
        .collect();
    if !adapters.is_empty() {
        command.extend(["--lora-scaled".to_owned(), adapters.join(",")]);
    }
    if let Some(projector) = &settings.projector {
        command.extend(["--mmproj".to_owned(), projector.clone()]);
    }
    command
}
