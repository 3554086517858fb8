//! From reflector stores to a [`View`].

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::PartialObjectMeta;
use kube::runtime::reflector::{Store, store::WriterDropped};
use kube::{Resource, ResourceExt};
use tokio::sync::Notify;

use crate::policy::{self, Policy};

use super::made::Looks;
use super::view::{Infrastructure, ServiceAddresses, View};

mod pods;
mod watch;

use pods::{canary, sealed_pod};
pub use watch::{watch_canaries, watch_definitions};

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
    pub async fn ready(&self) -> Result<(), WriterDropped> {
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
