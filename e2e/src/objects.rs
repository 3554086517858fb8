//! The objects of the API: themselves, their conditions and their pods.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::kube::wait;
use crate::world::World;

/// The API's group and version.
pub const API: &str = "/apis/sealroom.dev/v1alpha1";

/// A condition of an object, as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Condition {
    /// `True`, `False`, `Unknown`; empty when the condition is absent.
    pub status: String,
    /// CamelCase.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// An object that has pods.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    plural: &'static str,
    component: &'static str,
    namespace: &'a str,
    name: &'a str,
}

impl<'a> Subject<'a> {
    /// A ModelDeployment.
    #[must_use]
    pub fn model(namespace: &'a str, name: &'a str) -> Self {
        Self {
            plural: "modeldeployments",
            component: "model",
            namespace,
            name,
        }
    }

    /// An McpServer.
    #[must_use]
    pub fn server(namespace: &'a str, name: &'a str) -> Self {
        Self {
            plural: "mcpservers",
            component: "mcp",
            namespace,
            name,
        }
    }
}

impl World {
    /// The object; `None` when it is not there.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn object(&self, of: Subject<'_>) -> Result<Option<Value>> {
        let (namespace, plural, name) = (of.namespace, of.plural, of.name);
        self.get(&format!("{API}/namespaces/{namespace}/{plural}/{name}"))
            .await
    }

    /// Its pods, the ones that are going included.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn pods_of(&self, of: Subject<'_>) -> Result<Vec<Value>> {
        let selector = format!(
            "app.kubernetes.io/instance%3D{}%2Capp.kubernetes.io/component%3D{}",
            of.name, of.component
        );
        let namespace = of.namespace;
        self.list(&format!(
            "/api/v1/namespaces/{namespace}/pods?labelSelector={selector}"
        ))
        .await
    }

    /// The addresses of those that have one.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn addresses(&self, of: Subject<'_>) -> Result<Vec<String>> {
        let pods = self.pods_of(of).await?;
        let addresses = pods
            .iter()
            .filter_map(|pod| pod["status"]["podIP"].as_str());
        Ok(addresses.map(ToOwned::to_owned).collect())
    }

    /// Whether one of them is going.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn goes(&self, of: Subject<'_>) -> Result<bool> {
        let pods = self.pods_of(of).await?;
        let goes = |pod: &Value| !pod["metadata"]["deletionTimestamp"].is_null();
        Ok(pods.iter().any(goes))
    }

    /// Waits until so many pods serve what is written, and those of before are gone: their UIDs.
    ///
    /// # Errors
    /// When the time is over.
    pub async fn rolled(
        &self,
        of: Subject<'_>,
        replicas: usize,
        before: &BTreeSet<String>,
        within: Duration,
    ) -> Result<BTreeSet<String>> {
        wait(within, "the rollout's end", async || {
            let object = self.object(of).await?.unwrap_or_default();
            let seen = object["status"]["observedGeneration"] == object["metadata"]["generation"];
            let pods = self.pods_of(of).await?;
            let pods: BTreeSet<_> = pods
                .iter()
                .filter_map(|pod| pod["metadata"]["uid"].as_str().map(ToOwned::to_owned))
                .collect();
            let done = seen
                && condition_of(&object, "Ready").status == "True"
                && pods.len() == replicas
                && pods.is_disjoint(before);
            Ok(done.then_some(pods))
        })
        .await
        .with_context(|| format!("failed to roll {}/{} out", of.namespace, of.name))
    }

    /// Waits until a condition has this status and, unless it is empty, this reason.
    ///
    /// # Errors
    /// When the time is over: says what the condition was instead.
    pub async fn wait_for(
        &self,
        of: Subject<'_>,
        kind: &str,
        status: &str,
        reason: &str,
        within: Duration,
    ) -> Result<Condition> {
        let last = std::sync::Mutex::new(Condition::default());
        let waited = wait(within, "the condition", async || {
            let object = self.object(of).await?.unwrap_or_default();
            let now = condition_of(&object, kind);
            let fits = now.status == status && (reason.is_empty() || now.reason == reason);
            if let Ok(mut last) = last.lock() {
                *last = now.clone();
            }
            Ok(fits.then_some(now))
        })
        .await;
        waited.with_context(|| {
            let last = last.lock().map(|last| last.clone()).unwrap_or_default();
            let (namespace, name) = (of.namespace, of.name);
            format!("failed to see {kind}={status} {reason} on {namespace}/{name}, it is {last:?}")
        })
    }

    /// A ModelDeployment; `None` when it is not there.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn model(&self, namespace: &str, name: &str) -> Result<Option<Value>> {
        self.object(Subject::model(namespace, name)).await
    }

    /// Its pods.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn pods(&self, namespace: &str, name: &str) -> Result<Vec<Value>> {
        self.pods_of(Subject::model(namespace, name)).await
    }

    /// A condition of it; empty when the object or the condition is not there.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn condition(&self, namespace: &str, name: &str, kind: &str) -> Result<Condition> {
        let object = self.model(namespace, name).await?.unwrap_or_default();
        Ok(condition_of(&object, kind))
    }

    /// Waits for a condition of it.
    ///
    /// # Errors
    /// When the time is over: says what the condition was instead.
    pub async fn wait_condition(
        &self,
        namespace: &str,
        name: &str,
        kind: &str,
        status: &str,
        reason: &str,
        within: Duration,
    ) -> Result<Condition> {
        let model = Subject::model(namespace, name);
        self.wait_for(model, kind, status, reason, within).await
    }
}

/// A condition in an object's status; empty when it is not there.
#[must_use]
pub fn condition_of(object: &Value, kind: &str) -> Condition {
    let conditions = object["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)
        .map(|condition| Condition {
            status: text(&condition["status"]),
            reason: text(&condition["reason"]),
            message: text(&condition["message"]),
        })
        .unwrap_or_default()
}
