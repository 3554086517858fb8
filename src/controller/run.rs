//! The leader's work: controllers over the stores, and the collection of policies that close nothing.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use kube::runtime::Controller;
use kube::runtime::controller::{self, Action};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::context::{Context, HEARING};
use super::outcome::Outcome;
use super::trigger::{Triggers, Wakes};
use super::{mcp_server, model_artifact, model_deployment, sealed_policy};
use crate::api::{McpServer, ModelArtifact, ModelDeployment};

/// Passes at once, of each kind.
const CONCURRENCY: u16 = 8;
/// Changes that come within so long of the first make one pass.
const TOGETHER: Duration = Duration::from_millis(100);
/// How often unused policies are looked for.
const COLLECT: Duration = Duration::from_secs(15);
/// Slots of a controller's queue.
pub const QUEUE: usize = 4_096;

/// The queues' other ends.
pub struct Queues {
    /// ModelDeployments to look at.
    pub deployments: mpsc::Receiver<ObjectRef<ModelDeployment>>,
    /// ModelArtifacts to look at.
    pub artifacts: mpsc::Receiver<ObjectRef<ModelArtifact>>,
    /// McpServers to look at.
    pub servers: mpsc::Receiver<ObjectRef<McpServer>>,
}

/// Reconciles until the future is dropped.
pub async fn run(ctx: Arc<Context>, triggers: Triggers, queues: Queues) {
    let deployments = control(
        ctx.stores.model_deployments.clone(),
        queues.deployments,
        ctx.clone(),
        |object, ctx| async move { model_deployment::reconcile(&object, &ctx).await },
    );
    let artifacts = control(
        ctx.stores.model_artifacts.clone(),
        queues.artifacts,
        ctx.clone(),
        |object, ctx| async move { model_artifact::reconcile(&object, &ctx).await },
    );
    let servers = control(
        ctx.stores.mcp_servers.clone(),
        queues.servers,
        ctx.clone(),
        |object, ctx| async move { mcp_server::reconcile(&object, &ctx).await },
    );
    let wakes = Wakes {
        triggers,
        model_deployments: ctx.stores.model_deployments.clone(),
        model_artifacts: ctx.stores.model_artifacts.clone(),
        mcp_servers: ctx.stores.mcp_servers.clone(),
    };
    tokio::join!(
        deployments,
        artifacts,
        servers,
        collect(&ctx),
        follow_board(&ctx, &wakes),
        stop_hearing(&wakes)
    );
}

async fn control<K, F, Fut>(
    store: Store<K>,
    queue: mpsc::Receiver<ObjectRef<K>>,
    ctx: Arc<Context>,
    reconcile: F,
) where
    K: Resource<DynamicType = ()>
        + Clone
        + serde::de::DeserializeOwned
        + std::fmt::Debug
        + Send
        + Sync
        + Unpin
        + 'static,
    F: Fn(Arc<K>, Arc<Context>) -> Fut + Send + Sync + Clone + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    let kind = K::kind(&()).into_owned();
    let waiting = (ctx.metrics.clone(), kind.clone());
    let queue = stream::unfold((queue, waiting), |(mut queue, waiting)| async move {
        let woken = together(&mut queue).await?;
        waiting.0.queued(&waiting.1, queue.len());
        Some((stream::iter(woken), (queue, waiting)))
    });
    let pass = {
        let kind = kind.clone();
        move |object: Arc<K>, ctx: Arc<Context>| {
            let (reconcile, kind) = (reconcile.clone(), kind.clone());
            async move {
                // What is missing in half a list is not gone.
                ctx.listed.wait().await;
                let begun = Instant::now();
                let key = object.uid().unwrap_or_default();
                let outcome = reconcile(object.clone(), ctx.clone()).await;
                ctx.metrics
                    .reconciled(&kind, outcome.as_str(), begun.elapsed());
                log(&kind, &object.name_any(), &outcome);
                Ok::<_, std::convert::Infallible>(ctx.backoff.action(&key, &outcome))
            }
        }
    };
    // The queue is fed after the stores: it is the only trigger, the object's own watch included.
    Controller::for_stream(stream::pending(), store)
        .reconcile_on(queue.flatten())
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .run(pass, |_, never, _| -> Action { match *never {} }, ctx)
        .for_each(|result| {
            // An object that was deleted between its trigger and its pass is no failure.
            if let Err(error) = result {
                tracing::debug!(%kind, %error, "no pass");
            }
            std::future::ready(())
        })
        .await;
}

/// Who was woken; kube makes one pass of what it is told at once. However often somebody is woken meanwhile, he waits no
/// longer: kube's own debounce begins anew with every change, so that an object which is woken more often than ten times a
/// second would not be looked at any more.
async fn together<K>(queue: &mut mpsc::Receiver<ObjectRef<K>>) -> Option<Vec<ObjectRef<K>>>
where
    K: Resource<DynamicType = ()>,
{
    let mut woken = vec![queue.recv().await?];
    let more = async {
        while woken.len() < QUEUE
            && let Some(object) = queue.recv().await
        {
            woken.push(object);
        }
    };
    // It ends sooner where there are too many, or nobody can send any more.
    let _ = tokio::time::timeout(TOGETHER, more).await;
    Some(woken)
}

fn log(kind: &str, name: &str, outcome: &Outcome) {
    match outcome {
        Outcome::Done | Outcome::DoneFor(_) => tracing::debug!(kind, name, "as written"),
        Outcome::Waiting {
            reason, message, ..
        } => {
            tracing::debug!(kind, name, %reason, message, "waiting");
        }
        Outcome::Stalled(stall) => {
            tracing::info!(kind, name, reason = %stall.reason, message = stall.message, "stalled");
        }
        Outcome::Transient { message } => tracing::warn!(kind, name, message, "trying again"),
    }
}

/// Looks at an object again when what is proven about one of its pods changes.
pub async fn follow_board(ctx: &Context, wakes: &Wakes) {
    let mut changes = ctx.board.changes();
    loop {
        match changes.recv().await {
            Ok(changed) => {
                wakes
                    .send(wakes.owner(&changed.owner_uid).into_iter().collect())
                    .await
            }
            // Too many at once: everything is looked at anew.
            Err(RecvError::Lagged(_)) => {
                for pod in ctx.board.all() {
                    wakes
                        .send(wakes.owner(&pod.owner_uid).into_iter().collect())
                        .await;
                }
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// Looks at everything once more when a predecessor's word counts no longer.
async fn stop_hearing(wakes: &Wakes) {
    tokio::time::sleep(HEARING).await;
    wakes.send(wakes.everything()).await;
}

/// Deletes shared policies that two looks in a row found unused.
async fn collect(ctx: &Context) {
    let mut before: HashSet<String> = HashSet::new();
    loop {
        tokio::time::sleep(COLLECT).await;
        let unused = sealed_policy::unused(&ctx.stores);
        let mut now = HashSet::new();
        for policy in unused {
            let uid = policy.uid().unwrap_or_default();
            if !before.contains(&uid) {
                now.insert(uid);
                continue;
            }
            tracing::info!(
                namespace = policy.namespace(),
                "no sealed pod is left, the policy goes"
            );
            if let Err(error) = ctx.applier.delete(&*policy).await {
                tracing::warn!(%error, "failed to delete an unused policy");
            }
        }
        before = now;
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
