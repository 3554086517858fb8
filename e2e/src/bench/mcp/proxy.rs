//! What stands between a client and servers on stdio.

use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::client::Client;
use super::marked::Marked;
use super::way::{Programs, Way, arguments};
use crate::bench::process::{Audit, Gate, LEASE};
use crate::bench::processes::resident;

/// For a proxy to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running one. It is killed when this is dropped, and its children with it.
#[derive(Debug)]
pub struct Proxy {
    way: Way,
    at: SocketAddr,
    own: Vec<u32>,
    marked: Marked,
    gate: Option<Gate>,
    _child: Child,
    _directory: TempDir,
}

impl Proxy {
    /// Starts it; `children` is how many a gate may have, its own included.
    ///
    /// # Errors
    /// When it does not start or does not answer.
    pub async fn start(programs: &Programs, way: Way, children: u16) -> Result<Self> {
        let directory = tempfile::tempdir().context("failed to make a directory")?;
        let marked = Marked::new();
        let proxy = match way {
            Way::Bare => anyhow::bail!("bare pipes are no proxy"),
            Way::Gate | Way::Unread | Way::Shared => {
                Self::ours(programs, way, children, directory, marked).await?
            }
            Way::Supergateway | Way::Stateless | Way::McpProxy => {
                Self::theirs(programs, way, directory, marked)?
            }
        };
        let began = Instant::now();
        loop {
            match proxy.client().await {
                Ok(client) => break client.end().await?,
                Err(error) if began.elapsed() > PATIENCE => return Err(error),
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
        Ok(proxy)
    }

    async fn ours(
        programs: &Programs,
        way: Way,
        children: u16,
        directory: TempDir,
        marked: Marked,
    ) -> Result<Self> {
        let socket = directory.path().join("runtime.sock");
        let children = children.to_string();
        let isolation = if way == Way::Shared {
            "Shared"
        } else {
            "PerSession"
        };
        let flags = [
            ["--mcp", "Stdio"],
            ["--mcp-isolation", isolation],
            ["--mcp-max-children", &children],
        ];
        let audit = if way == Way::Unread {
            Audit::Dropped
        } else {
            Audit::Read
        };
        let gate = Gate::proven(
            &programs.sealroom,
            directory.path(),
            &socket,
            flags.as_flattened(),
            audit,
        )
        .await?;
        let mut bridge = Command::new(&programs.sealroom);
        bridge
            .args(["bridge", "--max-children", &children])
            .arg("--lease-socket")
            .arg(directory.path().join(LEASE))
            .arg("--socket")
            .arg(&socket)
            .args(["--", "/usr/bin/perl"])
            .arg(&programs.server);
        let (bridge, pid) = spawn(bridge, &marked).context("failed to start the bridge")?;
        gate.ready().await?;
        Ok(Self {
            way,
            at: gate.api,
            own: vec![gate.pid, pid],
            marked,
            gate: Some(gate),
            _child: bridge,
            _directory: directory,
        })
    }

    fn theirs(programs: &Programs, way: Way, directory: TempDir, marked: Marked) -> Result<Self> {
        // Free a moment ago: neither takes a port of the system's choice and says which.
        let at = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let mut node = Command::new(programs.proxies.join("node"));
        node.args(arguments(programs, way, at));
        let (child, pid) = spawn(node, &marked).context("failed to start node")?;
        Ok(Self {
            way,
            at,
            own: vec![pid],
            marked,
            gate: None,
            _child: child,
            _directory: directory,
        })
    }

    /// Which it is, and where it listens.
    #[must_use]
    pub fn door(&self) -> (Way, SocketAddr) {
        (self.way, self.at)
    }

    /// A client with a connection of its own, and with a session where there are sessions.
    ///
    /// # Errors
    /// When no session begins.
    pub async fn client(&self) -> Result<Client> {
        Client::http(self.at, self.way.sessions()).await
    }

    /// The resident memory of the proxy itself, in MiB.
    ///
    /// # Errors
    /// When it is gone.
    pub fn memory(&self) -> Result<f64> {
        self.own.iter().map(|pid| resident(*pid)).sum()
    }

    /// How many processes it has beside its own, and their resident memory in MiB.
    #[must_use]
    pub fn children(&self) -> (usize, f64) {
        self.marked.children(&self.own)
    }

    /// Whether what was measured was a proven gate to its end.
    ///
    /// # Errors
    /// When it is not proven any more.
    pub async fn still_proven(&self) -> Result<()> {
        match &self.gate {
            Some(gate) => gate.still_proven().await,
            None => Ok(()),
        }
    }
}

/// Starts one that reads and says nothing; it and what it starts are known by the mark.
fn spawn(mut command: Command, marked: &Marked) -> Result<(Child, u32)> {
    let (name, mark) = marked.variable();
    let child = command
        .env(name, mark)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let pid = child.id().context("it ended")?;
    Ok((child, pid))
}
