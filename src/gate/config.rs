//! What the gate needs to know before it starts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::served::Models;
use super::upstream::Upstream;
use super::{budgets, doubts, drain, engine_view, mcp, models, queue, tokens};
use crate::engine::Engine;
use crate::seal::sign::TrustedKeys;
use crate::seal::state;

/// What the gate needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The API.
    pub listen: SocketAddr,
    /// Probes, report, challenges.
    pub admin: SocketAddr,
    /// `/metrics`.
    pub metrics: SocketAddr,
    /// Where launch takes the lease.
    pub lease_socket: PathBuf,
    /// What it is in front of.
    pub serves: Serves,
    /// The pod that this gate speaks for.
    pub pod_uid: String,
    /// Whose orders it obeys.
    pub trusted: TrustedKeys,
    /// The seal's settings.
    pub seal: state::Config,
    /// The object asks for no seal.
    pub unsealed: bool,
    /// Between two probes of its own.
    pub probe_every: Duration,
    /// The API keys' directory.
    pub api_keys_dir: Option<PathBuf>,
    /// The directory of certificate and key; without it the API is served in the clear.
    pub tls_dir: Option<PathBuf>,
    /// The tokens that are accepted.
    pub tokens: Option<tokens::Config>,
    /// How long the pod's end takes.
    pub drain: drain::Config,
    /// Largest request body in bytes.
    pub max_body: usize,
    /// How long clients, answers and the engine may take.
    pub patience: Patience,
    /// Requests at once, and those that wait.
    pub queue: queue::Config,
    /// What each caller may take.
    pub budgets: budgets::Config,
    /// The models that the pod's program may ask.
    pub models: Vec<models::Config>,
}

/// How long clients, answers and the engine may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a whole answer, however much of it comes.
    pub answer: Duration,
    /// For a client to send its whole body.
    pub body: Duration,
    /// For a client to take some of its answer.
    pub reader: Duration,
    /// For the engine.
    pub engine: engine_view::Limits,
    /// For an engine that says it is healthy, before it is doubted.
    pub doubts: doubts::Limits,
}

/// What the gate is in front of.
#[derive(Clone, Debug)]
pub enum Serves {
    /// An engine with its models.
    Model(Model),
    /// An MCP server.
    Mcp(mcp::Config),
}

/// An engine with its models.
#[derive(Clone, Debug)]
pub struct Model {
    /// Where the engine listens.
    pub upstream: Upstream,
    /// Which engine it is.
    pub engine: Engine,
    /// What it serves.
    pub models: Models,
}
