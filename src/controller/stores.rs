//! What the operator sees of the cluster: pruned reflectors that feed a store first and trigger second.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::{Stream, StreamExt};
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::PartialObjectMeta;
use kube::runtime::reflector::{ObjectRef, Store, store};
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::guard;
use super::mcp_server::references::Targets;
use super::names::{MANAGED_SELECTOR, OWNER_UID, SEALED_POLICY};
use super::nodes;
use super::trigger::{Triggers, Wakes};
use crate::api::model_deployment::TenantGuard;
use crate::api::{McpServer, ModelArtifact, ModelDeployment};

/// Every store. Reconcilers read these and ask the API server nothing.
#[derive(Clone)]
pub struct Stores {
    /// All of them.
    pub model_deployments: Store<ModelDeployment>,
    /// All of them.
    pub model_artifacts: Store<ModelArtifact>,
    /// All of them.
    pub mcp_servers: Store<McpServer>,
    /// Ours.
    pub deployments: Store<Deployment>,
    /// Everybody's, since an MCP server can name any.
    pub services: Store<Service>,
    /// Ours.
    pub config_maps: Store<ConfigMap>,
    /// Ours.
    pub claims: Store<PersistentVolumeClaim>,
    /// Ours.
    pub jobs: Store<Job>,
    /// Everybody's, since every policy can open a pod.
    pub network_policies: Store<NetworkPolicy>,
    /// All, without their bodies: labels decide what selectors mean.
    pub namespaces: Store<PartialObjectMeta<Namespace>>,
    /// All, cut down to what decides where a pod fits.
    pub nodes: Store<Node>,
    /// Those with the label `sealroom.dev/sealed`.
    pub pods: Store<Pod>,
    /// The guard's.
    pub guard_policies: Store<ValidatingAdmissionPolicy>,
    /// The guard's.
    pub guard_bindings: Store<ValidatingAdmissionPolicyBinding>,
    /// Rung after every event that can change what is proven about a pod.
    pub changed: Arc<Notify>,
    /// Since when the shared policy of a namespace is what it is.
    pub sealed_since: SealedSince,
}

/// When this process first saw each namespace's shared policy in its present UID and generation.
///
/// The clock is monotonic: neither a wrong wall clock nor the object's own time stamps count.
#[derive(Clone, Debug, Default)]
pub struct SealedSince(Arc<Mutex<HashMap<String, FirstSeen>>>);

/// UID and generation of a policy, and when they were first seen.
type FirstSeen = (String, i64, Instant);

impl SealedSince {
    /// When the policy of that UID and generation was first seen in the namespace.
    #[must_use]
    pub fn get(&self, namespace: &str, uid: &str, generation: i64) -> Option<Instant> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(namespace)
            .filter(|(id, number, _)| id == uid && *number == generation)
            .map(|(.., at)| *at)
    }

    fn saw(&self, policy: &NetworkPolicy, now: Instant) {
        if policy.metadata.name.as_deref() != Some(SEALED_POLICY) {
            return;
        }
        let namespace = policy.namespace().unwrap_or_default();
        let id = (
            policy.uid().unwrap_or_default(),
            policy.metadata.generation.unwrap_or_default(),
        );
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = seen.entry(namespace).or_insert((String::new(), 0, now));
        if (&entry.0, entry.1) != (&id.0, id.1) {
            *entry = (id.0, id.1, now);
        }
    }

    fn gone(&self, policy: &NetworkPolicy) {
        if policy.metadata.name.as_deref() == Some(SEALED_POLICY) {
            let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            seen.remove(&policy.namespace().unwrap_or_default());
        }
    }
}

impl Stores {
    /// Starts a task per kind; all of them end when the set is dropped.
    pub fn start(client: &Client, triggers: &Triggers, tasks: &mut JoinSet<()>) -> Self {
        let all = watcher::Config::default();
        let ours = all.clone().labels(MANAGED_SELECTOR);
        // Not by the label that seals them: a pod that loses it must not be out of sight.
        let owned = all.clone().labels(OWNER_UID);
        let guarding = all.clone().labels(guard::SELECTOR);
        let (model_deployments, md_writer) = store();
        let (model_artifacts, ma_writer) = store();
        let (mcp_servers, mcp_writer) = store();
        // Triggers look an owner up by UID, so the owners' stores come first.
        let wakes = Wakes {
            triggers: triggers.clone(),
            model_deployments: model_deployments.clone(),
            model_artifacts: model_artifacts.clone(),
            mcp_servers: mcp_servers.clone(),
        };
        let sealed_since = SealedSince::default();
        macro_rules! watch {
            ($config:expr, $wake:ident) => {{
                let (reader, writer) = store();
                spawn(
                    client,
                    $config,
                    writer,
                    wakes.clone(),
                    tasks,
                    |wakes, _, object| wakes.$wake(object),
                );
                reader
            }};
        }
        spawn(
            client,
            &all,
            md_writer,
            wakes.clone(),
            tasks,
            |wakes, _, object| wakes.model_deployment(object),
        );
        spawn(
            client,
            &all,
            ma_writer,
            wakes.clone(),
            tasks,
            |wakes, _, object| wakes.model_artifact(object),
        );
        spawn(
            client,
            &all,
            mcp_writer,
            wakes.clone(),
            tasks,
            |wakes, _, object| wakes.mcp_server(object),
        );
        let (network_policies, writer) = store();
        let since = sealed_since.clone();
        let changed = Arc::new(Notify::new());
        let bell = changed.clone();
        spawn(
            client,
            &all,
            writer,
            wakes.clone(),
            tasks,
            move |wakes, there, object| {
                bell.notify_one();
                if there {
                    since.saw(object, Instant::now());
                } else {
                    since.gone(object);
                }
                wakes.network_policy(object)
            },
        );
        let (namespaces, writer) = store();
        let bell = changed.clone();
        spawn(
            client,
            &all,
            writer,
            wakes.clone(),
            tasks,
            move |wakes, _, object: &PartialObjectMeta<Namespace>| {
                bell.notify_one();
                wakes.namespace(&object.name_any())
            },
        );
        let (pods, writer) = store();
        let bell = changed.clone();
        spawn(
            client,
            &owned,
            writer,
            wakes.clone(),
            tasks,
            move |wakes, _, object| {
                bell.notify_one();
                wakes.pod(object)
            },
        );
        Self {
            model_deployments,
            model_artifacts,
            mcp_servers,
            deployments: watch!(&ours, deployment),
            services: watch!(&all, service),
            config_maps: watch!(&ours, child),
            claims: watch!(&ours, child),
            jobs: watch!(&ours, child),
            network_policies,
            namespaces,
            nodes: nodes::watch::start(client, wakes.clone(), tasks),
            pods,
            guard_policies: watch!(&guarding, guard),
            guard_bindings: watch!(&guarding, guard),
            changed,
            sealed_since,
        }
    }

    /// Waits until every store has its first list. One task alone may: of several that wait for the same store kube wakes
    /// the last to ask, and the others wait for ever.
    ///
    /// # Errors
    /// The kind whose task ended.
    pub async fn ready(&self) -> Result<(), &'static str> {
        macro_rules! wait {
            ($($field:ident),+) => {
                $(self.$field.wait_until_ready().await.map_err(|_| stringify!($field))?;)+
            };
        }
        wait!(
            model_deployments,
            model_artifacts,
            mcp_servers,
            deployments,
            services,
            config_maps,
            claims,
            jobs,
            network_policies,
            namespaces,
            nodes,
            pods,
            guard_policies,
            guard_bindings
        );
        Ok(())
    }

    /// Where the models of MCP servers are looked up.
    #[must_use]
    pub fn targets(&self) -> Targets {
        Targets {
            model_deployments: self.model_deployments.clone(),
            services: self.services.clone(),
            namespaces: self.namespaces.clone(),
            mcp_servers: self.mcp_servers.clone(),
        }
    }

    /// What the tenant guard refuses in a namespace, as the cluster has it now.
    #[must_use]
    pub fn guard(&self, namespace: &str) -> TenantGuard {
        let policies = self.guard_policies.state();
        let bindings = self.guard_bindings.state();
        let namespace = self.namespaces.get(&ObjectRef::new(namespace));
        let labels = namespace.map(|namespace| namespace.labels().clone());
        guard::observed(
            &policies.iter().map(|policy| &**policy).collect::<Vec<_>>(),
            &bindings
                .iter()
                .map(|binding| &**binding)
                .collect::<Vec<_>>(),
            &labels.unwrap_or_default(),
        )
    }
}

/// The object of that namespace and name.
#[must_use]
pub fn lookup<K>(store: &Store<K>, namespace: &str, name: &str) -> Option<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    store.get(&ObjectRef::new(name).within(namespace))
}

/// Starts the reflector of one kind: prune, store, then wake.
fn spawn<K, F>(
    client: &Client,
    config: &watcher::Config,
    writer: kube::runtime::reflector::store::Writer<K>,
    wakes: Wakes,
    tasks: &mut JoinSet<()>,
    wake: F,
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K::DynamicType: Eq + Hash,
    F: Fn(&Wakes, bool, &K) -> Vec<super::trigger::Wake> + Send + 'static,
{
    let stream = watcher(Api::<K>::all(client.clone()), config.clone())
        .default_backoff()
        .modify(prune)
        .reflect(writer);
    tasks.spawn(async move {
        drive(stream, wakes, wake).await;
        tracing::error!(kind = %K::kind(&()), "a watch ended");
    });
}

async fn drive<K, F>(stream: impl Stream<Item = watcher::Result<Event<K>>>, wakes: Wakes, wake: F)
where
    K: Resource<DynamicType = ()>,
    F: Fn(&Wakes, bool, &K) -> Vec<super::trigger::Wake>,
{
    let mut stream = std::pin::pin!(stream);
    while let Some(event) = stream.next().await {
        let woken = match &event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => wake(&wakes, true, object),
            Ok(Event::Delete(object)) => wake(&wakes, false, object),
            Ok(Event::Init) => continue,
            // What was deleted while the watch was down has no event of its own.
            Ok(Event::InitDone) => wakes.everything(),
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), %error, "a watch failed, it is started again");
                continue;
            }
        };
        wakes.send(woken).await;
    }
}

/// Drops what nobody here reads and what makes up most of an object's size.
fn prune<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
    if let Some(annotations) = object.meta_mut().annotations.as_mut() {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(uid: &str, generation: i64) -> NetworkPolicy {
        let mut policy = NetworkPolicy::default();
        policy.metadata.name = Some(SEALED_POLICY.to_owned());
        policy.metadata.namespace = Some("team-a".to_owned());
        policy.metadata.uid = Some(uid.to_owned());
        policy.metadata.generation = Some(generation);
        policy
    }

    #[test]
    fn the_clock_begins_anew_with_uid_or_generation() {
        let since = SealedSince::default();
        let first = Instant::now();
        let later = first + std::time::Duration::from_secs(5);
        since.saw(&policy("a", 1), first);
        since.saw(&policy("a", 1), later);
        assert_eq!(since.get("team-a", "a", 1), Some(first));
        since.saw(&policy("a", 2), later);
        assert_eq!(since.get("team-a", "a", 1), None);
        assert_eq!(since.get("team-a", "a", 2), Some(later));
        since.gone(&policy("a", 2));
        assert_eq!(since.get("team-a", "a", 2), None);
    }
}
