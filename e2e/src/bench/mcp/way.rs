//! The ways to a server, and the programs on them.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;

use super::client::Client;

/// One of the ways to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// No proxy: the server's own pipes.
    Bare,
    /// Bridge and gate, with a child for each session.
    Gate,
    /// The same, and nobody reads the audit.
    Unread,
    /// Bridge and gate, with one child for all.
    Shared,
    /// supergateway, with a child for each session.
    Supergateway,
    /// supergateway, with a child for each request.
    Stateless,
    /// mcp-proxy of npm, which has one child for all.
    McpProxy,
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Of bridge and gate.
    pub sealroom: PathBuf,
    /// A directory with `node` and the proxies in `node_modules`.
    pub proxies: PathBuf,
    /// The server's script.
    pub server: PathBuf,
}

/// Where the ways begin.
#[derive(Clone, Debug)]
pub struct Doors {
    /// The server's script, for the way without a proxy.
    pub server: PathBuf,
    /// Where each proxy listens.
    pub at: Vec<(Way, SocketAddr)>,
}

impl Doors {
    /// A client with a connection of its own, and with a session where there are sessions.
    ///
    /// # Errors
    /// When no session begins.
    pub async fn client(&self, way: Way) -> Result<Client> {
        match self.at.iter().find(|(one, _)| *one == way) {
            Some((_, at)) => Client::http(*at, way.sessions()).await,
            None => Client::pipes(&self.server).await,
        }
    }
}

impl Way {
    /// Those with a proxy, each in its usual setting.
    pub const PROXIES: [Self; 5] = [
        Self::Gate,
        Self::Supergateway,
        Self::Shared,
        Self::McpProxy,
        Self::Stateless,
    ];

    /// As it stands in what is printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare pipes",
            Self::Gate => "gate",
            Self::Unread => "gate, audit to /dev/null",
            Self::Shared => "gate, shared",
            Self::Supergateway => "supergateway",
            Self::Stateless => "supergateway, stateless",
            Self::McpProxy => "mcp-proxy",
        }
    }

    /// Whether it has sessions.
    #[must_use]
    pub const fn sessions(self) -> bool {
        !matches!(self, Self::Stateless)
    }
}

/// As their own documents start them, without a line of log for each message: that is faster.
#[must_use]
pub fn arguments(programs: &Programs, way: Way, at: SocketAddr) -> Vec<OsString> {
    let packages = programs.proxies.join("node_modules");
    let script = |path: &str| packages.join(path).into_os_string();
    let port = at.port().to_string();
    let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
    let server = programs.server.as_os_str();
    if way == Way::McpProxy {
        let mut all = vec![script("mcp-proxy/dist/bin/mcp-proxy.mjs")];
        all.extend(words("--host 127.0.0.1 --server stream --port"));
        all.extend([
            port.into(),
            "--".into(),
            "/usr/bin/perl".into(),
            server.into(),
        ]);
        return all;
    }
    let mut command = OsString::from("/usr/bin/perl ");
    command.push(server);
    let mut all = vec![
        script("supergateway/dist/index.js"),
        "--stdio".into(),
        command,
    ];
    all.extend(words(
        "--outputTransport streamableHttp --logLevel none --port",
    ));
    all.push(port.into());
    if way == Way::Supergateway {
        all.push("--stateful".into());
    }
    all
}
