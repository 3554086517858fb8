//! The gate from its start to its end: puts its parts together, and waits for SIGTERM.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use super::audit::Audit;
use super::callers::Callers;
use super::core::{Core, DrainFor};
use super::doors::Door;
use super::listen::{self, Limits, Speaks};
use super::ports::Ports;
use super::rejected::Rejected;
use super::tls::Tls;
use super::{
    Config, Serves, admin, asked, drain, lease, mcp, metrics, models, proxy, ready, rounds,
};
use crate::seal::session::Session;
use crate::seal::state::Machine;

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
    let ports = Ports::take(&config).await?;
    let addresses = ports.addresses();
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
    let models = models::offer(ports.models, &core, &asked);
    let office = Arc::new(admin::Admin {
        core: Arc::clone(&core),
        callers: Arc::clone(&callers),
        tls: tls.clone(),
        rounds,
        models: models.known(),
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
                ports.api,
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
                ports.api,
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
        ports.admin,
        ADMIN_LIMITS,
        Speaks::Http1,
        Rejected::default(),
        Door::default,
        move |request| Arc::clone(&office).handle(request),
    ));
    tasks.spawn(listen::serve(
        ports.metrics,
        METRICS_LIMITS,
        Speaks::Http1,
        Rejected::default(),
        Door::default,
        move |request| Arc::clone(&counter).handle(request),
    ));
    tasks.spawn(lease::serve(ports.lease, Arc::clone(&core), config.drain));
    tasks.spawn(drain::serve(ports.drain, Arc::clone(&core), config.drain));
    tasks.spawn(rounds::probe_by_itself(
        Arc::clone(&core),
        config.probe_every,
    ));
    tasks.spawn(rounds::keep_time(Arc::clone(&core)));
    tasks.spawn(reload(callers, tls));
    models::serve(&mut tasks, models, &core);

    let [api, admin, metrics] = addresses;
    tracing::info!(api, admin, metrics, "listening, not proven");
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
