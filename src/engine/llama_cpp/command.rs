//! llama-server's command line.

use crate::engine::Settings;
use crate::gguf::KvType;
use crate::gguf::memory::CHECKPOINTS;

/// Program and arguments.
pub(super) fn command(settings: &Settings) -> Vec<String> {
    let context = settings.context.to_string();
    let parallel = settings.parallel.to_string();
    let threads = settings.threads.to_string();
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
        ("--cache-type-k", settings.cache_k),
        ("--cache-type-v", settings.cache_v),
    ] {
        if kind != KvType::default() {
            command.extend([name.to_owned(), kind.as_str().to_owned()]);
        }
    }
    command
}
