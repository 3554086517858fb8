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

/// Installs or upgrades a chart with real helm and waits for it.
///
/// # Errors
/// When helm fails or the release is not ready in four minutes.
pub async fn helm(
    environment: &Environment,
    release: &str,
    namespace: &str,
    chart: &Path,
    settings: &[&str],
) -> Result<()> {
    Program::new(&environment.helm)
        .env("KUBECONFIG", &environment.kubeconfig)
        .args(["upgrade", "--install", release])
        .arg(chart)
        .args(["--namespace", namespace, "--create-namespace"])
        .args(["--wait", "--timeout", "240s"])
        .args(settings)
        .deadline(Duration::from_secs(270))
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
