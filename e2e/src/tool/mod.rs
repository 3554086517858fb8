//! What runs inside the test pods: clients that dial and fetch, and runtimes that try to get out.
//!
//! The tool image holds this crate's static binary alone, so that nothing but its own first instruction
//! stands between the start of a container and its first packet.

use clap::Subcommand;
use tokio::signal::unix::{SignalKind, signal};

mod completions;
mod families;
mod fetch;
mod hostile;
mod listen;
mod load;
mod mcp;

pub use fetch::nobody_answered;
pub use hostile::{Failure, Hostile, run_as_engine};
pub use load::{HTTP_1, HTTP_2, Summary};
pub use mcp::NO_CONNECTION;

/// Subcommands of the tool image.
#[derive(Debug, Subcommand)]
pub enum Tool {
    /// Gives one answer to every chat, as a server of the OpenAI API, until it is told to stop
    Completions(completions::Args),
    /// Sends one HTTP request and prints status and body
    Fetch(fetch::Args),
    /// Answers on ports until it is told to stop
    Listen(listen::Args),
    /// Asks for streams from many clients at once, until standard input ends, and prints what became of them
    Load(load::Args),
    /// Speaks MCP on standard input and output: a server with a tool that asks its model
    McpServer(mcp::Server),
    /// Asks an MCP server once and prints its answer
    McpCall(mcp::Call),
    /// Sleeps until it is told to stop: a pod to exec into
    Idle,
}

impl Tool {
    /// Runs the tool to its end.
    ///
    /// # Errors
    /// What the tool met, as text for the log.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Completions(args) => args.run().await,
            Self::Fetch(args) => args.run().await,
            Self::Listen(args) => args.run().await,
            Self::Load(args) => args.run().await,
            Self::McpServer(args) => args.run().await,
            Self::McpCall(args) => args.run().await,
            Self::Idle => told_to_stop().await,
        }
    }
}

/// Waits for SIGTERM.
async fn told_to_stop() -> anyhow::Result<()> {
    signal(SignalKind::terminate())?.recv().await;
    Ok(())
}
