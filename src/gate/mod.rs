//! The only listener of a serving pod: proves the seal, then authentication, route filter, audit, metrics,
//! drain.
//!
//! [`core`] holds what the gate knows, [`rounds`] prove, [`lease`] tells launch, [`proxy`] serves the API of a model and
//! [`mcp`] that of an MCP server, [`admin`] answers the kubelet and the operator, [`ready`] follows the engine and
//! [`doubts`] whether it still answers rightly; what is particular to an engine is in [`crate::engine`].

pub mod admin;
pub mod answer;
pub mod arriving;
pub mod asked;
pub mod audit;
pub mod bodies;
pub mod body;
pub mod budgets;
pub mod callers;
pub mod core;
pub mod counts;
pub mod doors;
pub mod doubts;
pub mod drain;
pub mod drain_state;
pub mod engine_view;
pub mod events;
pub mod full;
pub mod gen_ai;
pub mod jwks;
pub mod keys;
pub mod lease;
pub mod listen;
pub mod mcp;
pub mod metrics;
pub mod models;
pub mod mounted;
pub mod passing;
pub mod proxy;
pub mod queue;
pub mod ready;
pub mod rejected;
pub mod reply;
pub mod room;
pub mod rounds;
pub mod routes;
pub mod served;
pub mod streams;
pub mod tls;
pub mod tokens;
pub mod upstream;
pub mod usage;
pub mod walk;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use self::core::{Core, DrainFor};
use crate::engine::Engine;
use crate::launch::socket;
use crate::seal::session::Session;
use crate::seal::sign::TrustedKeys;
use crate::seal::state::{self, Machine};
use audit::Audit;
use callers::Callers;
use doors::Door;
use listen::{Limits, Speaks};
use rejected::Rejected;
use served::Models;
use tls::Tls;
use upstream::Upstream;

/// How often the keys, key sets and the certificate are looked at again.
const KEYS_EVERY: Duration = Duration::from_secs(1);
const _: () = assert!(
    KEYS_EVERY.as_millis() <= 2000,
    "docs/operations.md has a change read within two seconds"
);
/// Connections on the admin port: the kubelet, the operator, two canaries.
const ADMIN_LIMITS: Limits = Limits {
    connections: 64,
    head: Duration::from_secs(5),
    reader: listen::READER_PATIENCE,
};
/// Connections on the metrics port.
const METRICS_LIMITS: Limits = Limits {
    connections: 16,
    head: Duration::from_secs(5),
    reader: listen::READER_PATIENCE,
};

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

/// Why the gate does not run.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// A port or socket.
    #[error("failed to listen on {at}: {source}")]
    Bind {
        /// Where.
        at: String,
        /// Why not.
        source: io::Error,
    },
    /// A signal.
    #[error("failed to start: {0}")]
    Start(#[from] io::Error),
    /// A part of it that must never end did.
    #[error("failed to go on: a task ended")]
    TaskEnded,
}

/// Serves until SIGTERM, and then until the drain is done and its answers have left.
///
/// # Errors
/// [`GateError`]; the pod is shut then, since nobody else listens.
pub async fn run(config: Config, audit: Audit) -> Result<(), GateError> {
    // Ports first: nothing that starts later in this pod can take them.
    let api = bound(config.listen).await?;
    let admin = bound(config.admin).await?;
    let scrape = bound(config.metrics).await?;
    let models = models::bind(config.models)
        .await
        .map_err(|(at, source)| GateError::Bind {
            at: at.to_string(),
            source,
        })?;
    let drain_socket = drain::socket(&config.lease_socket);
    let ports = [&api, &admin, &scrape].map(|port| port.local_addr().ok().map(|at| at.to_string()));
    let unix = |path: &PathBuf, mode| {
        socket::bind(path, mode).map_err(|source| GateError::Bind {
            at: path.display().to_string(),
            source,
        })
    };
    let lease_listener = unix(&config.lease_socket, 0o666)?;
    let drain_listener = unix(&drain_socket, 0o600)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let machine = Machine::new(config.seal, config.pod_uid, Session::random());
    let core = Core::new(machine).with_limits(config.patience.engine);
    let core = Arc::new(if config.unsealed {
        core.unsealed()
    } else {
        core
    });
    let callers = Arc::new(Callers::new(config.api_keys_dir, config.tokens));
    let metrics = Arc::new(match &config.serves {
        Serves::Model(model) => metrics::Metrics::of_model(model.engine),
        Serves::Mcp(_) => metrics::Metrics::of_mcp(),
    });
    let asked = metrics.models.clone();
    let rejected = metrics.rejected.clone();
    let tls = config
        .tls_dir
        .map(|dir| Arc::new(Tls::new(dir, metrics.tls_refused.clone())));
    let rounds = rounds::Rounds::new(Arc::clone(&core), config.trusted);
    let models = models::offer(models, &core, &asked);
    let office = Arc::new(admin::Admin {
        core: Arc::clone(&core),
        callers: Arc::clone(&callers),
        tls: tls.clone(),
        rounds,
        models: models.files(),
    });
    let engine = match &config.serves {
        Serves::Model(model) => Some((model.upstream.clone(), model.engine.particulars())),
        Serves::Mcp(_) => None,
    };
    let counter = Arc::new(admin::Scrape::new(
        Arc::clone(&core),
        Arc::clone(&metrics),
        engine,
    ));

    let api_limits = Limits {
        connections: config.queue.connections(),
        head: Duration::from_secs(10),
        reader: config.patience.reader,
    };
    let door_core = Arc::clone(&core);
    let mut tasks = JoinSet::new();
    let (door, speaks) = (move || door_core.doors.enter(), Speaks::Both(tls.clone()));
    match config.serves {
        Serves::Model(model) => {
            let asks = asked::Asks::new(config.patience.doubts);
            let proxy = Arc::new(proxy::Proxy::new(
                Arc::clone(&core),
                Arc::clone(&callers),
                metrics,
                audit,
                model.upstream.clone(),
                model.engine.particulars(),
                model.models.clone(),
                config.max_body,
                config.queue,
                config.budgets,
                config.patience,
                asks.clone(),
            ));
            tasks.spawn(listen::serve(
                api,
                api_limits,
                speaks,
                rejected,
                door,
                move |request| Arc::clone(&proxy).handle(request),
            ));
            tasks.spawn(ready::follow(
                Arc::clone(&core),
                model.upstream,
                model.engine.particulars(),
                model.models,
                asks,
                config.patience.doubts.question,
            ));
        }
        Serves::Mcp(server) => {
            let (core, callers) = (Arc::clone(&core), Arc::clone(&callers));
            let limits = mcp::Limits {
                max_body: config.max_body,
                patience: config.patience,
                queue: config.queue,
                budgets: config.budgets,
            };
            let (front, keeps) = mcp::start(server, &limits, core, callers, metrics, audit);
            tasks.spawn(listen::serve(
                api,
                api_limits,
                speaks,
                rejected,
                door,
                move |request| Arc::clone(&front).handle(request),
            ));
            tasks.spawn(keeps);
        }
    }
    tasks.spawn(listen::serve(
        admin,
        ADMIN_LIMITS,
        Speaks::Http1,
        Rejected::default(),
        Door::default,
        move |request| Arc::clone(&office).handle(request),
    ));
    tasks.spawn(listen::serve(
        scrape,
        METRICS_LIMITS,
        Speaks::Http1,
        Rejected::default(),
        Door::default,
        move |request| Arc::clone(&counter).handle(request),
    ));
    tasks.spawn(lease::serve(
        lease_listener,
        Arc::clone(&core),
        config.drain,
    ));
    tasks.spawn(drain::serve(
        drain_listener,
        Arc::clone(&core),
        config.drain,
    ));
    tasks.spawn(rounds::probe_by_itself(
        Arc::clone(&core),
        config.probe_every,
    ));
    tasks.spawn(rounds::keep_time(Arc::clone(&core)));
    tasks.spawn(reload(callers, tls));
    models::serve(&mut tasks, models, &core);

    let [api, admin, scrape] = ports;
    tracing::info!(api, admin, metrics = scrape, "listening, not proven");
    let stopped = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        // A gate that has lost a part is no gate: the pod falls back to unproven with the restart.
        _ = tasks.join_next() => Err(GateError::TaskEnded),
    };
    if stopped.is_ok() {
        drain::start(&core, DrainFor::Pod, config.drain);
        drain::done(&core).await;
        tokio::join!(
            drain::heard(&core),
            drain::delivered(&core.doors, config.drain)
        );
    }
    stopped
}

async fn bound(addr: SocketAddr) -> Result<tokio::net::TcpListener, GateError> {
    listen::bind(addr).await.map_err(|source| GateError::Bind {
        at: addr.to_string(),
        source,
    })
}

async fn reload(callers: Arc<Callers>, tls: Option<Arc<Tls>>) {
    loop {
        tokio::time::sleep(KEYS_EVERY).await;
        let (callers, tls) = (Arc::clone(&callers), tls.clone());
        // Mounted files are in memory, but reading them is still a blocking call.
        let _ = tokio::task::spawn_blocking(move || {
            callers.reload();
            if let Some(tls) = tls {
                tls.reload();
            }
        })
        .await;
    }
}
