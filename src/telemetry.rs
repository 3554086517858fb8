//! Logs as JSON lines on stderr.

use tracing_subscriber::{EnvFilter, fmt};

/// Starts the log: JSON lines on stderr, level from `SEALROOM_LOG` (default `info`).
///
/// Libraries that could print addresses, headers or bodies stay at `warn` unless named in the variable.
pub fn init() {
    let filter = EnvFilter::try_from_env("SEALROOM_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,sealroom=info"));
    let _ = fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
}
