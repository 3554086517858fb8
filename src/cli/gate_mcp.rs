//! Flags of `sealroom gate` about an MCP server.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crate::gate::mcp::Config;
use crate::gate::mcp::hosts::Hosts;
use crate::gate::mcp::house::{self, Isolation};
use crate::mcp::{Hash, Policy};

/// How the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "PascalCase")]
enum Transport {
    /// Over the standard streams of children of the bridge
    Stdio,
    /// Over HTTP on a port of 127.0.0.1
    Http,
}

/// Which tools clients see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "PascalCase")]
enum Tools {
    /// All of them
    All,
    /// Those of --mcp-tool
    AllowListed,
}

/// In front of an MCP server instead of an engine.
#[derive(Debug, clap::Args)]
pub struct McpArgs {
    /// The gate is in front of an MCP server, which speaks so
    #[arg(
        long,
        env = "SEALROOM_MCP",
        value_enum,
        conflicts_with_all = ["model", "digest", "tokens_per_minute", "tokens_per_day"]
    )]
    mcp: Option<Transport>,
    /// The port of 127.0.0.1 on which a server listens that speaks HTTP
    #[arg(long, env = "SEALROOM_MCP_PORT", value_name = "PORT")]
    mcp_port: Option<u16>,
    /// The path of its endpoint
    #[arg(
        long,
        env = "SEALROOM_MCP_PATH",
        default_value = "/mcp",
        value_name = "PATH"
    )]
    mcp_path: String,
    /// For whom a child is: for each session one, or one for all
    #[arg(long, env = "SEALROOM_MCP_ISOLATION", value_enum, default_value_t = Isolation::PerSession)]
    mcp_isolation: Isolation,
    /// Most children at once, the gate's own included
    #[arg(long, env = "SEALROOM_MCP_MAX_CHILDREN", default_value_t = 16, value_parser = clap::value_parser!(u16).range(2..=1_024))]
    mcp_max_children: u16,
    /// A session that was not used for so long ends
    #[arg(long, env = "SEALROOM_MCP_IDLE_SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    mcp_idle_seconds: u64,
    /// Between two looks at tools that said nothing about a change, where it is not the usual time
    #[arg(long, hide = true, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    mcp_inspect_seconds: Option<u64>,
    /// A call of a session whose answer nobody reads goes on for so long, where it is not the usual time
    #[arg(long, hide = true, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    mcp_unread_seconds: Option<u64>,
    /// Which tools clients see and may call
    #[arg(long, env = "SEALROOM_MCP_TOOLS", value_enum, default_value_t = Tools::All)]
    mcp_tools: Tools,
    /// A tool that clients see and may call, with --mcp-tools=AllowListed; may be given several times
    #[arg(long, value_name = "NAME")]
    mcp_tool: Vec<String>,
    /// What the tools must be, as `sealroom pin` prints it
    #[arg(long, env = "SEALROOM_MCP_PIN", value_name = "sha256:HEX")]
    mcp_pin: Option<Hash>,
    /// A name under which clients reach the endpoint, beside addresses and localhost; may be given several times
    #[arg(long, value_name = "NAME")]
    mcp_host: Vec<String>,
    /// An origin from which browsers may ask, beside those of the names; may be given several times
    #[arg(long, value_name = "ORIGIN")]
    mcp_origin: Vec<String>,
}

impl McpArgs {
    /// As the gate takes it; `None` where it is in front of an engine.
    ///
    /// # Errors
    /// Flags that do not fit together.
    pub fn config(self, socket: &Path) -> Result<Option<Config>, String> {
        let http = match (self.mcp, self.mcp_port) {
            (None, _) => return Ok(None),
            (Some(Transport::Stdio), _) => None,
            (Some(Transport::Http), None) => return Err("--mcp=Http needs --mcp-port".to_owned()),
            (Some(Transport::Http), Some(port)) => {
                let path = self.mcp_path.parse::<http::Uri>().ok();
                let plain =
                    |path: &http::Uri| path.authority().is_none() && path.path() == self.mcp_path;
                let path = path
                    .filter(plain)
                    .ok_or("--mcp-path is no path such as /mcp")?;
                Some((port, path))
            }
        };
        let policy = match self.mcp_tools {
            Tools::All if !self.mcp_tool.is_empty() => {
                return Err("--mcp-tool needs --mcp-tools=AllowListed".to_owned());
            }
            Tools::All => Policy::All,
            Tools::AllowListed => Policy::AllowListed(BTreeSet::from_iter(self.mcp_tool)),
        };
        Ok(Some(Config {
            house: house::Config {
                socket: socket.to_owned(),
                isolation: self.mcp_isolation,
                max_children: self.mcp_max_children.into(),
                idle: Duration::from_secs(self.mcp_idle_seconds),
                inspect: self.mcp_inspect_seconds.map(Duration::from_secs),
            },
            http,
            unread: self.mcp_unread_seconds.map(Duration::from_secs),
            policy,
            pin: self.mcp_pin,
            hosts: Hosts::new(self.mcp_host, self.mcp_origin),
        }))
    }
}
