//! From reflector stores to a [`View`].

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::PartialObjectMeta;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::policy::{self, NamedPort, Policy, Protocol};

use super::cluster::CONDITION;
use super::config::{Config, ServiceName};
use super::made::Looks;
use super::shape;
use super::view::{Canary, Condition, Infrastructure, PodKind, SealedPod, ServiceAddresses, View};

/// The label of sealed pods.
const SEALED: &str = "sealroom.dev/sealed";
/// The label with the owner's UID.
const OWNER_UID: &str = "sealroom.dev/owner-uid";
/// The gate's container.
const GATE: &str = "gate";

/// What the driver reads. All of it is fed by watches; the driver itself asks the API server nothing.
#[derive(Clone, Debug)]
pub struct Stores {
    /// Pods with the label `sealroom.dev/owner-uid`, of all namespaces.
    pub pods: Store<Pod>,
    /// All NetworkPolicies.
    pub policies: Store<NetworkPolicy>,
    /// All namespaces.
    pub namespaces: Store<PartialObjectMeta<Namespace>>,
    /// The canary pods.
    pub canaries: Store<Pod>,
    /// The Services that are targets.
    pub services: Services,
    /// The metadata of all CustomResourceDefinitions.
    pub definitions: Store<PartialObjectMeta<CustomResourceDefinition>>,
    /// Whoever feeds the stores may ring it after an event; without it changes are seen a fraction of a
    /// second later.
    pub changed: Arc<Notify>,
}

/// One store for each Service that is a target; `None` where the platform has none.
#[derive(Clone, Debug, Default)]
pub struct Services {
    /// The canaries' Service.
    pub canary: Option<Store<Service>>,
    /// Cluster DNS.
    pub dns: Option<Store<Service>>,
    /// The API server's Service.
    pub api: Option<Store<Service>>,
}

impl Services {
    /// Watches the configured Services, each by its name alone, in tasks that end with `tasks`.
    #[must_use]
    pub fn watch(client: &Client, config: &Config, tasks: &mut JoinSet<()>) -> Self {
        let mut one = |service: &Option<ServiceName>| {
            let service = service.as_ref()?;
            let api = Api::<Service>::namespaced(client.clone(), &service.namespace);
            let field = format!("metadata.name={}", service.name);
            Some(watch(api, watcher::Config::default().fields(&field), tasks))
        };
        Self {
            canary: one(&config.canary_service),
            dns: one(&config.dns_service),
            api: one(&config.api_service),
        }
    }
}

/// Watches the canary pods of the operator's namespace by their labels (`key=value,…`).
#[must_use]
pub fn watch_canaries(
    client: &Client,
    namespace: &str,
    selector: &str,
    tasks: &mut JoinSet<()>,
) -> Store<Pod> {
    let api = Api::<Pod>::namespaced(client.clone(), namespace);
    watch(api, watcher::Config::default().labels(selector), tasks)
}

/// Watches which kinds the cluster knows. Metadata alone: their schemas have megabytes.
#[must_use]
pub fn watch_definitions(
    client: &Client,
    tasks: &mut JoinSet<()>,
) -> Store<PartialObjectMeta<CustomResourceDefinition>> {
    let api = Api::<PartialObjectMeta<CustomResourceDefinition>>::all(client.clone());
    watch(api, watcher::Config::default(), tasks)
}

fn watch<K>(api: Api<K>, config: watcher::Config, tasks: &mut JoinSet<()>) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Send + Sync + 'static,
    K: serde::de::DeserializeOwned,
{
    let (store, writer) = reflector::store();
    let stream = watcher(api, config)
        .default_backoff()
        .modify(|object| {
            object.managed_fields_mut().clear();
            object.annotations_mut().clear();
        })
        .reflect(writer);
    tasks.spawn(stream.for_each(|event| async move {
        if let Err(error) = event {
            tracing::warn!(kind = %K::kind(&()), %error, "a watch failed, it is started again");
        }
    }));
    store
}

impl Stores {
    /// Changes whenever an object in any store does.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut sum = add(&self.pods, 1)
            .wrapping_add(add(&self.policies, 2))
            .wrapping_add(add(&self.namespaces, 3))
            .wrapping_add(add(&self.canaries, 4))
            .wrapping_add(add(&self.definitions, 8));
        let services = [
            &self.services.canary,
            &self.services.dns,
            &self.services.api,
        ];
        for (salt, store) in (5..).zip(services) {
            sum = sum.wrapping_add(store.as_ref().map_or(0, |store| add(store, salt)));
        }
        sum
    }

    /// Waits until every store has its first list.
    ///
    /// # Errors
    /// When whoever feeds a store went away before.
    pub async fn ready(&self) -> Result<(), reflector::store::WriterDropped> {
        self.pods.wait_until_ready().await?;
        self.policies.wait_until_ready().await?;
        self.namespaces.wait_until_ready().await?;
        self.canaries.wait_until_ready().await?;
        self.definitions.wait_until_ready().await?;
        let services = [
            &self.services.canary,
            &self.services.dns,
            &self.services.api,
        ];
        for store in services.into_iter().flatten() {
            store.wait_until_ready().await?;
        }
        Ok(())
    }

    /// The cluster as the stores have it now; `looks` holds the pods to what was made.
    #[must_use]
    pub fn view(&self, looks: &mut Looks) -> View {
        let mut pods = self.pods.state();
        // Younger ones are judged by what the older ones of their revision are like.
        pods.sort_by_cached_key(|pod| {
            let created = pod.metadata.creation_timestamp.as_ref();
            created.map(|time| time.0)
        });
        let policies = self.policies.state();
        let canaries = self.canaries.state();
        let shared = Infrastructure {
            canaries: Vec::new(),
            canary_service: addresses(self.services.canary.as_ref()),
            dns: addresses(self.services.dns.as_ref()),
            api: addresses(self.services.api.as_ref()),
        };
        View {
            pods: (pods.iter())
                .filter_map(|pod| sealed_pod(pod, looks))
                .collect(),
            shared: shared.with_canaries(canaries.iter().filter_map(|pod| canary(pod)).collect()),
            policies: policies
                .iter()
                .map(|policy| Policy::parse(policy))
                .collect(),
            namespaces: self
                .namespaces
                .state()
                .iter()
                .map(|namespace| (namespace.name_any(), namespace.labels().clone()))
                .collect::<BTreeMap<_, _>>(),
            foreign: self.foreign(),
        }
    }

    fn foreign(&self) -> Vec<String> {
        let definitions = self.definitions.state();
        let names = definitions.iter().map(|definition| definition.name_any());
        let mut foreign: Vec<String> = names.filter(|name| policy::is_foreign(name)).collect();
        foreign.sort();
        foreign
    }
}

/// A sum, so that the order in which a store lists its objects does not matter.
fn add<K>(store: &Store<K>, salt: u64) -> u64
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let one = |object: &Arc<K>| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        object.meta().uid.hash(&mut hasher);
        object.meta().resource_version.hash(&mut hasher);
        hasher.finish()
    };
    store.state().iter().map(one).fold(0, u64::wrapping_add)
}

fn addresses(store: Option<&Store<Service>>) -> ServiceAddresses {
    let Some(store) = store else {
        return ServiceAddresses::NotConfigured;
    };
    let services = store.state();
    let ips = services
        .iter()
        .filter_map(|service| service.spec.as_ref()?.cluster_ips.as_ref());
    // A headless Service has the word None there.
    let ips: Vec<IpAddr> = ips.flatten().filter_map(|ip| ip.parse().ok()).collect();
    if ips.is_empty() {
        ServiceAddresses::Missing
    } else {
        ServiceAddresses::Found(ips)
    }
}

/// The pod as policies see it; `None` for one that is over.
fn policy_pod(pod: &Pod) -> Option<policy::Pod> {
    let status = pod.status.as_ref()?;
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return None;
    }
    let spec = pod.spec.as_ref()?;
    let init = spec.init_containers.iter().flatten();
    let containers = spec.containers.iter().chain(init);
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    Some(policy::Pod {
        namespace: pod.namespace().unwrap_or_default(),
        name: pod.name_any(),
        labels: pod.labels().clone(),
        addresses: (status.pod_ips.iter().flatten())
            .filter_map(|ip| ip.ip.parse().ok())
            .collect(),
        ports: ports
            .filter_map(|port| {
                Some(NamedPort {
                    name: port.name.clone()?,
                    protocol: Protocol::parse(port.protocol.as_deref())?,
                    port: u16::try_from(port.container_port).ok()?,
                })
            })
            .collect(),
    })
}

fn sealed_pod(pod: &Pod, looks: &mut Looks) -> Option<SealedPod> {
    let seen = policy_pod(pod)?;
    let status = pod.status.as_ref()?;
    let label = pod.labels().get(SEALED);
    let mut readiness = pod.spec.as_ref()?.readiness_gates.iter().flatten();
    let gated = readiness.any(|gate| gate.condition_type == CONDITION);
    if label.is_none() && !gated {
        return None;
    }
    let statuses = status.init_container_statuses.iter().flatten();
    let gates = statuses.filter(|container| container.name == GATE);
    let mut engines = status.container_statuses.iter().flatten();
    let conditions = status.conditions.iter().flatten();
    let mut sealed = conditions.filter(|condition| condition.type_ == CONDITION);
    let owner_uid = pod.labels().get(OWNER_UID).cloned().unwrap_or_default();
    Some(SealedPod {
        uid: pod.uid()?,
        altered: looks.look(pod, &owner_uid),
        notes: shape::otherwise(pod),
        owner_uid,
        kind: if label.is_some_and(|kind| kind == "pull") {
            PodKind::Ungated
        } else {
            PodKind::Gated
        },
        pod: seen,
        node: pod
            .spec
            .as_ref()
            .and_then(|spec| spec.node_name.clone())
            .unwrap_or_default(),
        node_addresses: (status.host_ips.iter().flatten())
            .filter_map(|ip| ip.ip.parse().ok())
            .collect(),
        gate_ready: gates.clone().any(|gate| gate.ready),
        gate_running: gates.clone().any(|gate| {
            gate.state
                .as_ref()
                .is_some_and(|state| state.running.is_some())
        }),
        engine_started: engines.clone().any(|engine| engine.started == Some(true)),
        engine_oom: engines.any(|engine| {
            let last = engine.last_state.as_ref();
            let ended = last.and_then(|state| state.terminated.as_ref());
            ended.is_some_and(|ended| ended.reason.as_deref() == Some("OOMKilled"))
        }),
        unlabelled: label.is_none(),
        terminating: pod.metadata.deletion_timestamp.is_some(),
        condition: sealed.next().map(|condition| {
            let since = condition.last_transition_time.as_ref();
            Condition {
                status: condition.status.clone(),
                reason: condition.reason.clone().unwrap_or_default(),
                since: since.map(|time| time.0.to_string()).unwrap_or_default(),
            }
        }),
    })
}

fn canary(pod: &Pod) -> Option<Canary> {
    let seen = policy_pod(pod)?;
    if seen.addresses.is_empty() || pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let mut conditions = pod.status.as_ref()?.conditions.iter().flatten();
    Some(Canary {
        uid: pod.uid()?,
        pod: seen,
        node: pod
            .spec
            .as_ref()
            .and_then(|spec| spec.node_name.clone())
            .unwrap_or_default(),
        ready: conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True"),
    })
}
