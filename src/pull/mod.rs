//! An artifact into a volume: planned, verified, resumable.

mod error;
mod fetch;
mod inputs;
mod partial;
mod plan;
mod progress;
mod report;
mod server;
mod space;
mod store;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use error::{PullError, Reason};
pub use progress::{Phase, Progress, ProgressReport, WaitingFor};
pub use report::{Artifact, FileEntry, Layout, Outcome, TerminationMessage};
pub use server::serve_progress;
pub use store::{RecordError, verified_file};

use crate::gguf::Kind;
use crate::oci::{Authority, Connection, Registry, Weights, weights_of};
use crate::types::ImageRef;
use inputs::Inputs;
use store::Store;

/// What to pull, and how.
#[derive(Clone, Debug)]
pub struct Config {
    /// The artifact, by digest.
    pub reference: ImageRef,
    /// Where to put it; `None` plans only and downloads no more than the header.
    pub to: Option<PathBuf>,
    /// For which engine the directory is laid out.
    pub layout: Layout,
    /// What the file must be.
    pub kind: Kind,
    /// PEM file; where given, the only roots.
    pub ca: Option<PathBuf>,
    /// `.dockerconfigjson` files; each that is named must be there.
    pub auth_files: Vec<PathBuf>,
    /// Hosts that may be spoken to.
    pub allow: Vec<Authority>,
    /// Addresses by host; where any is given, no name is looked up.
    pub resolve: HashMap<String, Vec<IpAddr>>,
    /// Whether to wait for what somebody must put right.
    pub wait: bool,
    /// Whether to read a finished directory's bytes again.
    pub reverify: bool,
    /// Largest artifact, in bytes.
    pub max_bytes: Option<u64>,
    /// Patience.
    pub timing: Timing,
}

/// How long and how often we try.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Longest silence on a connection.
    pub stall: Duration,
    /// Tries without a new byte before giving up.
    pub attempts: u32,
    /// Pause after the first failure; it doubles up to 30 s.
    pub backoff: Duration,
    /// How often the mounted files are read again while waiting.
    pub poll: Duration,
    /// When to try again although none of them changed: whoever mended the registry need not tell us.
    pub again: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            stall: Duration::from_secs(30),
            attempts: 5,
            backoff: Duration::from_secs(1),
            poll: Duration::from_secs(10),
            again: Duration::from_secs(600),
        }
    }
}

/// Plans, or pulls, to the end. Dropping the future leaves a partial file from which the next run goes on.
///
/// # Errors
/// [`PullError`]; while `wait` is set, those that somebody else must mend are waited out instead.
pub async fn run(config: &Config, progress: &Arc<Progress>) -> Result<Artifact, PullError> {
    let store = match &config.to {
        None => None,
        Some(dir) => {
            let store = Store::open(
                dir.clone(),
                config.reference.clone(),
                config.layout,
                config.kind,
            );
            if let Some(artifact) = store.finished(config.reverify).await? {
                progress.verified(artifact.bytes);
                return Ok(artifact);
            }
            Some(store)
        }
    };
    loop {
        let inputs = Inputs::read(config).await;
        let error = match attempt(config, &inputs, store.as_ref(), progress).await {
            Ok(artifact) => return Ok(artifact),
            Err(error) => error,
        };
        let Some(waiting) = error.waits_for().filter(|_| config.wait) else {
            progress.failed();
            return Err(error);
        };
        tracing::warn!(reason = ?waiting, %error, "waiting");
        progress.waiting(waiting, error.to_string());
        let mends_itself = waiting == Reason::Unreachable;
        let begun = Instant::now();
        loop {
            tokio::time::sleep(config.timing.poll).await;
            let due = mends_itself || begun.elapsed() >= config.timing.again;
            if due || Inputs::read(config).await.fingerprint != inputs.fingerprint {
                break;
            }
        }
    }
}

async fn attempt(
    config: &Config,
    inputs: &Inputs,
    store: Option<&Store>,
    progress: &Arc<Progress>,
) -> Result<Artifact, PullError> {
    progress.planning();
    let (ca, credentials) = inputs.checked()?;
    let connection = Connection {
        allow: config.allow.clone(),
        resolve: config.resolve.clone(),
        ca,
        stall: config.timing.stall,
    };
    let registry = Registry::new(&config.reference, &connection, credentials)?;
    let weights = manifest(config, &registry).await?;
    let Some(store) = store else {
        let header = plan::header(&registry, &weights, &config.timing).await?;
        return Artifact::new(&config.reference, config.kind, &weights, &header);
    };
    let artifact = store
        .pull(&registry, &weights, &config.timing, progress)
        .await?;
    progress.verified(artifact.bytes);
    Ok(artifact)
}

async fn manifest(config: &Config, registry: &Registry) -> Result<Weights, PullError> {
    let digest = config.reference.digest();
    let bytes = fetch::patiently(&config.timing, || registry.manifest(digest)).await?;
    let weights = weights_of(&bytes, config.kind)?;
    match config.max_bytes {
        Some(limit) if weights.size > limit => Err(PullError::TooLarge {
            bytes: weights.size,
            limit,
        }),
        _ => Ok(weights),
    }
}
