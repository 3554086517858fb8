//! The cluster's API: a client, kubectl and helm, and waiting with a deadline.

use std::{
    future::Future,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use kube::{Client, Config, config::KubeConfigOptions, config::Kubeconfig};

use crate::{cluster::Environment, run::Program};

/// A client with an administrator's rights.
///
/// # Errors
/// When the kubeconfig cannot be read.
pub async fn client(environment: &Environment) -> Result<Client> {
    let config = Kubeconfig::read_from(&environment.kubeconfig)
        .with_context(|| format!("failed to read {}", environment.kubeconfig.display()))?;
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
    Client::try_from(config).context("failed to make a client")
}

/// Applies YAML as a user would, server-side.
///
/// # Errors
/// When the API server refuses a part of it.
pub async fn apply(environment: &Environment, yaml: &str) -> Result<()> {
    environment
        .kubectl(["apply", "--server-side", "-f", "-"])
        .input(yaml)
        .run()
        .await?;
    Ok(())
}

/// Makes a Secret with the registry's password in a namespace, for `imagePullSecrets`.
///
/// # Errors
/// When the cluster has no registry of its own or the API server refuses.
pub async fn pull_secret(environment: &Environment, namespace: &str, name: &str) -> Result<()> {
    let auth = environment
        .registry_auth
        .as_ref()
        .context("failed to find the registry's password")?;
    let auth = std::fs::read_to_string(auth).context("failed to read the registry's password")?;
    let secret = serde_json::json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": {".dockerconfigjson": auth},
    });
    apply(environment, &secret.to_string()).await
}

/// Installs or upgrades a chart with real helm and waits for it.
///
/// # Errors
/// When helm fails or the release is not ready in two minutes.
pub async fn helm(
    environment: &Environment,
    release: &str,
    namespace: &str,
    chart: &Path,
    values: &Path,
) -> Result<()> {
    Program::new(&environment.helm)
        .env("KUBECONFIG", &environment.kubeconfig)
        .args(["upgrade", "--install", release])
        .arg(chart)
        .args([
            "--namespace",
            namespace,
            "--create-namespace",
            "--wait",
            "--timeout",
            "120s",
            "--values",
        ])
        .arg(values)
        .deadline(Duration::from_secs(150))
        .run()
        .await
        .with_context(|| format!("failed to install {}", chart.display()))?;
    Ok(())
}

/// Asks every 200 ms until there is an answer.
///
/// # Errors
/// When there is none in time: with the last error of `ask`, when it had one.
pub async fn wait<T, F, A>(deadline: Duration, what: &str, mut ask: A) -> Result<T>
where
    A: FnMut() -> F,
    F: Future<Output = Result<Option<T>>>,
{
    let began = Instant::now();
    loop {
        let answer = ask().await;
        match answer {
            Ok(Some(found)) => return Ok(found),
            Ok(None) if began.elapsed() >= deadline => {
                bail!("failed to see {what} within {} s", deadline.as_secs())
            }
            Err(error) if began.elapsed() >= deadline => {
                return Err(error.context(format!(
                    "failed to see {what} within {} s",
                    deadline.as_secs()
                )));
            }
            _ => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_until_there_is_an_answer() {
        let mut asked = 0;
        let found = wait(Duration::from_secs(5), "three", || {
            asked += 1;
            let n = asked;
            async move { Ok((n == 3).then_some(n)) }
        });
        assert_eq!(found.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn says_what_did_not_come_and_why() {
        let error = wait::<(), _, _>(Duration::ZERO, "a pod", || async { bail!("refused") })
            .await
            .unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "failed to see a pod within 0 s: refused"
        );
    }
}
