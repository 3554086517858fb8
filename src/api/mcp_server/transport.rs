//! How an MCP server speaks.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the server speaks to the gate of its pod. Clients always speak Streamable HTTP to the gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("self.type == 'Stdio' ? has(self.stdio) && !has(self.http) : has(self.http) && !has(self.stdio)").message(
    "write exactly one of stdio and http, the one that type names"
))]
pub struct Transport {
    /// `Stdio`: it reads its standard input and writes to its standard output. `HTTP`: it listens on 127.0.0.1.
    #[serde(rename = "type")]
    pub transport_type: TransportType,
    /// How it is started with `type: Stdio`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdio: Option<Stdio>,
    /// How it is started and where it listens with `type: HTTP`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Http>,
}

impl Transport {
    /// The program and its arguments.
    #[must_use]
    pub fn command(&self) -> &[String] {
        let stdio = self.stdio.as_ref().map(|stdio| stdio.command.as_slice());
        let http = self.http.as_ref().map(|http| http.command.as_slice());
        stdio.or(http).unwrap_or_default()
    }
}

/// The ways of [`Transport`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TransportType {
    /// Standard input and output.
    Stdio,
    /// A port of 127.0.0.1.
    #[serde(rename = "HTTP")]
    Http,
}

/// A server on standard input and output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Stdio {
    /// The program and its arguments, such as `[node, /app/server.js]`. No shell reads them.
    #[schemars(length(min = 1, max = 64), inner(length(max = 1024)))]
    #[x_kube(validation = Rule::new("!self.exists(a, a.matches('(^|/)(npx|pnpx|bunx|uvx|pipx|pip[0-9.]*)$'))").message(
        "npx, uvx, pip and their like fetch the server when it starts, and a sealed pod reaches no registry: bake the package into the image and write the program that it installs"
    ))]
    #[x_kube(validation = Rule::new("size(self) < 2 || !(self[0].matches('(^|/)(npm|pnpm|yarn|bun|uv)$') && self[1] in ['exec', 'x', 'dlx', 'install', 'i', 'ci', 'add', 'create', 'tool', 'sync'] || self[0].matches('(^|/)uv$') && self[1] == 'run')").message(
        "this command fetches packages when it starts, and a sealed pod reaches no registry: bake the package into the image and write the program that it installs"
    ))]
    #[x_kube(validation = Rule::new("!self[0].matches('(^|/)(ba|da|a|z)?sh$') || !self.exists(a, a.matches('(^|[ ;&|(/])(npx|pnpx|bunx|uvx|pipx) '))").message(
        "npx, uvx and their like fetch the server when it starts, and a sealed pod reaches no registry: bake the package into the image and write the program that it installs"
    ))]
    pub command: Vec<String>,
}

/// A server on a port of 127.0.0.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Http {
    /// The program and its arguments. The image's own entry point is not known here, so it must be written.
    #[schemars(length(min = 1, max = 64), inner(length(max = 1024)))]
    #[x_kube(validation = Rule::new("!self.exists(a, a.matches('(^|/)(npx|pnpx|bunx|uvx|pipx|pip[0-9.]*)$'))").message(
        "npx, uvx, pip and their like fetch the server when it starts, and a sealed pod reaches no registry: bake the package into the image and write the program that it installs"
    ))]
    #[x_kube(validation = Rule::new("size(self) < 2 || !(self[0].matches('(^|/)(npm|pnpm|yarn|bun|uv)$') && self[1] in ['exec', 'x', 'dlx', 'install', 'i', 'ci', 'add', 'create', 'tool', 'sync'] || self[0].matches('(^|/)uv$') && self[1] == 'run')").message(
        "this command fetches packages when it starts, and a sealed pod reaches no registry: bake the package into the image and write the program that it installs"
    ))]
    #[x_kube(validation = Rule::new("!self[0].matches('(^|/)(ba|da|a|z)?sh$') || !self.exists(a, a.matches('(^|[ ;&|(/])(npx|pnpx|bunx|uvx|pipx) '))").message(
        "npx, uvx and their like fetch the server when it starts, and a sealed pod reaches no registry: bake the package into the image and write the program that it installs"
    ))]
    pub command: Vec<String>,
    /// The port of 127.0.0.1 on which the server listens.
    #[schemars(range(min = 1024, max = 32_767))]
    #[x_kube(validation = Rule::new("!(self >= 8080 && self <= 8082) && !(self >= 11500 && self <= 11599)").message(
        "the pod's gate has 8080 to 8082 and 11500 to 11599: let the server listen on another port"
    ))]
    pub port: u16,
    /// The path at which the server speaks MCP. `/mcp` by default.
    #[serde(default = "path")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^/[-A-Za-z0-9._~/]*$"))]
    pub path: String,
}

fn path() -> String {
    "/mcp".to_owned()
}
