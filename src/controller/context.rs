//! What every pass is given.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::Client;

use super::apply::Applier;
use super::config::Config;
use super::model_artifact::progress::Poller;
use super::names::uid;
use super::outcome::Backoff;
use super::seal_view::SealView;
use super::status::StatusWriter;
use super::stores::Stores;
use crate::api::ModelDeployment;
use crate::driver::Board;
use crate::driver::view::PodKind;
use crate::telemetry::Metrics;

/// What every pass is given.
pub struct Context {
    /// For the few requests that are neither child nor status.
    pub client: Client,
    /// The platform's configuration.
    pub config: Arc<Config>,
    /// The operator's own namespace.
    pub namespace: String,
    /// One or two public keys, PEM, for the gates.
    pub verify_keys: String,
    /// What the cluster looks like.
    pub stores: Stores,
    /// What is proven about every sealed pod.
    pub board: Board,
    /// Writes children.
    pub applier: Applier,
    /// Writes status.
    pub status: StatusWriter,
    /// Asks pulls.
    pub progress: Poller,
    /// Counts failures.
    pub backoff: Backoff,
    /// Counts passes.
    pub metrics: Metrics,
    /// When this process began to lead.
    pub started: Instant,
}

/// For so long what a predecessor wrote counts, until a pod is proven anew or seen open: that takes a few seconds,
/// and an upgrade of the operator must not make every object look unproven.
pub const HEARING: Duration = Duration::from_secs(15);

impl Context {
    /// What is proven about the object's pods.
    #[must_use]
    pub fn seal_of(&self, object: &ModelDeployment) -> SealView {
        let mut pods = self.board.of_owner(uid(object));
        pods.retain(|pod| pod.kind == PodKind::Gated);
        let unheard = pods
            .iter()
            .all(|pod| pod.last_proven.is_none() && pod.opening.is_none());
        let hearing = unheard && self.started.elapsed() < HEARING;
        let status = object.status.as_ref().filter(|_| hearing);
        let before = status.and_then(SealView::stored);
        before.unwrap_or_else(|| SealView::of(&pods))
    }
}
