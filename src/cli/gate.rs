//! `sealroom gate`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{Exit, files};
use crate::engine::{Engine, Listens, Mode};
use crate::gate::audit::Audit;
use crate::gate::served::{Models, Served};
use crate::gate::upstream::Upstream;
use crate::gate::{self, Config, Model, Serves, drain};
use crate::launch::drain_within;
use crate::seal::sign::TrustedKeys;
use crate::seal::state::{self, OwnNode, WhenStale};

/// For the runtime's end, and for the last lines of the audit.
const END: Duration = Duration::from_secs(1);

/// Flags of `sealroom gate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The preStop hook: ask the running gate to drain, and wait until it has
    #[arg(long)]
    drain: bool,
    /// The API
    #[arg(long, env = "SEALROOM_LISTEN", default_value = "[::]:8080")]
    listen: SocketAddr,
    /// Probes of the kubelet, the seal's report, challenges
    #[arg(long, env = "SEALROOM_ADMIN", default_value = "[::]:8081")]
    admin: SocketAddr,
    /// Prometheus metrics
    #[arg(long, env = "SEALROOM_METRICS", default_value = "[::]:8082")]
    metrics: SocketAddr,
    /// The Unix socket on which launch takes the lease
    #[arg(
        long,
        env = "SEALROOM_LEASE_SOCKET",
        default_value = "/run/sealroom/gate/lease.sock"
    )]
    lease_socket: PathBuf,
    /// The Unix socket on which the engine listens, if it can
    #[arg(
        long,
        env = "SEALROOM_RUNTIME_SOCKET",
        default_value = "/run/sealroom/runtime/runtime.sock"
    )]
    runtime_socket: PathBuf,
    /// The port of 127.0.0.1 on which it listens otherwise; without it, its usual one
    #[arg(long, env = "SEALROOM_RUNTIME_PORT", value_name = "PORT")]
    runtime_port: Option<u16>,
    /// Which engine it is
    #[arg(long, env = "SEALROOM_ENGINE", value_enum, default_value_t = Engine::LlamaCpp)]
    engine: Engine,
    /// What the model is served for: it decides the routes
    #[arg(long, env = "SEALROOM_MODE", value_enum, default_value_t)]
    mode: Mode,
    /// The served model's name
    #[arg(long, env = "SEALROOM_MODEL", required_unless_present_any = ["drain", "mcp"])]
    model: Option<String>,
    /// The artifact's digest, for the audit
    #[arg(long, env = "SEALROOM_DIGEST")]
    digest: Option<String>,
    /// A further model of the same engine, such as name=vectors,digest=sha256:…,mode=Embedding. May be given several
    /// times; then requests must name a model
    #[arg(long, value_name = "MODEL", requires = "model")]
    also: Vec<Served>,
    /// The UID of the pod that this gate speaks for
    #[arg(long, env = "POD_UID", required_unless_present = "drain")]
    pod_uid: Option<String>,
    /// One or two public keys in PEM, one after the other: whose challenges are obeyed
    #[arg(
        long,
        env = "SEALROOM_VERIFY_KEYS",
        required_unless_present = "drain",
        allow_hyphen_values = true,
        value_name = "PEM"
    )]
    verify_keys: Option<String>,
    /// What a proof that is too old means
    #[arg(long, env = "SEALROOM_WHEN_STALE", value_enum, default_value_t = WhenStale::Serve)]
    when_stale: WhenStale,
    /// From a proof's end to the first refusal under Refuse
    #[arg(long, env = "SEALROOM_GRACE_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    grace_seconds: u64,
    /// Between two probes that the gate makes by itself
    #[arg(long, env = "SEALROOM_PROBE_SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    probe_seconds: u64,
    /// What reaching the pod's own node means
    #[arg(long, env = "SEALROOM_OWN_NODE", value_enum, default_value_t = OwnNode::Report)]
    own_node: OwnNode,
    /// Serve without a proof, and report that the pod is not sealed
    #[arg(long)]
    unsealed: bool,
    /// A directory in which each file is an API key; without it no key is asked for
    #[arg(long, env = "SEALROOM_API_KEYS_DIR", value_name = "DIR")]
    api_keys_dir: Option<PathBuf>,
    /// A directory with a certificate chain in tls.crt and its key in tls.key; without it the API is served in the clear
    #[arg(long, env = "SEALROOM_TLS_DIR", value_name = "DIR")]
    tls_dir: Option<PathBuf>,
    #[command(flatten)]
    tokens: super::tokens::TokenArgs,
    /// The pod's grace period: how long its end may take, the last stream included
    #[arg(long, env = "SEALROOM_DRAIN_SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    drain_seconds: u64,
    /// How long of it requests that still arrive are served, at most half: until no connection is led here any more
    #[arg(long, env = "SEALROOM_LAME_DUCK_SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=300))]
    lame_duck_seconds: u64,
    /// Largest request body
    #[arg(long, env = "SEALROOM_MAX_BODY_BYTES", default_value_t = 4_194_304, value_parser = clap::value_parser!(u64).range(1..=67_108_864))]
    max_body_bytes: u64,
    #[command(flatten)]
    patience: super::limits::PatienceArgs,
    #[command(flatten)]
    queue: super::limits::QueueArgs,
    #[command(flatten)]
    budgets: super::limits::BudgetArgs,
    #[command(flatten)]
    models: super::gate_models::ModelArgs,
    #[command(flatten)]
    mcp: super::gate_mcp::McpArgs,
}

impl Args {
    /// Runs until it is told to stop.
    pub fn run(self) -> Exit {
        crate::telemetry::init();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, "failed to start");
                return Exit::Passing;
            }
        };
        if self.drain {
            return runtime.block_on(self.ask_to_drain());
        }
        let config = match self.config() {
            Ok(config) => config,
            Err(message) => {
                tracing::error!(message, "failed to read the flags");
                return Exit::Usage;
            }
        };
        if let Err(error) = files::allow_all() {
            tracing::warn!(%error, "failed to raise the limit of open files");
        }
        let (audit, written) = match Audit::start(std::io::stdout(), config.queue.requests()) {
            Ok(started) => started,
            Err(error) => {
                tracing::error!(%error, "failed to start");
                return Exit::Passing;
            }
        };
        let ran = runtime.block_on(gate::run(config, audit));
        // What is still under way ends here, and leaves its lines. Blocked threads do not hold the end up, nor does the
        // audit's on a full pipe.
        runtime.shutdown_timeout(END);
        if !written.wait(END) {
            tracing::warn!("failed to write all lines of the audit log in time");
        }
        match ran {
            Ok(()) => Exit::Ok,
            Err(error) => {
                tracing::error!(%error, "gate");
                Exit::Passing
            }
        }
    }

    fn drain_limit(&self) -> Duration {
        drain_within(Duration::from_secs(self.drain_seconds))
    }

    /// Longer than the gate's own limit, so that its answer is heard.
    async fn ask_to_drain(&self) -> Exit {
        let limit = self.drain_limit() + Duration::from_secs(1);
        match drain::ask(&drain::socket(&self.lease_socket), limit).await {
            Ok(()) => Exit::Ok,
            Err(error) => {
                tracing::warn!(%error, "failed to drain");
                Exit::Passing
            }
        }
    }

    fn config(self) -> Result<Config, String> {
        let drain = drain::Config {
            limit: self.drain_limit(),
            lame_duck: Duration::from_secs(self.lame_duck_seconds),
        };
        let given = |value: Option<String>, flag: &str| {
            value
                .filter(|text| !text.is_empty())
                .ok_or_else(|| format!("{flag} is missing"))
        };
        let pems = given(self.verify_keys, "--verify-keys")?;
        let size = |bytes: u64| usize::try_from(bytes).map_err(|error| error.to_string());
        Ok(Config {
            listen: self.listen,
            admin: self.admin,
            metrics: self.metrics,
            lease_socket: self.lease_socket,
            serves: match self.mcp.config(&self.runtime_socket)? {
                Some(server) => Serves::Mcp(server),
                None => Serves::Model(Model {
                    upstream: match self.engine.particulars().listens() {
                        Listens::Unix => Upstream::Unix(self.runtime_socket),
                        Listens::Tcp(port) => Upstream::Tcp(self.runtime_port.unwrap_or(port)),
                    },
                    engine: self.engine,
                    models: Models {
                        first: Served {
                            name: given(self.model, "--model")?,
                            digest: self.digest,
                            mode: self.mode,
                        },
                        further: self.also,
                    },
                }),
            },
            pod_uid: given(self.pod_uid, "--pod-uid")?,
            trusted: TrustedKeys::from_text(&pems).map_err(|error| error.to_string())?,
            seal: state::Config {
                when_stale: self.when_stale,
                grace: Duration::from_secs(self.grace_seconds),
                own_node: self.own_node,
            },
            unsealed: self.unsealed,
            probe_every: Duration::from_secs(self.probe_seconds),
            api_keys_dir: self.api_keys_dir,
            tls_dir: self.tls_dir,
            tokens: self.tokens.config(),
            drain,
            max_body: size(self.max_body_bytes)?,
            patience: self.patience.config(),
            queue: self.queue.config(),
            budgets: self.budgets.config(),
            models: self.models.config(),
        })
    }
}
