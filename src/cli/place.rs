//! The cluster that people ask from their machines, as kubectl finds it.

use std::io::{IsTerminal as _, stderr};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use anyhow::Context as _;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use kube::{Client, Error};
use tokio::time::sleep;

use super::{Exit, say};

/// How long an answer of the API server may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// After so much silence a person is told what is waited for.
const SILENCE: Duration = Duration::from_secs(2);

/// Flags that say where.
#[derive(Clone, Debug, clap::Args)]
pub struct Place {
    /// The namespace; without it that of the kubeconfig's context
    #[arg(long, short)]
    namespace: Option<String>,
    /// The context of the kubeconfig
    #[arg(long)]
    context: Option<String>,
    /// The kubeconfig; without it those of KUBECONFIG, else ~/.kube/config
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

impl Place {
    /// Where the API server is, and how it is asked.
    async fn find(&self) -> anyhow::Result<Config> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        let mut config = match (&self.kubeconfig, &self.context) {
            (Some(file), _) => {
                let named = || format!("failed to read --kubeconfig {}", file.display());
                let read = Kubeconfig::read_from(file).with_context(named)?;
                let config = Config::from_custom_kubeconfig(read, &options).await;
                config.with_context(named)?
            }
            (None, Some(context)) => {
                let config = Config::from_kubeconfig(&options).await;
                config.with_context(|| {
                    format!("failed to find --context {context}: `kubectl config get-contexts` lists them")
                })?
            }
            (None, None) => Config::infer()
                .await
                .context("failed to find a cluster: set KUBECONFIG, or write --kubeconfig")?,
        };
        config.connect_timeout = Some(PATIENCE);
        config.read_timeout = Some(PATIENCE);
        Ok(config)
    }

    /// Runs a command there to its end, and says why where it failed.
    pub fn run(self, work: impl AsyncFnOnce(Client, String) -> anyhow::Result<Exit>) -> Exit {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let ended = runtime
            .context("failed to start the runtime")
            .and_then(|runtime| {
                runtime.block_on(async {
                    let config = self.find().await?;
                    let server = config.cluster_url.to_string();
                    let namespace = self.namespace.unwrap_or(config.default_namespace.clone());
                    let client = Client::try_from(config).context("failed to make a client")?;
                    patiently(&server, work(client, namespace)).await
                })
            });
        ended.unwrap_or_else(|error| {
            say::error(told(&error));
            Exit::Passing
        })
    }
}

/// What went wrong and why. A cause that was said already is left out: kube's errors have theirs in their own text, too.
fn told(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for why in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = why;
        } else if !told.contains(&why) {
            told = format!("{told}: {why}");
        }
    }
    told
}

/// Waits, and tells a person for what where that takes its time.
async fn patiently<T>(server: &str, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = sleep(SILENCE) => {}
    }
    if stderr().is_terminal() {
        let seconds = PATIENCE.as_secs();
        say::note(format!(
            "waiting for the API server {server}, at most {seconds} seconds for an answer"
        ));
    }
    work.await
}

/// What the API server said, with what to do about it.
pub fn explain(error: Error) -> anyhow::Error {
    let Error::Api(status) = &error else {
        return anyhow::Error::new(error).context("failed to ask the API server");
    };
    let cure = match status.code {
        401 => "log in to the cluster again",
        403 => "reading needs the rights get and list of these objects",
        404 => {
            "see `kubectl get modeldeployments,mcpservers -A`, and whether the chart is installed"
        }
        _ => return anyhow::anyhow!("the API server refused: {}", status.message),
    };
    anyhow::anyhow!("{}: {cure}", status.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let error = anyhow::anyhow!("no such file")
            .context("failed to read a: no such file")
            .context("failed to find a cluster");
        assert_eq!(
            told(&error),
            "failed to find a cluster: failed to read a: no such file"
        );
    }

    #[rstest::rstest]
    #[case::rights(403, "get and list")]
    #[case::nothing(404, "kubectl get modeldeployments")]
    #[case::nobody(401, "log in")]
    #[case::else_(500, "the API server refused: because")]
    fn what_the_server_says_comes_with_a_cure(#[case] code: u16, #[case] says: &str) {
        let status = kube::core::Status::failure("because", "Whatever").with_code(code);
        let text = told(&explain(Error::Api(Box::new(status))));
        assert!(text.contains("because") && text.contains(says), "{text}");
        assert!(!text.contains("Status {"), "{text}");
    }
}
