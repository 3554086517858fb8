//! The cluster that people ask from their machines, as kubectl finds it.

use std::time::Duration;

use anyhow::Context as _;
use kube::config::{Config, KubeConfigOptions};
use kube::{Client, Error};

use super::Exit;

/// How long an answer of the API server may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Flags that say where.
#[derive(Clone, Debug, clap::Args)]
pub struct Place {
    /// The namespace; without it that of the kubeconfig's context
    #[arg(long, short)]
    namespace: Option<String>,
    /// The context of the kubeconfig
    #[arg(long)]
    context: Option<String>,
}

impl Place {
    /// A client and the namespace.
    async fn find(self) -> anyhow::Result<(Client, String)> {
        let mut config = match self.context {
            None => Config::infer().await.context("failed to find a cluster")?,
            Some(context) => {
                let options = KubeConfigOptions {
                    context: Some(context),
                    ..KubeConfigOptions::default()
                };
                let config = Config::from_kubeconfig(&options).await;
                config.context("failed to find that context in the kubeconfig")?
            }
        };
        config.connect_timeout = Some(PATIENCE);
        config.read_timeout = Some(PATIENCE);
        let namespace = self.namespace.unwrap_or(config.default_namespace.clone());
        let client = Client::try_from(config).context("failed to make a client")?;
        Ok((client, namespace))
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
                    let (client, namespace) = self.find().await?;
                    work(client, namespace).await
                })
            });
        ended.unwrap_or_else(|error| {
            eprintln!("{error:#}");
            Exit::Passing
        })
    }
}

/// What the API server said, with what to do about it.
pub fn explain(error: Error) -> anyhow::Error {
    let hint = match &error {
        Error::Api(status) if status.code == 404 => {
            "failed to find it: see `kubectl get modeldeployments,mcpservers -A`, and whether the chart is installed"
        }
        Error::Api(status) if status.code == 403 => {
            "failed for lack of rights: reading needs get and list of these objects"
        }
        _ => "failed to ask the API server",
    };
    anyhow::Error::new(error).context(hint)
}
