//! What the operator sees of the cluster: pruned reflectors that feed a store first and trigger second.

use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::PartialObjectMeta;
use kube::runtime::reflector::{ObjectRef, Store, store};
use kube::runtime::watcher;
use kube::{Client, Resource, ResourceExt};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::guard;
use super::mcp_server::references::Targets;
use super::names::{MANAGED_SELECTOR, OWNER_UID};
use super::nodes;
use super::trigger::{Triggers, Wakes};
use crate::api::model_deployment::TenantGuard;
use crate::api::{McpServer, ModelArtifact, ModelDeployment};

mod reflect;
mod sealed_since;

use reflect::Reflectors;
pub use sealed_since::SealedSince;

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
        let mut reflectors = Reflectors {
            client,
            // Triggers look an owner up by UID, so the owners' stores come first.
            wakes: Wakes {
                triggers: triggers.clone(),
                model_deployments: model_deployments.clone(),
                model_artifacts: model_artifacts.clone(),
                mcp_servers: mcp_servers.clone(),
            },
            tasks,
        };
        macro_rules! watch {
            ($config:expr, $wake:ident) => {{
                let (reader, writer) = store();
                reflectors.start($config, writer, |wakes, _, object| wakes.$wake(object));
                reader
            }};
        }
        reflectors.start(&all, md_writer, |wakes, _, object| {
            wakes.model_deployment(object)
        });
        reflectors.start(&all, ma_writer, |wakes, _, object| {
            wakes.model_artifact(object)
        });
        reflectors.start(&all, mcp_writer, |wakes, _, object| {
            wakes.mcp_server(object)
        });
        let changed = Arc::new(Notify::new());
        let sealed_since = SealedSince::default();
        let (network_policies, writer) = store();
        let (bell, since) = (changed.clone(), sealed_since.clone());
        reflectors.start(&all, writer, move |wakes, there, object| {
            bell.notify_one();
            if there {
                since.saw(object, Instant::now());
            } else {
                since.gone(object);
            }
            wakes.network_policy(object)
        });
        let (namespaces, writer) = store();
        let bell = changed.clone();
        reflectors.start(
            &all,
            writer,
            move |wakes, _, object: &PartialObjectMeta<Namespace>| {
                bell.notify_one();
                wakes.namespace(&object.name_any())
            },
        );
        let (pods, writer) = store();
        let bell = changed.clone();
        reflectors.start(&owned, writer, move |wakes, _, object| {
            bell.notify_one();
            wakes.pod(object)
        });
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
            nodes: nodes::watch::start(client, reflectors.wakes.clone(), reflectors.tasks),
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
