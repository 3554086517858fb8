//! `sealroom canary`.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Exit;
use crate::canary::{Canary, Config, KeySource};
use crate::seal::sign::TrustedKeys;

/// Flags of `sealroom canary`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where nonces are taken, over TCP and UDP
    #[arg(long, default_value = "[::]:8080")]
    listen: SocketAddr,
    /// Where the operator is answered
    #[arg(long, default_value = "[::]:8081")]
    control: SocketAddr,
    /// A file with a public key as PEM, read again for every order; at most two
    #[arg(long = "verify-key-file", value_name = "FILE")]
    verify_key_files: Vec<PathBuf>,
    /// One or two public keys as PEM, when there is no file
    #[arg(
        long,
        env = "SEALROOM_VERIFY_KEYS",
        value_name = "PEM",
        hide_env_values = true
    )]
    verify_keys: Option<String>,
    /// The UID of the canary's pod: orders for another are refused
    #[arg(long, env = "POD_UID", value_name = "UID")]
    pod_uid: String,
}

impl Args {
    /// Runs until it is told to stop.
    pub fn run(self) -> Exit {
        crate::telemetry::init();
        let config = match self.config() {
            Ok(config) => config,
            Err(error) => {
                tracing::error!(%error, "canary");
                return Exit::Usage;
            }
        };
        let runtime = match tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, "failed to start the runtime");
                return Exit::Passing;
            }
        };
        runtime.block_on(serve(config))
    }

    fn config(self) -> Result<Config, String> {
        let keys = match (self.verify_key_files.len(), &self.verify_keys) {
            (1..=2, _) => KeySource::Files(self.verify_key_files),
            (0, Some(text)) => {
                KeySource::Fixed(TrustedKeys::from_text(text).map_err(|error| error.to_string())?)
            }
            _ => {
                return Err(
                    "failed to start: give one or two --verify-key-file, or --verify-keys"
                        .to_owned(),
                );
            }
        };
        Ok(Config {
            listen: self.listen,
            control: self.control,
            keys,
            pod_uid: self.pod_uid,
        })
    }
}

async fn serve(config: Config) -> Exit {
    let (mut terminate, mut interrupt) = match (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) {
        (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
        _ => {
            tracing::error!("failed to listen for signals");
            return Exit::Passing;
        }
    };
    let canary = match Canary::bind(config) {
        Ok(canary) => canary,
        Err(error) => {
            tracing::error!(%error, "canary");
            return Exit::Passing;
        }
    };
    let stop = CancellationToken::new();
    let mut running = tokio::spawn(canary.run(stop.clone()));
    tracing::info!("canary listens");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = &mut running => {
            tracing::error!("failed to go on listening");
            return Exit::Passing;
        }
    }
    stop.cancel();
    let _ = running.await;
    Exit::Ok
}
