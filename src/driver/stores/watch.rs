//! The watches of what nobody else watches: canaries, the Services that are targets, which kinds there are.

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::PartialObjectMeta;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use tokio::task::JoinSet;

use super::Services;
use crate::driver::config::{Config, ServiceName};

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
