//! What the demo and the tests do to a cluster: apply, ask, wait, look from inside and outside.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::cluster::Environment;
use crate::kube::wait;
use crate::run::{Output, Program, RunError};

/// For pods to be ready, the pull of their images included.
const PODS: Duration = Duration::from_secs(120);

/// A cluster with the operator in it.
#[derive(Clone, Debug)]
pub struct World {
    /// Where everything is.
    pub environment: Environment,
    client: Client,
}

/// A client without a `Debug` of its own.
#[derive(Clone)]
struct Client(kube::Client);

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl World {
    /// Connects to the cluster.
    ///
    /// # Errors
    /// When the kubeconfig does not parse.
    pub async fn new(environment: Environment) -> Result<Self> {
        let client = Client(crate::kube::client(&environment).await?);
        Ok(Self {
            environment,
            client,
        })
    }

    /// Applies YAML, one or more documents.
    ///
    /// # Errors
    /// What kubectl said.
    pub async fn apply(&self, yaml: &str) -> Result<Output, RunError> {
        self.environment
            .kubectl(["apply", "--server-side", "--field-manager=e2e", "-f", "-"])
            .input(yaml)
            .run()
            .await
    }

    /// Runs kubectl.
    ///
    /// # Errors
    /// What kubectl said.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<Output, RunError> {
        self.environment.kubectl(arguments).run().await
    }

    /// Runs a program in a running container.
    ///
    /// # Errors
    /// When it cannot be started or does not end with 0.
    pub async fn exec(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        command: &[&str],
    ) -> Result<Output, RunError> {
        self.exec_program(namespace, pod, container, command)
            .run()
            .await
    }

    /// The same, to be run later or with another deadline.
    #[must_use]
    pub fn exec_program(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        command: &[&str],
    ) -> Program {
        self.environment
            .kubectl(["exec", "-n", namespace, pod, "-c", container, "--"])
            .args(command)
    }

    /// Runs a program in a running container with this on its standard input. What stands there is in no log of the
    /// API server, where a command's arguments are.
    ///
    /// # Errors
    /// When it cannot be started or does not end with 0.
    pub async fn feed(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        command: &[&str],
        input: &str,
    ) -> Result<Output, RunError> {
        self.environment
            .kubectl(["exec", "-i", "-n", namespace, pod, "-c", container, "--"])
            .args(command)
            .input(input)
            .deadline(Duration::from_secs(240))
            .run()
            .await
    }

    /// Waits until these pods are ready, the pull of their images included.
    ///
    /// # Errors
    /// What kubectl said, after two minutes.
    pub async fn pods_ready(&self, namespace: &str, pods: &[&str]) -> Result<(), RunError> {
        let pods: Vec<_> = pods.iter().map(|pod| format!("pod/{pod}")).collect();
        let mut wait = vec!["wait", "-n", namespace, "--for=condition=Ready"];
        wait.extend(pods.iter().map(String::as_str));
        self.waited(&wait).await
    }

    /// Waits until the pods of a Deployment are those that are written, and ready.
    ///
    /// # Errors
    /// What kubectl said, after two minutes.
    pub async fn rolled_out(&self, namespace: &str, deployment: &str) -> Result<(), RunError> {
        let target = format!("deployment/{deployment}");
        let status = ["rollout", "status", "-n", namespace, &target];
        self.waited(&status).await
    }

    /// Runs a command of kubectl that waits for pods, and says itself what it has not seen in time.
    async fn waited(&self, arguments: &[&str]) -> Result<(), RunError> {
        self.environment
            .kubectl(arguments)
            .arg(format!("--timeout={}s", PODS.as_secs()))
            .deadline(PODS + Duration::from_secs(10))
            .run()
            .await?;
        Ok(())
    }

    /// Reads one path of the API; `None` when there is nothing.
    ///
    /// # Errors
    /// Anything but 200 and 404.
    pub async fn get(&self, path: &str) -> Result<Option<Value>> {
        let request = http::Request::get(path).body(Vec::new())?;
        match self.client.0.request::<Value>(request).await {
            Ok(value) => Ok(Some(value)),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
            Err(error) => Err(error).with_context(|| format!("failed to read {path}")),
        }
    }

    /// Reads one path of the API as text, as logs are.
    ///
    /// # Errors
    /// Anything but 200.
    pub async fn text(&self, path: &str) -> Result<String> {
        let request = http::Request::get(path).body(Vec::new())?;
        let text = self.client.0.request_text(request).await;
        text.with_context(|| format!("failed to read {path}"))
    }

    /// The items of a list.
    ///
    /// # Errors
    /// Anything but 200.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>> {
        let list = self
            .get(path)
            .await?
            .with_context(|| format!("failed to find {path}"))?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// A namespace that enforces `restricted`, with the registry's password in it, as a platform makes them.
    ///
    /// # Errors
    /// What kubectl said.
    pub async fn namespace(&self, name: &str) -> Result<()> {
        self.apply(&format!(
            "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n  labels: {{pod-security.kubernetes.io/enforce: restricted}}\n"
        ))
        .await?;
        if let Some(auth) = &self.environment.registry_auth {
            let config = std::fs::read_to_string(auth)?;
            self.pull_secret(name, "registry", &config).await?;
        }
        wait(
            Duration::from_secs(30),
            "the default ServiceAccount",
            async || {
                self.get(&format!(
                    "/api/v1/namespaces/{name}/serviceaccounts/default"
                ))
                .await
            },
        )
        .await?;
        Ok(())
    }

    /// A Secret of type `kubernetes.io/dockerconfigjson` with this content.
    ///
    /// # Errors
    /// What kubectl said.
    pub async fn pull_secret(&self, namespace: &str, name: &str, config: &str) -> Result<()> {
        let secret = serde_json::json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": name, "namespace": namespace},
            "stringData": {".dockerconfigjson": config},
        });
        self.apply(&secret.to_string()).await?;
        Ok(())
    }
}

/// The name of an object.
#[must_use]
pub fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}
