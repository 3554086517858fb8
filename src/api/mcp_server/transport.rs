//! How an MCP server speaks.

use kube::KubeSchema;
use kube::core::Rule;
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
    #[x_kube(validation = fetches_nothing())]
    pub command: Vec<String>,
}

/// A server on a port of 127.0.0.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Http {
    /// The program and its arguments, such as `[/app/server, --port=3000]`. No shell reads them. The image's own entry point
    /// is not known here, so it must be written.
    #[schemars(length(min = 1, max = 64), inner(length(max = 1024)))]
    #[x_kube(validation = fetches_nothing())]
    pub command: Vec<String>,
    /// The port of 127.0.0.1 on which the server listens: 1024 to 32767, but for 8080 to 8082 and 11500 to 11599, which are
    /// the gate's.
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

/// Programs that do nothing else than fetch and run.
const PROGRAM: &str = "((npx|pnpx)(-cli[.]js)?|bunx|uvx|pipx|dnx)";

/// Refuses a command that fetches packages, written as it is, into the line of a shell, or as one argument of a program
/// that starts others.
fn fetches_nothing() -> Rule {
    let plain = fetchers("\\n", "[^\\n]", "\\n");
    let typed = fetchers("[[:space:]]+", "[^[:space:];&|()]", "[[:space:];&|)]");
    let shell = "self.exists(a, a.matches('^(.*/)?(ba|da|a|z)?sh$'))";
    Rule::new(format!(
        "!self.join('\\n').matches('(^|[\\n/]){plain}') && (!{shell} || !self.exists(a, a.matches('(^|[[:space:];&|(/]){typed}'))) && !self.exists(a, a.matches('^([^[:space:]]*/)?{PROGRAM}[[:space:]]'))"
    ))
    .message(
        "npx, uvx, pip and their like fetch packages when they start, and a sealed pod reaches no registry: bake the package into the image and write the program that it installs",
    )
}

/// The programs that fetch, and the first words of those that do other things too: as a regular expression of words with
/// this between them, of these letters, and with this behind the last.
fn fetchers(gap: &str, letter: &str, end: &str) -> String {
    let flags = format!("({gap}-{letter}+({gap}{letter}+)?)*{gap}");
    let pip = format!("pip[0-9.]*{flags}(install|download|wheel)");
    let uv = format!("uv{flags}(run|tool|sync|add|pip)");
    let npm = format!("npm(-cli[.]js)?{flags}(exec|x|install|i|ci|add|create|init)");
    let others = format!("(pnpm|yarn|bun)([.]c?js)?{flags}(dlx|x|install|i|add|create)");
    // A module by its address is fetched like a package. Flags have no values here: a script would pass for one, and what
    // is behind a script is its own affair.
    let bare = format!("({gap}-{letter}+)*{gap}");
    let module = format!("((run|serve){bare})?(npm|jsr|https?):{letter}*");
    let deno = format!("deno{bare}(x|install|i|add|{module})");
    format!("({PROGRAM}|{pip}|{uv}|{npm}|{others}|{deno})({end}|$)")
}
