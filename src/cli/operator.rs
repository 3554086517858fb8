//! `sealroom operator`.

mod client;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use kube::Client;
use kube::runtime::events::{Recorder, Reporter};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{SetOnce, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Exit;
use crate::controller::apply::Applier;
use crate::controller::config::Config;
use crate::controller::context::Context;
use crate::controller::keys::{self, Keys};
use crate::controller::leader::Candidate;
use crate::controller::owners::StoreOwners;
use crate::controller::run::{self, QUEUE, Queues};
use crate::controller::server::{self, Health};
use crate::controller::status::StatusWriter;
use crate::controller::stores::Stores;
use crate::controller::trigger::Triggers;
use crate::driver::metrics::BoardMetrics;
use crate::driver::{self, Board};
use crate::seal::sign::SigningKey;
use crate::telemetry::{self, Metrics};

/// For an answer of the API server: far longer than any takes, so that nobody waits for one that never comes.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same for the lease, which is renewed every three seconds.
const SHORT_PATIENCE: Duration = Duration::from_secs(3);

/// Flags of `sealroom operator`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/sealroom/config/config.yaml"
    )]
    config: PathBuf,
    /// Where health and metrics are served
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:8080")]
    listen: SocketAddr,
    /// The namespace of the operator's own objects
    #[arg(long, env = "POD_NAMESPACE", default_value = "sealroom-system")]
    namespace: String,
    /// How this process names itself in the lease
    #[arg(long, env = "POD_NAME", default_value = "sealroom-operator")]
    identity: String,
    /// Make the Secret with the signing key unless it is there, and end
    #[arg(long, requires = "secret")]
    generate_key: bool,
    /// The name of that Secret
    #[arg(long, value_name = "NAME", requires = "generate_key")]
    secret: Option<String>,
}

impl Args {
    /// Runs until it is told to stop, or until somebody else leads.
    pub fn run(self) -> Exit {
        telemetry::init();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        let ended = runtime
            .context("failed to start the runtime")
            .and_then(|runtime| runtime.block_on(self.work()));
        match ended {
            Ok(()) => Exit::Ok,
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the operator ends");
                Exit::Passing
            }
        }
    }

    async fn work(self) -> anyhow::Result<()> {
        if let Some(secret) = self.secret.as_deref().filter(|_| self.generate_key) {
            let client = client::asking(PATIENCE, true).await?;
            let made = keys::generate(client, &self.namespace, secret).await?;
            tracing::info!(secret, made, "the signing key is there");
            return Ok(());
        }
        let config = Config::read(&self.config)?;
        let keys = Keys::read(&config.seal)?;
        let metrics = Metrics::default();
        let health = Health::default();
        let listener = tokio::net::TcpListener::bind(self.listen)
            .await
            .with_context(|| format!("failed to listen on {}", self.listen))?;
        tokio::spawn(server::serve(
            listener,
            health.clone(),
            metrics.clone(),
            std::future::pending(),
        ));
        // The lease has its own client: short patience, no retries behind our back.
        let lease = client::asking(SHORT_PATIENCE, false).await?;
        let mut candidate = Candidate::new(lease, &self.namespace, self.identity.clone());
        health.set_ready(true);
        let mut stop = Box::pin(stopped()?);
        tokio::select! {
            () = candidate.acquire() => {}
            () = &mut stop => return Ok(()),
        }
        tracing::info!(identity = self.identity, "leading");
        health.set_ready(false);
        let clients = Clients {
            watching: client::watching().await?,
            asking: client::asking(PATIENCE, true).await?,
        };
        let ended = tokio::select! {
            () = candidate.hold() => Err(anyhow::anyhow!("lost the lease")),
            ended = lead(&self, clients, config, keys, metrics, &health) => ended,
            () = &mut stop => Ok(()),
        };
        // Everything that led is dropped by now: the next leader may begin.
        if ended.is_ok() {
            candidate.release().await;
        }
        ended
    }
}

/// The leader's ways to the API server.
struct Clients {
    /// For watches, which are silent for as long as nothing happens.
    watching: Client,
    /// For everything else: what has no answer in time has failed, and is tried again.
    asking: Client,
}

/// What only the leader does.
async fn lead(
    args: &Args,
    clients: Clients,
    config: Config,
    keys: Keys,
    metrics: Metrics,
    health: &Health,
) -> anyhow::Result<()> {
    let Clients { watching, asking } = clients;
    keys.publish(asking.clone(), &args.namespace).await?;
    let (deployments, deployments_queue) = mpsc::channel(QUEUE);
    let (artifacts, artifacts_queue) = mpsc::channel(QUEUE);
    let (servers, servers_queue) = mpsc::channel(QUEUE);
    let triggers = Triggers {
        deployments,
        artifacts,
        servers,
    };
    let mut tasks = JoinSet::new();
    let stores = Stores::start(&watching, &triggers, &mut tasks);
    let reporter = Reporter {
        controller: "sealroom-operator".to_owned(),
        instance: Some(args.identity.clone()),
    };
    let recorder = Recorder::new(asking.clone(), reporter);
    let config = Arc::new(config);
    let board = Board::new();
    metrics.register(|registry| {
        registry.register_collector(Box::new(BoardMetrics(board.clone())));
    });
    let ctx = Arc::new(Context {
        board: board.clone(),
        namespace: args.namespace.clone(),
        verify_keys: keys.public.concat(),
        applier: Applier::new(asking.clone()),
        status: StatusWriter::new(asking.clone(), recorder),
        client: asking,
        config,
        stores,
        listed: SetOnce::new(),
        progress: Default::default(),
        backoff: Default::default(),
        metrics,
        started: Instant::now(),
    });
    let queues = Queues {
        deployments: deployments_queue,
        artifacts: artifacts_queue,
        servers: servers_queue,
    };
    let reconciling = run::run(ctx.clone(), triggers, queues);
    let proving = prove(args, &ctx, &watching, keys.signing, &mut tasks);
    let ready = async {
        if let Err(store) = ctx.stores.ready().await {
            anyhow::bail!("store {store} ended before its first list");
        }
        health.set_ready(true);
        let _ = ctx.listed.set(());
        std::future::pending().await
    };
    tokio::select! {
        ended = proving => ended.and_then(|()| anyhow::bail!("the driver ended")),
        () = reconciling => anyhow::bail!("the reconcilers ended"),
        ended = ready => ended,
        _ = tasks.join_next() => anyhow::bail!("a watch ended"),
    }
}

/// Starts the driver: it proves what the reconcilers made.
fn prove(
    args: &Args,
    ctx: &Arc<Context>,
    watching: &Client,
    key: SigningKey,
    tasks: &mut JoinSet<()>,
) -> impl Future<Output = anyhow::Result<()>> + use<> {
    let seal = &ctx.config.seal;
    let service = |namespace: &str, name: &str| {
        Some(driver::ServiceName {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    };
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let config = driver::Config {
        round: Duration::from_secs(seal.round_seconds),
        validity_rounds: number(seal.validity_rounds),
        max_per_second: number(seal.max_challenges_per_second),
        canary_service: service(&args.namespace, &seal.canary_service),
        dns_service: service(&seal.dns_service.namespace, &seal.dns_service.name),
        ..driver::Config::default()
    };
    let labels = seal.canary_selector.iter();
    let selector: Vec<String> = labels
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let stores = driver::Stores {
        pods: ctx.stores.pods.clone(),
        policies: ctx.stores.network_policies.clone(),
        namespaces: ctx.stores.namespaces.clone(),
        canaries: driver::stores::watch_canaries(
            watching,
            &args.namespace,
            &selector.join(","),
            tasks,
        ),
        services: driver::Services::watch(watching, &config, tasks),
        definitions: driver::stores::watch_definitions(watching, tasks),
        changed: ctx.stores.changed.clone(),
    };
    let owners = Arc::new(StoreOwners {
        model_deployments: ctx.stores.model_deployments.clone(),
        model_artifacts: ctx.stores.model_artifacts.clone(),
        mcp_servers: ctx.stores.mcp_servers.clone(),
        targets: ctx.stores.targets(),
        config: ctx.config.clone(),
        namespace: args.namespace.clone(),
    });
    let instance = Some(args.identity.clone());
    let board = ctx.board.clone();
    let ctx = Arc::clone(ctx);
    async move {
        // A verdict from half a list of policies would be a wrong one.
        ctx.listed.wait().await;
        driver::run(
            ctx.client.clone(),
            instance,
            stores,
            owners,
            key,
            config,
            board,
            CancellationToken::new(),
        )
        .await
        .context("failed to drive the proofs")
    }
}

fn stopped() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for signals")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
